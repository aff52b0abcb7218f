"""Images that are none, or odd, or bombs: each is named or converted, whatever a file holds."""

from __future__ import annotations

import shutil
import struct
import threading
import zlib
from collections.abc import Callable
from functools import cache
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from engine.data import images
from engine.data.squares import decode, decode_into, square
from engine.text import shown
from tests import forked
from tests.engine.hostile.bounded import MIB, ROOT, rise
from tests.engine.work import result

SIDE = 24
RED = (230, 20, 10)
EXAMPLES = settings(max_examples=400, deadline=None, derandomize=True, database=None)


def picture(mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Image.Image:
    """Slow waves, so that compression changes little."""
    y, x = np.mgrid[: size[1], : size[0]]
    values = np.stack([x * 200 // size[0], y * 200 // size[1], (x + y) * 100 // sum(size)], axis=-1) + 30
    return Image.fromarray(values.astype(np.uint8)).convert(mode)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *more: tuple[bytes, bytes]) -> bytes:
    """A PNG file as its format describes it, whether or not its parts fit each other."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), *more, (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in chunks
    )


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return saved(Image.new("RGB", (40, 30), RED), "JPEG", exif=exif)


def animated(kind: str) -> bytes:
    frames = [Image.new("RGB", (30, 30), colour) for colour in (RED, (0, 0, 250), (0, 250, 0))]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:])


def red(mode: str = "RGB", size: tuple[int, int] = (40, 30)) -> Image.Image:
    return Image.new(mode, size, RED)


CONVERTIBLE: dict[str, tuple[Callable[[], bytes], tuple[int, ...]]] = {
    "PNG called JPEG": (lambda: saved(red(), "PNG"), RED),
    "one pixel": (lambda: saved(red(size=(1, 1)), "PNG"), RED),
    "30,000 pixels wide": (lambda: saved(red(size=(30_000, 40)), "PNG"), RED),
    "30,000 pixels wide and one high": (lambda: saved(red(size=(30_000, 1)), "JPEG", quality=95), RED),
    "30,000 pixels high": (lambda: saved(red(size=(20, 30_000)), "PNG"), RED),
    "30,000 pixels wide, converted in strips": (lambda: saved(red("RGBA", (30_000, 600)), "PNG"), RED),
    "16-bit grey": (lambda: saved(Image.fromarray(np.full((30, 30), 0x8080, np.uint16)), "PNG"), (128,) * 3),
    "16-bit colour": (lambda: png(30, 30, 16, 2, (b"\0" + struct.pack(">HHH", 0xE6FF, 0x14FF, 0x0AFF) * 30) * 30), RED),
    "CMYK": (lambda: saved(Image.new("CMYK", (30, 30), (0, 255, 255, 0)), "JPEG", quality=95), (255, 0, 0)),
    "LAB": (lambda: saved(Image.new("LAB", (30, 30), (128, 128, 128)), "TIFF"), (119, 119, 119)),
    "animated GIF": (lambda: animated("GIF"), RED),
    "animated WebP": (lambda: animated("WEBP"), RED),
    "animated PNG": (lambda: animated("PNG"), RED),
    "two pages": (lambda: animated("TIFF"), RED),
    "EXIF-rotated": (rotated, RED),
    "EXIF that points past its end": (lambda: rotated().replace(b"MM\0*\0\0\0\x08", b"MM\0*\0\0\xff\xff"), RED),
    "transparent palette": (lambda: saved(Image.new("P", (30, 30), 0), "PNG", transparency=0), (255,) * 3),
    "trailing rubbish": (lambda: saved(red(), "PNG") + b"<script>" * 100, RED),
}
"""Files that hold a picture after all, made when they are wanted, and the colour of its middle."""


@cache
def content_of(name: str) -> bytes:
    """The content of one of :data:`CONVERTIBLE`."""
    return CONVERTIBLE[name][0]()


@cache
def without_picture() -> dict[str, tuple[bytes, str]]:
    """Files that cannot be decoded, and how the reason begins."""
    jpeg, whole = saved(picture(size=(300, 200)), "JPEG"), saved(picture(), "PNG")
    return {
        "empty": (b"", "the file is empty"),
        "a page": (b"<!doctype html><title>404</title>", "not an image format that can be read"),
        "SVG": (b'<svg xmlns="http://www.w3.org/2000/svg"/>', "not an image format that can be read"),
        "EPS, which starts a program": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not an image"),
        "zeros": (bytes(5000), "not an image format that can be read"),
        "truncated JPEG": (jpeg[: len(jpeg) // 2], "the file is truncated"),
        "truncated PNG": (whole[:-30], "the file is truncated"),
        "only a head": (jpeg[:20], "not an image format that can be read"),
        "no pixels": (b"GIF89a\0\0\0\0\0\0\0;", ""),
        "bomb": (png(50_000, 50_000, 8, 0, bytes(100)), "too many pixels"),
        "largest": (png(2**31 - 1, 2**31 - 1, 16, 6, b""), "too many pixels"),
        "few rows of many": (png(3_000, 3_000, 8, 2, bytes(100)), "the file is truncated"),
        "text bomb": (png(9, 9, 8, 0, bytes(90), (b"zTXt", b"a\0\0" + zlib.compress(bytes(2 * 10**7)))), ""),
        "wrong checksum": (whole[:60] + b"\xff" + whole[61:], "broken image"),
        "escapes": (b"BM" + b"\x1b[31m" * 20, ""),
    }


@pytest.mark.parametrize("name", CONVERTIBLE)
def test_odd_pictures_are_converted(tmp_path: Path, name: str) -> None:
    _, expected = CONVERTIBLE[name]
    path = tmp_path / "x.jpg"
    path.write_bytes(content_of(name))
    pixels = np.zeros((SIDE, SIDE, 3), np.uint8)
    assert decode_into(pixels, str(path)) is None
    assert pixels[SIDE // 2, SIDE // 2].tolist() == pytest.approx(expected, abs=4)


@pytest.mark.parametrize("name", without_picture())
def test_files_without_a_picture_are_named_with_the_reason(
    tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    content, expected = without_picture()[name]
    path = tmp_path / "x.jpg"
    path.write_bytes(content)
    pixels = np.full((SIDE, SIDE, 3), 7, np.uint8)
    undecoded = decode_into(pixels, str(path))
    assert undecoded is not None
    assert undecoded.reason.startswith(expected)
    assert undecoded.reason
    assert undecoded.reason.isprintable()
    assert not undecoded.passing, "it is the file's fault"
    assert (pixels == 7).all(), "nothing of it is left behind"
    assert capfd.readouterr() == ("", "")


SQUARES = """
import sys
import numpy as np
from engine.data.squares import decode_into
print([decode_into(np.empty((24, 24, 3), np.uint8), path) for path in sys.argv[1:]].count(None))
"""


def test_nothing_is_printed_of_odd_files(tmp_path: Path) -> None:
    contents = [*map(content_of, CONVERTIBLE), *(content for content, _ in without_picture().values())]
    for number, content in enumerate(contents):
        (tmp_path / f"{number}.jpg").write_bytes(content)
    done = forked.run(["-c", SQUARES, *map(str, tmp_path.iterdir())], ROOT, timeout=120)
    assert (done.stdout, done.stderr) == (f"{len(CONVERTIBLE)}\n", "")


PREPARE = """
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import torch
from engine.data.discover import discover
from engine.data.prepare import prepare
from engine.specs.spec import DataSource
from tests.engine.work import result
"""
WORK = """
with ThreadPoolExecutor(1) as later:
    prepared, _ = result(prepare(discover(DataSource(path=sys.argv[1])), 64, torch.device("cpu"), later))
for part in (prepared.train, prepared.val):
    print(len(part.labels), len(part.unreadable), sorted({Path(one.path).suffix for one in part.unreadable}))
print(all(one.reason for one in prepared.train.unreadable))
"""


@pytest.mark.slow
def test_a_thousand_odd_files_beside_good_ones(tmp_path: Path) -> None:
    broken = [content for content, _ in without_picture().values()]
    odd = [*map(content_of, CONVERTIBLE)]
    for label, colour in (("cold", (0, 0, 200)), ("warm", RED)):
        for part in ("train", "val"):
            folder = tmp_path / part / label
            folder.mkdir(parents=True)
            for number in range(5):
                Image.new("RGB", (30 + number, 30), colour).save(folder / f"good-{number}.png")
            for number, content in enumerate(odd):
                (folder / f"odd-{number}.bmp").write_bytes(content)
            for number in range(250):
                # each of other bytes, or they would count as one image
                content = broken[number % len(broken)]
                (folder / f"{number}.jpg").write_bytes(
                    content + bytes([0, number, len(part), len(label)]) * bool(content)
                )
    risen, printed = rise(PREPARE, WORK, tmp_path, fork=True)
    good = 2 * (5 + len(odd))
    assert printed.splitlines() == [f"{good} 500 ['.jpg']", f"{good} 500 ['.jpg']", "True"]
    assert risen < 400 * MIB


BOMBS = """
import numpy as np
from engine.data.squares import decode
from engine.hosts.tuning import tune_process
from tests.engine.work import result
tune_process()
"""
DECODE = """
pixels = np.zeros((len(sys.argv) - 1, 224, 224, 3), np.uint8)
print(result(decode(sys.argv[1:], pixels, workers=8))[0])
print(pixels[:, 100, 100, 0].tolist())
"""


@pytest.mark.slow
def test_large_images_together_take_the_memory_of_a_few(tmp_path: Path) -> None:
    side = 8000  # 64 million pixels each
    kinds: dict[str, Callable[[], Image.Image]] = {
        "rgba": lambda: Image.new("RGBA", (side, side), (200, 0, 0, 255)),
        "palette": lambda: Image.new("P", (side, side), 0),
        "grey": lambda: Image.new("L", (side, side), 200),
        "deep": lambda: Image.fromarray(np.full((side, side), 200 * 257, np.uint16)),
        "again": lambda: Image.new("RGB", (side, side), (200, 0, 0)),
    }
    for name, make in kinds.items():
        make().save(tmp_path / f"{name}.png", compress_level=1)
    shutil.copy(tmp_path / "rgba.png", tmp_path / "more.png")
    paths = [tmp_path / f"{name}.png" for name in (*kinds, "more")]
    risen, printed = rise(BOMBS, DECODE, *paths)
    assert printed.splitlines() == [str([None] * 6), str([200, 0, 200, 200, 200, 200])]
    assert risen < images.MOST_PIXELS * 4 + 200 * MIB, "without a bound it is twice as much on 8 threads"


def test_threads_share_the_room_for_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MOST_PIXELS", 100)
    held: list[int] = []
    most: list[int] = []

    def hold(pixels: int) -> None:
        for _ in range(50):
            with images._room_for(pixels):
                held.append(pixels)
                most.append(sum(held))
                held.remove(pixels)

    threads = [threading.Thread(target=hold, args=(pixels,)) for pixels in (30, 60, 90, 100, 250, 250)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert max(most) <= 250, "one that is larger than the room is alone in it"
    assert not images._held


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "P", "CMYK", "1", "I;16", "I", "F", "LA"])
@pytest.mark.parametrize("size", [(300, 200), (150, 400), (2000, 60), (97, 101)])
def test_strips_show_what_the_whole_shows(
    tmp_path: Path, mode: str, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    if mode in ("I;16", "I", "F"):
        kind = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
        image = Image.fromarray((np.asarray(picture("L", size), np.float64) * 200).astype(kind))
    else:
        image = picture("RGB", size).convert(mode)
    if mode in ("RGBA", "LA"):
        image.putalpha(picture("L", size))
    path = tmp_path / "x.tiff"
    image.save(path)
    whole = square(str(path), SIDE).astype(int)
    monkeypatch.setattr(images, "LARGE", 0)
    monkeypatch.setattr(images, "STRIP", 500)
    difference = np.abs(square(str(path), SIDE).astype(int) - whole)
    # another filter, which dots of black and white feel more
    assert difference.mean() < (12 if mode == "1" else 3)
    assert difference.max() <= (90 if mode == "1" else 25)


def bases() -> list[bytes]:
    """A small file of every sort whose decoder is to be fuzzed."""
    image = picture(size=(32, 24))
    grey = Image.fromarray((np.asarray(image.convert("L"), np.uint16) * 257).astype(np.uint16))
    exif = rotated()
    return [
        saved(image, "JPEG"),
        saved(image, "JPEG", progressive=True, optimize=True),
        saved(image.convert("CMYK"), "JPEG"),
        exif,
        saved(image, "PNG"),
        saved(image.convert("RGBA"), "PNG"),
        saved(image.quantize(16), "PNG", transparency=0),
        saved(grey, "PNG"),
        animated("PNG"),
        saved(image, "TIFF"),
        saved(image, "TIFF", compression="tiff_lzw"),
        saved(image, "TIFF", compression="tiff_adobe_deflate"),
        saved(image, "TIFF", compression="jpeg"),
        saved(image.convert("1"), "TIFF", compression="group4"),
        saved(grey, "TIFF"),
        saved(image, "GIF"),
        animated("GIF"),
        saved(image, "WEBP"),
        saved(image.convert("RGBA"), "WEBP", lossless=True),
        animated("WEBP"),
        saved(image, "BMP"),
        saved(image, "PPM"),
    ]


BASES = bases()
EXTREMES = (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\0\x40\0", b"\0\x40\0\0")


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A file of :data:`BASES` after a few changes at places anywhere."""
    content = bytearray(draw(st.sampled_from(BASES)))
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, max(0, len(content) - 1)))
        length = draw(st.integers(1, 24))
        match draw(st.sampled_from(["bytes", "extreme", "cut", "repeat", "insert", "end", "splice"])):
            case "bytes":
                content[place : place + length] = draw(st.binary(min_size=1, max_size=length))
            case "extreme":
                content[place : place + 4] = draw(st.sampled_from(EXTREMES))
            case "cut":
                del content[place : place + length]
            case "repeat":
                content[place:place] = content[place : place + length] * draw(st.integers(1, 20))
            case "insert":
                content[place:place] = draw(st.binary(max_size=length))
            case "end":
                del content[place:]
            case "splice":
                other = draw(st.sampled_from(BASES))
                content[place:] = other[draw(st.integers(0, len(other))) :]
    return bytes(content)


def check_damaged(path: Path, content: bytes) -> str:
    """Decodes the content; all that may come of it is a picture or a reason."""
    path.write_bytes(content)
    pixels: NDArray[np.uint8] = np.full((SIDE, SIDE, 3), 7, np.uint8)
    undecoded = decode_into(pixels, str(path))
    reason = undecoded.reason if undecoded else ""
    assert reason.isprintable()
    assert len(reason) <= 120
    assert reason == shown(reason)
    assert not reason or (pixels == 7).all()
    return reason


def test_damaged_files_are_pictures_or_named(
    tmp_path_factory: pytest.TempPathFactory, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path_factory.mktemp("fuzz") / "x.jpg"
    reasons = []

    @EXAMPLES
    @given(damaged())
    def fuzz(content: bytes) -> None:
        reasons.append(check_damaged(path, content))

    fuzz()
    assert any(reasons)
    assert not all(reasons)
    assert len(set(reasons)) > 5, "it finds more than one way to fail"
    assert capfd.readouterr() == ("", "")


def test_decoding_goes_on_past_what_is_broken(tmp_path: Path) -> None:
    contents = [*(content for content, _ in without_picture().values()), *map(content_of, CONVERTIBLE)]
    paths = []
    for number, content in enumerate(contents):
        paths.append(tmp_path / f"{number}.jpg")
        paths[-1].write_bytes(content)
    pixels = np.zeros((len(paths), SIDE, SIDE, 3), np.uint8)
    reasons, _ = result(decode([str(path) for path in paths], pixels, workers=3))
    assert [bool(reason) for reason in reasons] == [True] * len(without_picture()) + [False] * len(CONVERTIBLE)
