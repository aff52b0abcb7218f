"""Names that a terminal or Textual's markup might obey, wherever they are shown: as they are, and harmless."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from textual.widgets import Tooltip

from engine.comparison.compare import compare
from engine.comparison.compared_runs import Source
from engine.data.check import quick_check
from engine.data.dataset import summary
from engine.data.discover import discover
from engine.data.folders import is_text
from engine.logs import events as ev
from engine.logs.events import AnyEvent
from engine.logs.folder import EVENTS, NOTE, SPEC, WRITER_LOCK
from engine.specs.spec import DataSource, to_toml
from engine.states.replay import replay
from engine.text import shown
from tests import forked
from tests.conftest import COLOURS, draw
from tests.engine.hostile.names import NAMES, fits_a_folder, unsafe
from tests.tui import logs
from tests.tui.conftest import idle, opened, text_of, until
from tests.tui.test_setup import App
from tui.app import TlTui
from tui.cli import status
from tui.commands.run import Display, _display
from tui.screens.pick_folder import PickFolder
from tui.widgets.field import Field
from tui.widgets.text_input import UNPRINTABLE
from tui.words.data_summary import described, facts
from tui.work.comparing import words

FOLDERS = sorted(name for name in NAMES.values() if fits_a_folder(name) and is_text(name))
LABELS = sorted({name.strip() for name in NAMES.values() if is_text(name)})
SIZE = (120, 40)
HOSTILE = "[bold red]x[/][@click=app.quit]y[/]\x1b]0;owned\x07\x9b2J\u202ez\n"
HOSTILE_NOTE = b"[bold]a note\x1b]0;owned\x07\xff\xe2\x80\xae\n\x9b2J"


def checked(text: str) -> str:
    """The text of a screen or a stream; nothing in it may reach a terminal as more than a character."""
    assert not unsafe(text), sorted(map(ascii, unsafe(text)))
    return text


def seen(app: TlTui) -> str:
    return checked(text_of(app))


@pytest.fixture(params=["folders", "csv"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return hostile_data(tmp_path / "data", request.param)


def hostile_data(folder: Path, kind: str) -> Path:
    """A data set of hostile names: the folder's own, the classes' and the files'; or a CSV file with such labels."""
    root = folder / "[red]x[b]\x1b]0;owned\x07"
    root.mkdir(parents=True)
    if kind == "folders":
        for name in FOLDERS:
            for number in range(2):
                draw(root / name / f"{number}{name[:100]}.png", COLOURS["warm"], number)
        (root / FOLDERS[0] / f"{NAMES['not utf-8']}.png").touch()
        (root / FOLDERS[0] / f"{NAMES['c1']}.txt").touch()
        return root
    with (root / "[b]\x1b[31mlist.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "label"])
        for number, label in enumerate(LABELS):
            for copy in "ab":
                draw(root / f"{number}{copy}.png", COLOURS["cold"], number)
                writer.writerow([f"{number}{copy}.png", label])
        writer.writerow([f"{NAMES['colour']}.png", LABELS[0]])
    return root / "[b]\x1b[31mlist.csv"


def hostile_log(root: Path) -> list[AnyEvent]:
    """A log whose every text is hostile, as that of a stranger may be; strategies only have names that are allowed."""
    data, text = discover(DataSource(path=str(root))), HOSTILE
    changed: list[AnyEvent] = []
    for event in logs.events(logs.two_strategies(epochs=3)):
        match event:
            case ev.ExperimentStarted():
                device = ev.Device(text, text, event.device.memory)
                event = msgspec.structs.replace(  # noqa: PLW2901
                    event, name=text, data=summary(data), device=device, versions={text: text}
                )
            case ev.RunStarted():
                event = msgspec.structs.replace(event, weights=text, precision=text)  # noqa: PLW2901
            case ev.Warned():
                event = msgspec.structs.replace(event, message=text)  # noqa: PLW2901
            case ev.DataDecoded():
                event = msgspec.structs.replace(event, kept=text)  # noqa: PLW2901
            case ev.StageChanged():
                event = msgspec.structs.replace(event, detail=text)  # noqa: PLW2901
            case ev.RunFinished(run="mobilenetv3-extract-0"):
                event = ev.RunFailed(  # noqa: PLW2901
                    run=event.run, kind=text, message=text, advice=text, time=event.time, elapsed=event.elapsed
                )
            case ev.ExperimentFinished():
                event = msgspec.structs.replace(event, end="failed", error=text)  # noqa: PLW2901
        changed.append(event)
    return [*changed, ev.Warned(run=text, message=text)]


@pytest.mark.slow
@pytest.mark.parametrize("length", [1.0, 0.5], ids=["over", "under way"])
async def test_every_mode_shows_a_hostile_log_as_it_is(app: TlTui, tmp_path: Path, root: Path, length: float) -> None:
    events = hostile_log(root)
    folder = logs.write(tmp_path / "[b]x\x1b[31m\u202e-20261123-120000", events[: int(length * len(events))])
    (folder / NOTE).write_bytes(HOSTILE_NOTE)
    async with app.run_test(size=SIZE) as pilot:
        await opened(pilot, app, folder)
        assert shown(root.stem if root.is_file() else root.name, 40) in seen(app)
        await pilot.press("w")
        await pilot.pause()
        if length == 1:
            assert "[bold red]x[/][@click=app.quit]y[/]\\x1b]0;owned\\x07\\x9b2J\\u202ez\\n" in seen(app)
        await pilot.press("escape")
        for key, mode in (("3", "compare"), ("4", "runs"), ("2", "live")):
            await pilot.press(key)
            await until(pilot, lambda mode=mode: app.current_mode == mode)
            await idle(pilot)
            assert ("[bold]a note" in seen(app)) == (mode == "runs")
        for _ in range(4):
            await pilot.press("c")
            await pilot.pause()
            seen(app)
        assert app.is_running, "nothing in a name is an action"


async def test_setup_shows_hostile_data_as_they_are(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root.parent)
    app = App(DataSource(path=root.name))
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.screen.query("DataPicker").first().found is not None)  # type: ignore[attr-defined]
        in_its_field = root.name.replace("\x1b", UNPRINTABLE).replace("\x07", UNPRINTABLE)
        assert in_its_field in seen(app)
        assert "classes" in seen(app)
        source = DataSource(path=root.name)
        data = discover(source)
        checked(described(facts(data, quick_check(data, source)), 100, source=source).plain)
        assert any(f" {shown(name)[:12]}" in seen(app) for name in data.classes[:8] if not name.isprintable())
        await pilot.press("c")
        await until(pilot, lambda: f"Images by class: {len(data.classes)} classes" in seen(app))
        for key in ("down", "down", "end", "up"):
            await pilot.press(key)
            seen(app)
        await until(pilot, lambda: "train 48×40" in seen(app))


async def test_the_folder_tree_shows_hostile_names_as_they_are(tmp_path: Path, root: Path) -> None:
    app = App(DataSource(path=str(root.parent if root.is_file() else root)))
    async with app.run_test(size=SIZE) as pilot:
        await until(pilot, lambda: app.screen.query("DataPicker").first().found is not None or root.is_file())  # type: ignore[attr-defined]
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(app.screen, PickFolder))
        await until(pilot, lambda: "owned" in text_of(app))
        await pilot.press("right")
        await until(pilot, lambda: "[" in seen(app).partition("owned")[2])
        await pilot.press("down", "enter")
        await until(pilot, lambda: not isinstance(app.screen, PickFolder))
        seen(app)


async def test_what_is_wrong_is_never_markup() -> None:
    app = App(DataSource(path="/[b]\x1b[31m[@click=app.quit]"))
    async with app.run_test(size=SIZE, tooltips=True) as pilot:
        await until(pilot, lambda: bool(app.screen.query("DataPicker").first().problem))  # type: ignore[attr-defined]
        assert "/[b]\\x1b[31m[@click=app.quit]: no such" in seen(app)
        await pilot.press("ctrl+r")
        field = app.screen.query(Field).first()
        field.say("no [/such] thing\x1b")
        await pilot.pause()
        assert "! no [/such] thing" in seen(app)
        app.screen._handle_tooltip_timer(field.note)
        await pilot.pause()
        tooltip = app.screen.get_child_by_type(Tooltip)
        assert tooltip.display
        assert "no [/such] thing\\x1b" in " ".join(str(tooltip.render()).split())


@pytest.mark.parametrize("terminal", [False, True], ids=["file", "terminal"])
def test_lines_without_the_app_show_names_as_they_are(root: Path, terminal: bool) -> None:
    file = io.StringIO()
    console = Console(file=file, width=400, force_terminal=terminal, color_system=None, highlight=False)
    events = hostile_log(root)
    said = ""
    with _display(console) as display:
        for number, event in enumerate(events, start=1):
            state = replay(events[:number])
            display.show(event, state)
            if display.progress is not None:
                paper = Console(file=io.StringIO(), width=400, color_system=None)
                with paper.capture() as capture:
                    paper.print(display.progress.get_renderable())
                said += checked(capture.get())
        if terminal:
            assert "[bold red]x[/]" in said, "the bar"
    plain = io.StringIO()
    for number, event in enumerate(events, start=1):
        Display(Console(file=plain, width=400), None).show(event, replay(events[:number]))
    printed = checked(plain.getvalue())
    assert "[bold red]x[/][@click=app.quit]y[/]\\x1b]0;owned\\x07\\x9b2J\\u202ez\\n" in printed
    assert "failed ([bold red]x[/]" in printed


@pytest.mark.parametrize("name", [":bomb:", "x\\\\\\", "x\\", "[b", "[/]", "\\[b]"])
def test_no_name_is_changed_by_rich(name: str) -> None:
    file = io.StringIO()
    event = ev.Warned(message=name)
    Display(Console(file=file, width=400), None).show(event, replay([event]))
    assert file.getvalue() == f"warning: {name}\n"


@pytest.mark.parametrize(
    "arguments", [["runs"], ["compare"], *(["compare", "--format", one] for one in ("json", "csv", "md"))]
)
def test_commands_print_a_hostile_log_as_it_is(
    tmp_path: Path, root: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = logs.write(tmp_path / "runs" / "[b]x\x1b[31m\u202e-20261123-120000", hostile_log(root))
    (folder / NOTE).write_bytes(HOSTILE_NOTE)
    assert status([*arguments, "--out", str(tmp_path / "runs")]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert ("[b]" if arguments == ["runs"] else "owned") in checked(printed.out)
    if arguments[-1] == "csv":
        for cell in (cell for row in csv.reader(io.StringIO(printed.out)) for cell in row):
            assert not cell.startswith(("=", "+", "@", "\t", "\r"))
            assert not cell.startswith("-") or float(cell) < 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "/nowhere/{}"],
        ["run", "--config", "{}.toml"],
        ["run", "--weights", "/nowhere/{}"],
        ["run", "--strategy", "{}"],
        ["compare", "{}"],
        ["compare", "--out", "{}"],
        ["runs", "--out", "{}"],
    ],
)
def test_errors_of_commands_are_one_harmless_line(
    tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("title", "bidi", "c1", "newlines", "markup", "not utf-8"):
        status([argument.format(NAMES[name]) for argument in arguments])
        printed = capsys.readouterr()
        said = checked(printed.out + printed.err)
        assert said.count("\n") == 1
        assert len(said) > 10


def test_the_folder_of_an_experiment_that_is_gone_on_with_is_harmless(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = logs.write(tmp_path / "x\x1b]0;owned\x07-20261123-120000", logs.events()[:3])
    (folder / SPEC).write_text(to_toml(logs.two_strategies()), encoding="utf-8")
    (folder / WRITER_LOCK).write_text("elsewhere 12\n", encoding="utf-8")
    assert status(["resume", "--out", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert r"x\x1b]0;owned\x07-20261123-120000 may still be written" in checked(printed.err) and not printed.out
    monkeypatch.setattr("tui.commands.run.detach", lambda *_, **__: 12)
    assert status(["resume", "--detach", "--out", str(tmp_path)]) == 0
    printed = capsys.readouterr()
    assert checked(printed.out) == "x\\x1b]0;owned\\x07-20261123-120000\n" and checked(printed.err)


@pytest.mark.slow
def test_real_runs_of_hostile_data_print_no_escape(tmp_path: Path) -> None:
    """One after the other in a process, since its imports take longer than the runs."""
    (tmp_path / "small.toml").write_text(
        '[[strategies]]\nname = "a"\nbased_on = "mobilenetv3-extract"\nbackbone = "squeezenet1_1"\nimage_size = 32\n'
        "epochs = 1\n",
        encoding="utf-8",
    )
    roots = [hostile_data(tmp_path / kind, kind) for kind in ("folders", "csv")]
    options = ["--weights", "none", "--device", "cpu", "--config", "small.toml", "--out", "out"]
    runs = [["run", str(root), *options] for root in roots]
    code = f"from tui.cli import status\nfor run in {runs!r}:\n    print('status', status(run))"
    done = forked.run(["-c", code], tmp_path, 120)
    said = checked(done.stdout + done.stderr)
    assert done.returncode == 0, said
    assert said.count("status 0") == said.count("a-0 · epoch 1/1") == 2, said
    for root in roots:
        assert shown(root.stem if root.is_file() else root.name) in said
    folders = [events.parent.name for events in (tmp_path / "out").glob(f"*/{EVENTS}")]
    assert len(folders) == 2
    assert not any(unsafe(folder) for folder in folders)


def test_why_nothing_came_of_an_experiment_is_harmless_in_compare() -> None:
    failed = ev.ExperimentFinished(end="failed", error=HOSTILE)
    comparison = compare([Source(replay([logs.events()[0], failed]), None)])
    assert "[bold red]x[/]" in checked(words(comparison, 1, []).plain)
