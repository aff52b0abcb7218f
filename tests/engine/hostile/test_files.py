"""Configurations, weights and logs from strangers: nothing in them runs, nor takes more memory or time than it may."""

from __future__ import annotations

import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from random import Random

import msgspec
import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.comparison.compare import compare
from engine.comparison.compared_runs import Source
from engine.errors import UserError
from engine.export import FORMATS
from engine.history.summaries import summary
from engine.logs import events as ev
from engine.logs import folder as folders
from engine.logs.events import AnyEvent
from engine.logs.folder import EVENTS
from engine.logs.log import LineReader, event_reader
from engine.logs.writer_lock import is_being_written
from engine.models.backbones import build
from engine.models.untrusted import UntrustedError, check
from engine.models.weights import Pretrained, WeightsError, fetch, network_of
from engine.specs.presets import presets
from engine.specs.spec import check_weights, load_experiment, with_absolute_paths
from engine.specs.toml import read_toml
from engine.states.replay import replay
from tests.engine.hostile.bounded import MIB, rise
from tests.engine.hostile.names import NAMES, unsafe
from tests.engine.work import result
from tests.tui import logs

EXAMPLES = settings(max_examples=200, deadline=None, derandomize=True, database=None)


def refusal(path: Path) -> str:
    with pytest.raises(UserError) as caught:
        load_experiment(path, presets())
    said = str(caught.value)
    assert said.isprintable()
    assert len(said) <= 2000
    return said


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a = " + "[" * 100_000, "nested too deeply"),
        ("a = " + "{a = " * 10_000, "nested too deeply"),
        (".".join(["a"] * 400_000) + " = 1", "more than 500 dots in one key"),
        ("[" + ".".join(["a"] * 400_000) + "]", "more than 500 dots in one key"),
        ("x = {" + ".".join(["a"] * 400_000) + " = 1}", "more than 500 dots in one key"),
        (".".join(["a"] * 500) + " = 1", "there is no setting 'a'"),
        (f"seeds = [{'9' * 5000}]", "not valid TOML"),
        ("seeds = [99999999999999999999999999]", "seeds"),
        ('weights = "\x1b[31m"', "not valid TOML"),
        ('"\\u001b]0;owned\\u0007" = 1', "there is no setting '\\x1b]0;owned\\x07'"),
        ('precision = "\\u001b[31m\\n"', "precision: there is no"),
        ('[[strategies]]\nname = "a\\n"', "strategies[0]: name"),
        ('[[strategies]]\nname = "../../x"', "strategies[0]: name"),
        ('[[strategies]]\nbased_on = "\\u202e"', "no strategy"),
        (f'"{"x" * 900_000}" = 1', "there is no setting"),
        ("a = 1\0", "not valid TOML"),
        ("\udcff", "not UTF-8 text"),
    ],
)
def test_a_hostile_configuration_is_one_line(tmp_path: Path, text: str, expected: str) -> None:
    path = tmp_path / "x.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert expected in refusal(path)


def test_a_configuration_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text("\ufeffseeds = [3]", encoding="utf-8")
    assert load_experiment(path, presets()).seeds == (3,)


def test_a_configuration_of_100_mb_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / f"{NAMES['markup'][:9]}\x1b.toml"
    with path.open("wb") as file:
        for _ in range(100):
            file.write(b"# comment\n" * 100_000)
    risen, printed = rise(
        "from pathlib import Path\nfrom engine.specs.spec import UserError, read_toml",
        "try:\n    read_toml(Path(sys.argv[1]))\nexcept UserError as error:\n    print(error)",
        path,
    )
    assert "larger than 1,000,000 bytes, which no configuration is" in printed
    assert "\\x1b.toml" in printed
    assert risen < 10 * MIB


def test_a_configuration_without_end_is_refused() -> None:
    with pytest.raises(UserError, match="larger than 1,000,000 bytes"):
        read_toml(Path("/dev/zero"))


@pytest.mark.parametrize("path", ["~nobody-of-that-name/x", "\udcff", "/nowhere/\x1b[31m", "x\0y", "x" * 10_000])
def test_paths_in_a_configuration_that_cannot_be(path: str) -> None:
    experiment = load_experiment(Path("/dev/null"), presets())
    with pytest.raises(UserError) as caught:
        check_weights(with_absolute_paths(msgspec.structs.replace(experiment, weights=path)).weights)
    assert str(caught.value).isprintable()
    assert str(caught.value).startswith("weights: ")


# Weights


class Ran(Exception):  # noqa: N818 - no error: what a file would do
    """A file's own code has run."""


def ran(*_: object) -> None:
    raise Ran


class Malicious:
    """What unpickles to a call."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.call


def fetched(path: Path) -> Pretrained:
    return result(fetch("resnet18", str(path)))[0]


def weights_refusal(path: Path) -> str:
    with pytest.raises(WeightsError) as caught:
        network_of("resnet18", 2, "head", fetched(path), seed=0)
    said = str(caught.value)
    assert said.isprintable()
    assert len(said) <= 2000
    assert str(path) in said
    return said


@pytest.fixture(scope="module")
def state() -> dict[str, torch.Tensor]:
    return build("resnet18", 1000, "all", None, 0).module.state_dict()


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
def test_a_state_dict_is_read(tmp_path: Path, state: dict[str, torch.Tensor], zipped: bool) -> None:
    torch.save(state, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped)
    read = fetched(tmp_path / "x.pth").state
    assert read is not None
    assert all(torch.equal(read[name], value) for name, value in state.items())


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before 1.6"])
@pytest.mark.parametrize(
    "malicious",
    [
        Malicious(ran),
        Malicious(os.system, "echo owned"),
        Malicious(eval, "1"),
        Malicious(bytearray, 10**12),
        {"a": [torch.zeros(2), Malicious(ran)]},
    ],
    ids=["function", "system", "eval", "allocation", "inside"],
)
def test_code_in_weights_is_refused_and_does_not_run(tmp_path: Path, malicious: object, zipped: bool) -> None:
    torch.save(
        {"conv1.weight": torch.zeros(1), "x": malicious}, tmp_path / "x.pth", _use_new_zipfile_serialization=zipped
    )
    assert "so it holds more than plain tensors" in weights_refusal(tmp_path / "x.pth")


def test_a_plain_pickle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(pickle.dumps(Malicious(ran)))
    assert weights_refusal(tmp_path / "x.pth")


def stored(pickled: bytes, *more: tuple[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """An archive as torch.save makes it, around any pickle."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in (("data.pkl", pickled), ("byteorder", b"little"), ("version", b"3\n"), *more):
            archive.writestr(f"x/{name}", content)
    return file.getvalue()


def nested_tuples(depth: int) -> bytes:
    """A pickle of {t: 0}, where t is a pair of the same pair of the same pair …: hashing it takes 2 ** depth steps."""
    pairs = b"".join(bytes([ord("q"), n, ord("h"), n, 0x86]) for n in range(depth))
    return b"\x80\x02})" + pairs + b"K\x00s."


def test_the_bomb_of_tuples_is_one() -> None:
    (key,) = pickle.loads(nested_tuples(3))
    assert key == ((((), ()), ((), ())), (((), ()), ((), ())))


def test_a_pickle_bomb_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(stored(nested_tuples(60)))
    assert "uses a tuple twice" in weights_refusal(tmp_path / "x.pth")


def test_a_huge_pickle_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(stored(b"\x80\x02]" + b"K\x00a" * 700_000 + b"."))
    assert "its pickle is larger than 2,000,000 bytes" in weights_refusal(tmp_path / "x.pth")


def test_a_zip_bomb_is_refused_without_unpacking_it(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    pickled = b"\x80\x02}."
    zeros = bytes(2 * 10**8)
    path.write_bytes(stored(pickled, ("data/0", zeros), compression=zipfile.ZIP_DEFLATED))
    assert path.stat().st_size < len(zeros) / 500
    risen, printed = rise(
        "from pathlib import Path\nfrom engine.models.untrusted import UntrustedError, check",
        "try:\n    check(Path(sys.argv[1]))\nexcept UntrustedError as error:\n    print(error)",
        path,
    )
    assert "a compressed archive, which could take more memory than there is" in printed
    assert risen < 20 * MIB
    assert "a compressed archive" in weights_refusal(path)


def test_an_archive_whose_entries_overlap_is_refused(tmp_path: Path) -> None:
    content = bytearray(stored(b"\x80\x02}.", ("data/0", bytes(10_000)), ("data/1", b"")))
    with zipfile.ZipFile(BytesIO(bytes(content))) as archive:
        (first,) = (entry for entry in archive.infolist() if entry.filename == "x/data/0")
    place = content.rindex(b"x/data/1") - 46  # the second entry is told to be the first one again
    assert content[place : place + 4] == b"PK\x01\x02"
    struct.pack_into("<II", content, place + 20, first.file_size, first.file_size)
    struct.pack_into("<I", content, place + 42, first.header_offset)
    (tmp_path / "x.pth").write_bytes(content)
    with pytest.raises(UntrustedError, match="more memory"):
        check(tmp_path / "x.pth")


def test_a_second_pickle_in_an_archive_is_refused(tmp_path: Path) -> None:
    hidden = pickle.dumps(Malicious(ran), 2)
    (tmp_path / "x.pth").write_bytes(stored(b"\x80\x02}.", ("DATA.PKL", hidden)))
    assert "an archive with 2 pickles" in weights_refusal(tmp_path / "x.pth")


def test_tensors_that_claim_more_than_there_is_are_refused(tmp_path: Path) -> None:
    torch.save({"conv1.weight": torch.zeros(4)}, tmp_path / "whole.pth")
    with zipfile.ZipFile(tmp_path / "whole.pth") as archive:
        entries = {entry.filename.partition("/")[2]: archive.read(entry) for entry in archive.infolist()}
    entries["data/0"] = entries["data/0"][:4]
    (tmp_path / "x.pth").write_bytes(stored(entries.pop("data.pkl"), ("data/0", entries["data/0"])))
    assert weights_refusal(tmp_path / "x.pth")


@pytest.mark.parametrize(
    "header",
    [
        b'{"a":{"dtype":"F32","shape":[250000000000],"data_offsets":[0,1000000000000]}}',
        b'{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}',
        b'{"a":' * 100_000,
        b"\xff" * 8,
    ],
    ids=["1 TB", "negative", "deep", "no JSON"],
)
def test_hostile_safetensors_are_refused(tmp_path: Path, header: bytes) -> None:
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    assert "damaged" in weights_refusal(tmp_path / "x.safetensors")


def test_damaged_weights_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("weights")
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b.running": torch.zeros(2, dtype=torch.int64)}
    torch.save(tensors, folder / "new.pth")
    torch.save(tensors, folder / "old.pth", _use_new_zipfile_serialization=False)
    safetensors.torch.save_file(tensors, folder / "x.safetensors")
    whole = {path.suffix + path.stem: path.read_bytes() for path in folder.iterdir()}

    @settings(EXAMPLES, max_examples=60)
    @given(st.sampled_from(sorted(whole)), st.lists(st.tuples(st.floats(0, 0.999), st.binary(max_size=6)), max_size=5))
    def fuzz(name: str, changes: list[tuple[float, bytes]]) -> None:
        content = bytearray(whole[name])
        for place, new in changes:
            start = int(place * len(content))
            content[start : start + len(new)] = new
        path = folder / f"damaged.{name[1:].removesuffix('x')}"
        path = path.with_suffix(".safetensors" if "safetensors" in name else ".pth")
        path.write_bytes(content)
        assert weights_refusal(path), "of another network, if nothing else"

    fuzz()


# Logs


def log_of(folder: Path, *lines: bytes) -> Path:
    """A good log with these lines after its third."""
    encoded = [msgspec.json.encode(event) for event in logs.events()]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / EVENTS).write_bytes(b"\n".join((*encoded[:3], *lines, *encoded[3:])) + b"\n")
    return folder


HOSTILE_LINES = {
    "deep": b'{"event":"Warned","message":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "deep and frequent": b'{"event":"Progress","stage":' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    "not UTF-8": b'{"event":"Warned","message":"\xff\xfe"}',
    "half a pair": b'{"event":"Warned","message":"\\ud800"}',
    "nulls": b"\0" * 5000,
    "another type": b'{"event":"Warned","message":7}',
    "newer event": b'{"event":"Teleported","to":"Mars"}',
    "no event": b"[1,2,3]",
    "large number": b'{"event":"Warned","message":"x","elapsed":1e999}',
    "torn in the middle": b'{"event":"Warned","mess',
}


@pytest.mark.parametrize("name", HOSTILE_LINES)
def test_a_log_is_read_past_a_line_that_cannot_be(tmp_path: Path, name: str) -> None:
    folder = log_of(tmp_path / "a-20261123-120000", HOSTILE_LINES[name])
    reader = event_reader(folder)
    assert replay(reader.read()).end == "finished"
    assert reader.unreadable == 1
    told = summary(folder)
    assert told.status == "finished"
    assert len(told.best) == 2


def test_a_log_of_a_newer_version_is_read_as_far_as_it_is_known(tmp_path: Path) -> None:
    line = b'{"event":"Warned","message":"hello","severity":{"level":3},"elapsed":1.5}'
    (folder := tmp_path / "a").mkdir()
    (folder / EVENTS).write_bytes(line + b"\n")
    (warned,) = event_reader(folder).read()
    assert isinstance(warned, ev.Warned)
    assert warned.message == "hello"


READ_LOG = """
from pathlib import Path
from engine.logs.log import event_reader
from engine.history.summaries import summary
from engine.states.replay import replay
"""
TELL = """
folder = Path(sys.argv[1])
reader = event_reader(folder)
print(replay(reader.read()).end, reader.unreadable, reader.read(), summary(folder).status)
"""


@pytest.mark.slow
def test_lines_of_100_mb_are_passed_over_in_bounded_memory(tmp_path: Path) -> None:
    folder = log_of(tmp_path / "a-20261123-120000", b"LONG", b"LONG")
    parts = (folder / EVENTS).read_bytes().split(b"LONG")
    with (folder / EVENTS).open("wb") as file:
        file.write(parts[0])
        for number, part in enumerate(parts[1:]):
            file.write(b'{"event":"Progress","x":"' if number else b'{"event":"Warned","message":"')
            for _ in range(100):
                file.write(b"x" * 10**6)
            file.write(b'"}' + part)
    risen, printed = rise(READ_LOG, TELL, folder)
    assert printed == "finished 2 [] finished"
    assert risen < 100 * MIB


def test_a_long_line_may_come_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.logs.log.LONGEST_LINE", 100)
    path = tmp_path / "x.jsonl"
    reader: LineReader[ev.Command] = LineReader(path, ev.Command)
    good = b'{"action":"stop"}\n'
    read = []
    for piece in (good, b"x" * 80, b"x" * 80, b"x" * 200, b"\n" + good[:5], good[5:], b"y" * 150 + b"\n", good):
        with path.open("ab") as file:
            file.write(piece)
        read.append(len(reader.read()))
    assert read == [1, 0, 0, 0, 0, 1, 0, 1]
    assert reader.unreadable == 2


def test_a_pipe_in_place_of_a_log_is_no_experiment(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    os.mkfifo(tmp_path / "a" / EVENTS)
    assert folders.experiments(tmp_path) == []


def test_what_another_process_says_of_itself_in_the_lock_is_harmless(tmp_path: Path) -> None:
    folder = log_of(tmp_path / "a")
    (folder / "writer.lock").write_bytes(b"\x1b[31m\xff 1\n" * 10)
    assert not is_being_written(folder)


NUMBERS = [0, -1, 1, 2**31, 2**63 - 1, -(2**63), 0.0, -1.5, 1e308, -1e308, 1e-308, 5.0]
TEXTS = [text for key, text in NAMES.items() if key != "not utf-8"]


def altered(value: object, random: Random) -> object:
    """The value with some of its numbers and texts replaced by hostile ones."""
    if isinstance(value, dict):
        return {key: item if key == "event" else altered(item, random) for key, item in value.items()}
    if isinstance(value, list):
        return [altered(item, random) for item in value]
    if random.random() < 0.1 and isinstance(value, int | float | str) and not isinstance(value, bool):
        return random.choice(TEXTS if isinstance(value, str) else NUMBERS)
    return value


def hostile_log(seed: int) -> list[AnyEvent]:
    """The events of a log of which some were altered, as far as they still are events."""
    random = Random(seed)
    events: list[AnyEvent] = []
    for event in logs.events(logs.two_strategies(epochs=3)):
        line = msgspec.json.encode(altered(msgspec.to_builtins(event), random))
        try:
            events.append(msgspec.json.decode(line, type=AnyEvent))
        except msgspec.ValidationError:
            events.append(event)
    return events


@pytest.mark.parametrize("seed", range(25))
def test_any_log_can_be_compared_and_exported(seed: int) -> None:
    comparison = compare([Source(replay(hostile_log(seed)))])
    for render in FORMATS.values():
        assert not unsafe(render(comparison))


# The rest of the machine

WATCH = """
import os, sys
def heard(event, arguments):
    if event in ("socket.bind", "socket.connect"):
        print("socket:", event, arguments, flush=True)
sys.addaudithook(heard)
os.umask(0)
import psutil
from tui.cli import status
"""
LISTENING = """
print("listening:", [one for one in psutil.Process().net_connections("all") if one.status == "LISTEN"])
"""


@pytest.mark.slow
def test_nothing_listens_and_files_are_for_the_user_alone(
    tmp_path: Path, image_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "small.toml"
    config.write_text(
        'weights = "none"\ndevice = "cpu"\n[[strategies]]\nname = "a"\nbased_on = "resnet18-finetune"\n'
        'backbone = "squeezenet1_1"\nimage_size = 32\nepochs = 1\nbatch_size = 4\n'
    )
    run = 'status(["run", sys.argv[1], "--config", sys.argv[2], "--out", sys.argv[3]])'
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    _, printed = rise(WATCH, run + LISTENING, image_folder(), config, tmp_path / "runs")
    assert "listening: []" in printed
    assert "socket:" not in printed
    (experiment,) = folders.experiments(tmp_path / "runs")
    assert experiment.stat().st_mode & 0o077 == 0
    assert event_reader(experiment).read()


def test_a_socket_would_be_seen() -> None:
    listen = "import socket\nlistening = socket.create_server(('127.0.0.1', 0))"
    _, printed = rise(WATCH, listen + LISTENING)
    assert "socket: socket.bind" in printed
    assert "listening: []" not in printed and "LISTEN" in printed
