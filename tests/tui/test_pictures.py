"""Pictures as cells and as bytes, and the widget that shows them."""

from __future__ import annotations

import base64
import io
import re
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.drivers.headless_driver import HeadlessDriver

from engine.data.images import thumbnail
from tests.tui.conftest import text_of, until
from tui.drawing import pictures
from tui.drawing.pictures import SHADES, Drawn, draw, forget, kind_of_terminal
from tui.widgets import picture
from tui.widgets.picture import Picture


@pytest.fixture
def photo(tmp_path: Path) -> str:
    """Red at the left, blue at the right, brighter further down; 60 × 40 pixels."""
    y, x = np.mgrid[:40, :60]
    pixels = np.stack([np.where(x < 30, 100 + 3 * y, 0), 0 * x, np.where(x < 30, 0, 100 + 3 * y)], axis=-1)
    path = tmp_path / "photo.png"
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return str(path)


@pytest.mark.parametrize(
    ("environment", "truecolor", "kind"),
    [
        ({"TERM": "xterm-256color"}, True, "blocks"),
        ({"TERM": "xterm-kitty"}, True, "kitty"),
        ({"TERM": "xterm-kitty"}, False, "blocks"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, True, "kitty"),
        ({"TERM": "foot"}, False, "sixel"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, True, "sixel"),
        ({"TERM": "tmux-256color", "KITTY_WINDOW_ID": "1"}, True, "blocks"),
        ({"TERM": "screen", "TERM_PROGRAM": "WezTerm", "TMUX": "/tmp/x"}, True, "blocks"),
        ({"TERM": "tmux-256color", "TMUX": "x", "TL_TUI_PICTURES": "sixel"}, True, "sixel"),
        ({"TERM": "foot", "TL_TUI_PICTURES": "blocks"}, True, "blocks"),
        ({"TERM": "foot", "TL_TUI_PICTURES": "ascii"}, True, "ascii"),
        ({"TERM": "foot", "TL_TUI_PICTURES": "no such"}, True, "sixel"),
    ],
)
def test_the_environment_tells_how_pictures_are_shown(
    environment: dict[str, str], truecolor: bool, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    assert kind_of_terminal(environment, colour=True, truecolor=truecolor) == kind
    assert kind_of_terminal(environment, colour=False, truecolor=truecolor) == "ascii"
    monkeypatch.setenv("TL_TUI_ASCII", "1")
    assert kind_of_terminal(environment, colour=True, truecolor=truecolor) == "ascii"


def test_half_blocks_without_textual_image(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "find_spec", lambda name: None)
    assert kind_of_terminal({"TERM": "xterm-kitty"}, colour=True, truecolor=True) == "blocks"


def test_half_blocks_are_two_pixels_a_cell(photo: str) -> None:
    drawn = draw(photo, 30, 30, "blocks")
    assert (len(drawn.lines), drawn.width) == (10, 30)
    small = np.asarray(thumbnail(photo, (30, 60))[0], np.int64)
    for row, line in enumerate(drawn.lines):
        column = 0
        for text, style, _ in line:
            assert style is not None and style.bgcolor is not None and style.bgcolor.triplet is not None
            below = style.bgcolor.triplet
            above = style.color.triplet if style.color is not None else below
            assert above is not None
            for wanted, got in ((small[2 * row, column], above), (small[2 * row + 1, column], below)):
                assert np.abs(wanted - np.array(got)).max() <= pictures.STEP
            column += cell_len(text)
        assert column == 30


def test_neighbours_of_the_same_colours_are_one_segment(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40), (10, 200, 30)).save(tmp_path / "flat.png")
    drawn = draw(str(tmp_path / "flat.png"), 20, 10, "blocks")
    assert [len(list(line)) for line in drawn.lines] == [1] * 10


def test_an_odd_last_row_has_nothing_below_it(tmp_path: Path) -> None:
    Image.new("RGB", (10, 3), (10, 200, 30)).save(tmp_path / "flat.png")
    last = list(draw(str(tmp_path / "flat.png"), 10, 10, "blocks").lines[-1])
    assert [(text, style.bgcolor) for text, style, _ in last if style] == [("▀" * 10, None)]


def test_characters_are_denser_where_it_is_brighter(photo: str) -> None:
    drawn = draw(photo, 30, 30, "ascii")
    text = [line.text for line in drawn.lines]
    assert len(text) == 10 and all(one.isascii() and len(one) == 30 for one in text)
    column = [SHADES.index(line[0]) for line in text]
    assert column == sorted(column) and column[-1] > column[0]


@pytest.mark.parametrize("kind", ["blocks", "ascii", "sixel", "kitty"])
def test_why_there_is_no_picture(tmp_path: Path, kind: pictures.Kind) -> None:
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n")
    drawn = draw(str(tmp_path / "broken.png"), 20, 10, kind)
    assert drawn.problem and not drawn.lines and not drawn.out_of_band
    assert draw(str(tmp_path / "nowhere.png"), 20, 10, kind).problem == "no such file or directory"


def sixels(text: str) -> np.ndarray:
    """The pixels that a terminal draws for a Sixel picture: (height, width, 3) in percent."""
    found = re.fullmatch(r'\x1bP[\d;]*q"1;1;(\d+);(\d+)(.*)\x1b\\', text, re.DOTALL)
    assert found
    width, height = int(found[1]), int(found[2])
    canvas = np.full((height + 6, width, 3), -1)
    palette: dict[int, tuple[int, ...]] = {}
    x = band = colour = 0
    for part in re.finditer(r"#(\d+)(?:;2;(\d+);(\d+);(\d+))?|!(\d+)(.)|([$-])|([?-~])", found[3]):
        number, red, green, blue, times, repeated, control, one = part.groups()
        if number is not None:
            colour = int(number)
            if red is not None:
                palette[colour] = (int(red), int(green), int(blue))
        elif control is not None:
            x, band = 0, band + (control == "-")
        else:
            bits, count = ord(repeated or one) - 63, int(times or 1)
            for bit in range(6):
                if bits >> bit & 1:
                    canvas[6 * band + bit, x : x + count] = palette[colour]
            x += count
    return canvas[:height]


def test_sixel_bytes_are_the_picture(photo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "cell_size", lambda: (8.0, 16.0))
    drawn = draw(photo, 20, 10, "sixel")
    pixels = sixels(drawn.out_of_band)
    wanted = np.asarray(thumbnail(photo, (160, 160))[0], np.int64) * 100 / 255
    assert pixels.shape == wanted.shape == (107, 160, 3)
    assert np.abs(pixels - wanted).max() <= 8
    assert (len(drawn.lines), drawn.width) == (7, 20), "the cells that 160 × 107 pixels cover"
    assert all(not line.text.strip() for line in drawn.lines)


def test_kittys_bytes_are_the_picture_and_its_cells(photo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "cell_size", lambda: (10.0, 20.0))
    drawn = draw(photo, 20, 10, "kitty", 0x010203)
    messages = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", drawn.out_of_band)
    assert "".join(f"\x1b_G{said};{data}\x1b\\" for said, data in messages) == drawn.out_of_band
    said = dict(pair.split("=") for pair in messages[0][0].split(","))
    assert {key: said[key] for key in "aUfiq"} == {"a": "T", "U": "1", "f": "100", "i": str(0x010203), "q": "2"}
    assert (int(said["c"]), int(said["r"])) == (drawn.width, len(drawn.lines)) == (20, 7)
    assert [one.endswith("m=1") for one, _ in messages] == [True] * (len(messages) - 1) + [False]
    assert all(len(data) <= pictures.CHUNK for _, data in messages)
    with Image.open(io.BytesIO(base64.b64decode("".join(data for _, data in messages)))) as image:
        sent = np.asarray(image.convert("RGB"), np.int64)
    assert np.abs(sent - np.asarray(thumbnail(photo, (200, 200))[0], np.int64)).mean() <= 2
    (segment,) = drawn.lines[0]
    assert segment.style is not None and segment.style.color is not None and segment.style.color.triplet == (1, 2, 3)
    assert segment.text.count("\U0010eeee") == 20 and cell_len(segment.text) == 20
    assert forget(7) == "\x1b_Ga=d,d=I,i=7,q=2\x1b\\"


def test_drawing_asks_the_terminal_nothing(photo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = io.StringIO()
    monkeypatch.setattr(asked, "isatty", lambda: True)
    monkeypatch.setattr("sys.__stdout__", asked)
    pictures._kittys_module.cache_clear()
    for kind in ("sixel", "kitty"):
        assert draw(photo, 10, 5, kind, 1).lines  # type: ignore[arg-type]
    assert asked.getvalue() == ""


class Shown(App[None]):
    """Nothing but a picture."""

    def compose(self) -> ComposeResult:
        yield Picture()

    @property
    def picture(self) -> Picture:
        return self.query_one(Picture)


async def test_the_widget_shows_reads_ahead_and_says_what_is_wrong(photo: str, tmp_path: Path) -> None:
    (tmp_path / "bro[red]ken.png").write_bytes(b"")
    app = Shown()
    async with app.run_test(size=(40, 12)) as pilot:
        app.picture.show(photo, [str(tmp_path / "bro[red]ken.png")])
        await until(pilot, lambda: len(app.picture._kept) == 2)
        assert "▀" in text_of(app)
        app.picture.show(str(tmp_path / "bro[red]ken.png"), [photo])
        await pilot.pause()
        assert "cannot be shown: the file is empty" in text_of(app), "it was ready"
        app.picture.show(photo)
        await pilot.resize_terminal(30, 10)
        await until(pilot, lambda: app.picture.drawn is not None and app.picture.drawn.width <= 30)
        assert "▀" in text_of(app)


async def test_a_held_key_decodes_only_where_it_rests(photo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[str] = []

    def count(path: str, width: int, height: int, kind: pictures.Kind, number: int) -> Drawn:
        drawn.append(path)
        return Drawn(problem=path)

    monkeypatch.setattr(picture, "draw", count)
    monkeypatch.setattr(picture, "PAUSE", 0.3)
    app = Shown()
    async with app.run_test(size=(40, 12)) as pilot:
        for number in range(50):
            app.picture.show(f"/{number}.png", [f"/{number + 1}.png"])
        await until(pilot, lambda: len(drawn) == 2)
        await pilot.pause(0.5)
        assert drawn == ["/49.png", "/50.png"]


async def test_a_slow_picture_holds_up_no_key_and_takes_the_old_one_away(
    photo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end = threading.Event()

    def slow(path: str, width: int, height: int, kind: pictures.Kind, number: int) -> Drawn:
        if path == "/slow":
            may_end.wait(20)
        return draw(photo, width, height, kind, number)

    monkeypatch.setattr(picture, "draw", slow)
    app = Shown()
    async with app.run_test(size=(40, 12)) as pilot:
        app.picture.show(photo)
        await until(pilot, lambda: app.picture.drawn is not None)
        app.picture.show("/slow")
        await until(pilot, lambda: "reading …" in text_of(app))
        app.picture.show(photo)
        await pilot.pause()
        assert "▀" in text_of(app), "what is ready is not waited for"
        may_end.set()


async def test_old_pictures_are_forgotten_here_and_in_the_terminal(photo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(HeadlessDriver, "write", lambda self, data: written.append(data))
    monkeypatch.setattr(picture, "PAUSE", 0)
    monkeypatch.setattr(picture, "kind_of_terminal", lambda *_, **__: "kitty")
    copies = [photo.replace("photo", f"photo-{number}") for number in range(3)]
    for copy in copies:
        Path(copy).write_bytes(Path(photo).read_bytes())
    app = Shown()
    async with app.run_test(size=(40, 12)) as pilot:
        app.picture.kept = 2
        for number, copy in enumerate(copies, start=1):
            app.picture.show(copy)
            await until(
                pilot,
                lambda number=number: (
                    len(app.picture._told | app.picture._kept.keys()) >= number
                    and app.picture.drawn is app.picture._kept.get((app.picture.path, 40, 12))
                ),
            )
        sent = [int(one) for one in re.findall(r"a=T,[^;]*i=(\d+)", "".join(written))]
        assert len(sent) == 3 and re.findall(r"a=d,d=I,i=(\d+)", "".join(written)) == [str(sent[0])]
    assert {int(one) for one in re.findall(r"a=d,d=I,i=(\d+)", "".join(written))} == set(sent)


async def test_sixel_is_painted_after_its_cells_and_not_under_a_window(
    photo: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[str] = []
    monkeypatch.setattr(HeadlessDriver, "write", lambda self, data: written.append(data))
    monkeypatch.setattr(picture, "kind_of_terminal", lambda *_, **__: "sixel")
    app = Shown()
    async with app.run_test(size=(40, 12)) as pilot:
        app.picture.show(photo)
        await until(pilot, lambda: any("\x1bP" in one for one in written))
        painted = [one for one in written if "\x1bP" in one]
        drawn = app.picture.drawn
        assert drawn is not None
        top, left = (12 - len(drawn.lines)) // 2 + 1, (40 - drawn.width) // 2 + 1
        assert painted[-1] == f"\x1b7\x1b[{top};{left}H{drawn.out_of_band}\x1b8"
        count = len(painted)
        time.sleep(0.05)
        await pilot.pause()
        assert sum("\x1bP" in one for one in written) == count, "nothing changed"
        monkeypatch.setattr(picture, "PAUSE", 60)
        written.clear()
        await pilot.resize_terminal(drawn.width - 1, 12)
        assert not any("\x1bP" in one for one in written), "it would go over what is beside it"


async def test_an_error_that_nobody_foresaw_is_told_in_the_picture(photo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Drawn:
        raise MemoryError("no room for it")

    monkeypatch.setattr(picture, "draw", broken)
    app = Shown()
    async with app.run_test(size=(80, 12)) as pilot:
        app.picture.show(photo)
        await until(pilot, lambda: "cannot be shown" in text_of(app) and "MemoryError" in text_of(app))


async def test_a_picture_that_is_larger_than_its_room_now_is_cut(photo: str, monkeypatch: pytest.MonkeyPatch) -> None:
    app = Shown()
    async with app.run_test(size=(40, 12)) as pilot:
        app.picture.show(photo)
        await until(pilot, lambda: app.picture.drawn is not None)
        monkeypatch.setattr(picture, "PAUSE", 60)
        await pilot.resize_terminal(10, 12)
        assert app.picture.drawn is not None and app.picture.drawn.width > 10
        assert {app.picture.render_line(row).cell_length for row in range(12)} == {10}
