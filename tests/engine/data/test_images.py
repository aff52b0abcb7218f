import os
import threading
import warnings
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torchvision import transforms

from engine.data import images, squares
from engine.data.images import FORMATS, thumbnail
from engine.data.squares import decode, square
from engine.data.threads import in_order
from tests.engine.work import result

SIDE = 24


class Decoded(NamedTuple):
    pixels: NDArray[np.uint8]
    reasons: list[str]


def decoded(*paths: Path, side: int = SIDE, workers: int | None = 2) -> Decoded:
    pixels = np.zeros((len(paths), side, side, 3), np.uint8)
    undecoded, done = result(decode([str(path) for path in paths], pixels, workers))
    assert done == list(range(1, len(paths) + 1))
    return Decoded(pixels, [one.reason if one else "" for one in undecoded])


def smooth(width: int, height: int) -> NDArray[np.uint8]:
    """A picture with slow waves, which JPEG changes little, and a different corner each."""
    y, x = np.mgrid[:height, :width]
    parts = [x / width, y / height, (x / width + y / height) / 2]
    return (np.stack([part * 200 + 30 for part in parts], axis=-1)).round().astype(np.uint8)


def noise(width: int, height: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def reference(image: Image.Image, side: int) -> NDArray[np.int64]:
    chain = transforms.Compose([transforms.Resize(side), transforms.CenterCrop(side)])
    return np.asarray(chain(image.convert("RGB")), np.int64)


@pytest.mark.parametrize("size", [(40, 30), (30, 40), (51, 24), (24, 24), (7, 5), (333, 100), (100, 257)])
@pytest.mark.parametrize("side", [24, 25])
def test_squares_are_those_of_torchvision(tmp_path: Path, size: tuple[int, int], side: int) -> None:
    image = Image.fromarray(noise(*size))
    image.save(tmp_path / "x.png")
    difference = np.abs(square(str(tmp_path / "x.png"), side) - reference(image, side))
    assert difference.max() <= 1
    assert difference.mean() < 0.4  # Pillow chooses by size which axis it resizes first, and rounds in between


def test_jpegs_at_a_reduced_scale_look_the_same(tmp_path: Path) -> None:
    path = tmp_path / "large.jpg"
    Image.fromarray(smooth(640, 480)).save(path, quality=95)
    with Image.open(path) as image:
        wanted = reference(image, SIDE)
    assert np.abs(square(str(path), SIDE) - wanted).max() <= 2


def test_pixels_keep_their_order(tmp_path: Path) -> None:
    colours = [(250, 10, 20), (10, 240, 30), (20, 30, 230), (100, 100, 100)] * 20
    for number, colour in enumerate(colours):
        Image.new("RGB", (30 + number % 7, 26), colour).save(tmp_path / f"{number}.png")
    result = decoded(*(tmp_path / f"{number}.png" for number in range(len(colours))), workers=3)
    assert result.pixels[:, 5, 5].tolist() == [list(colour) for colour in colours]
    assert result.reasons == [""] * 80


@pytest.mark.parametrize("ending", ["png", "webp", "bmp", "tiff", "gif", "jpg"])
def test_formats(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x.{ending}"
    Image.new("RGB", (30, 30), (200, 100, 40)).save(path)
    assert decoded(path).pixels[0, 12, 12].tolist() == pytest.approx([200, 100, 40], abs=4)


def test_the_name_does_not_decide_the_format(tmp_path: Path) -> None:
    Image.new("RGB", (30, 30), (200, 100, 40)).save(tmp_path / "x.jpg", format="PNG")
    assert decoded(tmp_path / "x.jpg").pixels[0, 12, 12].tolist() == [200, 100, 40]


def flat(values: NDArray[np.generic]) -> Image.Image:
    return Image.fromarray(values)


def modes() -> dict[str, tuple[Image.Image, str, list[int]]]:
    """Images in all sorts of modes: image, ending, and the colour that is expected of them."""
    red = Image.new("RGB", (30, 30), (230, 20, 10))
    palette = red.quantize(4)
    see_through = red.quantize(4)
    see_through.info["transparency"] = bytes([0, 0, 0, 0])
    return {
        "grey": (Image.new("L", (30, 30), 77), "png", [77] * 3),
        "one bit": (Image.new("1", (30, 30), 1), "png", [255] * 3),
        "palette": (palette, "png", [230, 20, 10]),
        "palette, transparent": (see_through, "png", [255] * 3),
        "cmyk": (Image.new("CMYK", (30, 30), (0, 255, 255, 0)), "tiff", [255, 0, 0]),
        "cmyk jpeg": (Image.new("CMYK", (30, 30), (0, 255, 255, 0)), "jpg", [255, 0, 0]),
        "opaque": (Image.new("RGBA", (30, 30), (50, 100, 150, 255)), "png", [50, 100, 150]),
        "half opaque": (Image.new("RGBA", (30, 30), (0, 0, 0, 51)), "webp", [204] * 3),
        "transparent": (Image.new("RGBA", (30, 30), (9, 9, 9, 0)), "png", [255] * 3),
        "grey with alpha": (Image.new("LA", (30, 30), (0, 0)), "png", [255] * 3),
        "16 bits": (flat(np.full((30, 30), 65535, np.uint16)), "png", [255] * 3),
        "16 bits, half": (flat(np.full((30, 30), 32896, np.uint16)), "png", [128] * 3),
        "16 bits, tiff": (flat(np.full((30, 30), 25700, np.uint16)), "tiff", [100] * 3),
    }


@pytest.mark.parametrize("name", modes())
def test_modes(tmp_path: Path, name: str) -> None:
    image, ending, expected = modes()[name]
    path = tmp_path / f"x.{ending}"
    image.save(path, **({"lossless": True} if ending == "webp" else {}))
    assert decoded(path).pixels[0, 12, 12].tolist() == pytest.approx(expected, abs=2)


@pytest.mark.parametrize("dtype", [np.int32, np.float32])
def test_deep_grey_without_a_white_of_its_own_is_stretched(tmp_path: Path, dtype: type[np.generic]) -> None:
    values = np.linspace(-1000, 3000, 24, dtype=np.float64)[None, :].repeat(24, 0).astype(dtype)
    flat(values).save(tmp_path / "x.tiff")
    row = decoded(tmp_path / "x.tiff").pixels[0, 0, :, 0]
    assert row.tolist() == pytest.approx(np.linspace(0, 255, 24).round().tolist(), abs=1)


def test_floating_point_that_is_no_number_harms_nothing(tmp_path: Path) -> None:
    values = np.full((24, 24), np.nan, np.float32)
    values[:, 12:] = 1
    flat(values).save(tmp_path / "x.tiff")
    assert decoded(tmp_path / "x.tiff").pixels[0, 0, :, 0].tolist() == [0] * 12 + [255] * 12


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_rotated(tmp_path: Path, orientation: int) -> None:
    image = Image.fromarray(smooth(90, 60))
    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = image.transpose(turns[orientation]) if orientation in turns else image
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "x.jpg", exif=exif, quality=98, subsampling=0)
    assert np.abs(square(str(tmp_path / "x.jpg"), 60) - reference(image, 60)).max() <= 6


@pytest.mark.parametrize(
    ("width", "height", "wanted"),
    [(90, 60, (45, 30)), (60, 90, (27, 40)), (10, 10, (40, 40)), (2000, 3, (60, 1)), (3, 2000, (1, 40))],
)
@pytest.mark.parametrize("ending", ["jpg", "png"])
def test_thumbnails_show_the_whole_image(
    tmp_path: Path, width: int, height: int, wanted: tuple[int, int], ending: str
) -> None:
    path = tmp_path / f"x.{ending}"
    Image.fromarray(smooth(width, height)).save(path, **({"quality": 98, "subsampling": 0} if ending == "jpg" else {}))
    small = thumbnail(str(path), (60, 40) if wanted != (45, 30) else (45, 33))[0]
    assert small.mode == "RGB" and small.size == wanted
    expected = Image.fromarray(smooth(width, height)).resize(small.size, Image.Resampling.BILINEAR)
    assert np.abs(np.asarray(small, np.int64) - np.asarray(expected, np.int64)).max() <= 8


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "I;16", "1"])
def test_thumbnails_of_large_images_are_made_in_strips(
    tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "LARGE", 1000)
    monkeypatch.setattr(images, "STRIP", 2000)
    image = Image.fromarray(smooth(400, 300).astype(np.uint16)[..., 0] * 257) if mode == "I;16" else None
    image = Image.fromarray(smooth(400, 300)).convert(mode) if image is None else image
    image.save(tmp_path / "x.png")
    small = np.asarray(thumbnail(str(tmp_path / "x.png"), (20, 20))[0], np.int64)
    assert small.shape == (15, 20, 3)
    column = small[:, :, 0].mean(axis=0)
    assert (np.diff(column) > 0).sum() >= 15, "it is brighter from left to right"


def test_thumbnails_are_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(smooth(90, 60)).save(tmp_path / "x.jpg", exif=exif)
    small, whole = thumbnail(str(tmp_path / "x.jpg"), (30, 30))
    assert small.size == (20, 30) and whole == (60, 90)


def test_why_there_is_no_thumbnail(broken: dict[str, Path], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    files = {**broken, "not a file": tmp_path / "pipe.png"}
    del files["is a directory"]
    for reason, path in files.items():
        with pytest.raises(ValueError, match=reason):
            thumbnail(str(path), (20, 20))


def test_broken_exif_harms_nothing(tmp_path: Path) -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01\x03\0\x01\0\0\0"
    Image.new("RGB", (30, 30), (200, 100, 40)).save(tmp_path / "x.jpg", exif=exif)
    assert decoded(tmp_path / "x.jpg").reasons == [""]


def test_of_an_animation_the_first_frame(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (30, 30), colour) for colour in ("red", "blue")]
    for ending in ("gif", "webp", "tiff"):
        frames[0].save(tmp_path / f"x.{ending}", save_all=True, append_images=frames[1:])
        red, _, blue = decoded(tmp_path / f"x.{ending}").pixels[0, 12, 12].tolist()
        assert (red > 200, blue < 50) == (True, True)


def test_a_very_long_image_needs_no_huge_one_on_the_way(tmp_path: Path) -> None:
    Image.new("RGB", (60_000, 1), (200, 100, 40)).save(tmp_path / "x.png")
    assert decoded(tmp_path / "x.png", side=256).pixels[0, 100, 100].tolist() == [200, 100, 40]


@pytest.fixture
def broken(tmp_path: Path) -> dict[str, Path]:
    """Files that cannot be decoded, by the reason that is expected."""
    good = tmp_path / "good.jpg"
    Image.fromarray(noise(200, 200)).save(good)
    Image.fromarray(noise(30, 30)).save(tmp_path / "good.png")
    damaged = bytearray((tmp_path / "good.png").read_bytes())
    damaged[damaged.index(b"IDAT") + 4] ^= 0xFF
    files = {
        "the file is empty": b"",
        "not an image format that can be read": b"<html>not found</html>",
        "the file is truncated": good.read_bytes()[:3000],
        "broken image": bytes(damaged),
    }
    paths = {}
    for number, (reason, content) in enumerate(files.items()):
        paths[reason] = tmp_path / f"broken-{number}.jpg"
        paths[reason].write_bytes(content)
    paths["no such file or directory"] = tmp_path / "nowhere.jpg"
    paths["is a directory"] = tmp_path
    return paths


def test_what_cannot_be_decoded_is_said_and_left_as_it_was(
    tmp_path: Path, broken: dict[str, Path], capfd: pytest.CaptureFixture[str]
) -> None:
    goods = []
    for number in range(3):
        goods.append(tmp_path / f"good-{number}.png")
        Image.new("RGB", (30, 30), (number, 0, 0)).save(goods[-1])
    order = [broken["the file is empty"], goods[0], *list(broken.values())[1:4], goods[1], goods[2]]
    order += list(broken.values())[4:]
    result = decoded(*order)
    assert [number for number, reason in enumerate(result.reasons) if not reason] == [1, 5, 6]
    assert result.pixels[[1, 5, 6], 0, 0, 0].tolist() == [0, 1, 2]
    reasons = dict(zip(order, result.reasons, strict=True))
    for expected, path in broken.items():
        assert reasons[path].startswith(expected)
        assert reasons[path].isprintable()
    assert capfd.readouterr() == ("", "")


def test_of_a_file_that_is_gone_by_now_it_is_said_too(tmp_path: Path) -> None:
    assert images.reason(str(tmp_path / "gone"), UnidentifiedImageError()) == "not an image format that can be read"


def test_nothing_readable_and_nothing_at_all(broken: dict[str, Path]) -> None:
    assert all(decoded(*broken.values()).reasons)
    assert decoded().reasons == []


@pytest.mark.parametrize(("limit", "left_out"), [(600, False), (400, True)])
def test_far_too_many_pixels(tmp_path: Path, limit: int, left_out: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (30, 30)).save(tmp_path / "x.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)  # Pillow warns from here and refuses from twice as many
    assert decoded(tmp_path / "x.png").reasons == ["too many pixels" if left_out else ""]


def test_damaged_files_never_raise(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(0)
    paths = []
    for ending in ("jpg", "png", "webp", "tiff", "bmp", "gif"):
        Image.fromarray(smooth(40, 40)).save(tmp_path / f"whole.{ending}")
        whole = np.frombuffer((tmp_path / f"whole.{ending}").read_bytes(), np.uint8)
        for number in range(12):
            damaged = whole.copy()
            damaged[rng.integers(0, len(whole), 10)] = rng.integers(0, 256, 10)
            paths.append(tmp_path / f"{number}.{ending}")
            paths[-1].write_bytes(damaged[: rng.integers(len(whole) // 2, len(whole) + 1)].tobytes())
    result = decoded(*paths)
    assert any(result.reasons)
    assert all(len(reason) <= 140 for reason in result.reasons)
    assert capfd.readouterr() == ("", "")


def test_pillows_own_warnings_stay_off_the_terminal(tmp_path: Path) -> None:
    Image.new("RGB", (30, 30)).save(tmp_path / "x.png")
    decoded(tmp_path / "x.png")
    with warnings.catch_warnings(record=True) as caught:
        warnings.warn_explicit("odd", UserWarning, "x.py", 1, module="PIL.TiffImagePlugin")
    assert caught == []


def test_tasks_run_at_once_and_ahead() -> None:
    both = threading.Barrier(2)
    begun = []

    def task(number: int) -> int:
        begun.append(number)
        if number < 2:
            both.wait(20)  # fails where one does not begin before the other has ended
        return number

    results = in_order((partial(task, number) for number in range(100)), workers=2, ahead=3)
    assert next(results) == 0
    assert len(begun) <= 7
    assert list(results) == list(range(1, 100))


def test_closing_ends_the_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (30, 30)).save(tmp_path / "x.png")
    started = []
    real = squares.square

    def counted(path: str, side: int) -> NDArray[np.uint8]:
        started.append(path)
        return real(path, side)

    monkeypatch.setattr(squares, "square", counted)
    decoding = decode([str(tmp_path / "x.png")] * 1000, np.zeros((1000, SIDE, SIDE, 3), np.uint8), workers=2)
    assert next(decoding) == 1
    decoding.close()
    assert len(started) <= 1 + 4 * 2 + 1
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_only_image_formats_are_tried() -> None:
    Image.init()
    assert set(FORMATS) <= set(Image.OPEN)
    assert "EPS" in Image.OPEN, "the reason why there is a list"
    assert "EPS" not in FORMATS
