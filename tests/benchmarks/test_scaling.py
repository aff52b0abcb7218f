"""The benchmark of growing data: its images and its table."""

from pathlib import Path

import msgspec
import psutil
from PIL import Image

from benchmarks.measure import Counted, Trained, Watched
from benchmarks.scaling import Row, bytes_of_an_image, draw, environment, scaling_table
from engine.models.backbones import preprocessing
from engine.specs.presets import presets

STRATEGY = msgspec.structs.replace(presets()["mobilenetv3-extract"], image_size=128)


def test_images_differ_and_are_divided(tmp_path: Path) -> None:
    draw(tmp_path / "images", 20)
    files = sorted(tmp_path.glob("images/*/*/*.jpg"))
    assert len({file.read_bytes() for file in files}) == 20
    assert [len(list(tmp_path.glob(f"images/{part}/*/*.jpg"))) for part in ("train", "val")] == [16, 4]
    with Image.open(files[0]) as image:
        assert image.size == (160, 160)


def test_bytes_of_an_image_is_the_engine_s() -> None:
    assert bytes_of_an_image(STRATEGY) == 3 * preprocessing(STRATEGY.backbone, STRATEGY.image_size).resize ** 2


def test_the_bound_is_a_share_of_what_is_free() -> None:
    share = float(environment("bounded", psutil.virtual_memory().available // 4)["TL_TUI_RAM_SHARE"])
    assert 0.2 < share < 0.3


def test_table_has_a_row_for_each_number_of_images() -> None:
    counted = Counted(Trained((), 500, "none", "fp32, images in memory"), 4.0, 5.0, 700 * 2**20)
    watched = Watched(9.0, 400 * 2**20, 0, 0.1)
    text = scaling_table([Row(STRATEGY, 500, 3 * 2**20, ((counted, watched),))])
    row = [cell.strip() for cell in text.splitlines()[2].split("|")[1:-1]]
    assert row == ["mobilenetv3-extract at 128 px · fp32, images in memory", "500", "4", "8", "700", "400", "3"]
    assert "(epochs: 5)" in text
    assert "Other processes took 10 %" in text
