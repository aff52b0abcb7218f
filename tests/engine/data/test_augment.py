import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision import transforms
from torchvision.transforms import functional

from engine.data.augment import _grid, _random_boxes, central, draw_views, normalise, random_views
from engine.specs.strategy import Augmentation


def pixels(count: int = 2, side: int = 32) -> Tensor:
    return torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8, generator=seeded(0))


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def seen(batch: Tensor, crop: int, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    return random_views(batch, crop, augmentation, draw_views(len(batch), augmentation, generator))


@pytest.mark.parametrize(("side", "crop"), [(256, 224), (32, 28), (33, 28), (32, 27), (32, 32)])
def test_the_central_square_is_that_of_torchvision(side: int, crop: int) -> None:
    batch = pixels(2, side)
    assert torch.equal(central(batch, crop), functional.center_crop(batch, [crop, crop]))


def test_a_crop_larger_than_the_image_is_an_error() -> None:
    with pytest.raises(ValueError, match="40 pixels does not fit into images of 32"):
        central(pixels(), 40)


def test_without_augmentation_training_sees_what_validation_sees() -> None:
    batch = pixels()
    views = seen(batch, 28, Augmentation(), seeded(1))
    assert views.dtype == torch.float32
    assert torch.equal(views, central(batch, 28).float())


def test_half_of_the_images_are_mirrored() -> None:
    batch = pixels(400, 8)
    views = seen(batch, 6, Augmentation(flip=True), seeded(0))
    plain = central(batch, 6).float()
    mirrored = (views == plain.flip(-1)).flatten(1).all(1)
    assert ((views == plain).flatten(1).all(1) ^ mirrored).all()
    assert 160 < int(mirrored.sum()) < 240


def test_a_view_lies_where_an_affine_matrix_says() -> None:
    matrices = draw_views(5, Augmentation(0.3, flip=True), seeded(2))
    expected = torch.nn.functional.affine_grid(matrices, [5, 3, 224, 224], align_corners=False)
    assert torch.allclose(_grid(matrices, 224), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("flip", [False, True])
def test_a_view_is_the_box_resized(flip: bool) -> None:
    batch = pixels(6, 64)
    views = seen(batch, 64, Augmentation(0.3, flip), seeded(5))
    generator = seeded(5)
    mirrored = torch.rand(6, generator=generator) < (0.5 if flip else 0)
    for number, (left, top, width, height) in enumerate(zip(*_random_boxes(6, 0.3, generator), strict=True)):
        box = [64 * float(value) for value in (left, top, left + width, top + height)]
        for channel in range(3):
            image = Image.fromarray(batch[number, channel].numpy().astype(np.float32))
            wanted = torch.from_numpy(np.array(image.resize((64, 64), Image.Resampling.BILINEAR, box=tuple(box))))
            wanted = wanted.flip(-1) if mirrored[number] else wanted
            # Inside only: at its rim Pillow does not look beyond the box, grid_sample does.
            assert torch.allclose(views[number, channel, 2:-2, 2:-2], wanted[2:-2, 2:-2], atol=0.1)


def test_views_stay_within_the_range_and_have_no_dark_rim() -> None:
    views = seen(torch.full((50, 3, 32, 32), 255, dtype=torch.uint8), 28, Augmentation(0.2, True), seeded(0))
    assert views.shape == (50, 3, 28, 28)
    assert torch.allclose(views, torch.full_like(views, 255.0))


def test_views_depend_on_the_generator_alone() -> None:
    batch = pixels()
    augmentation = Augmentation(0.5, True)
    one, two, other = (seen(batch, 28, augmentation, seeded(seed)) for seed in (3, 3, 4))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


@pytest.mark.parametrize("crop_area", [0.08, 0.5, 0.9])
def test_boxes_are_distributed_as_torchvisions(crop_area: float) -> None:
    left, top, width, height = _random_boxes(4000, crop_area, seeded(0))
    assert min(left.min(), top.min()) >= 0
    assert max((left + width).max(), (top + height).max()) <= 1 + 1e-6
    torch.manual_seed(0)
    image = torch.empty(3, 1000, 1000)
    params = [transforms.RandomResizedCrop.get_params(image, [crop_area, 1.0], [3 / 4, 4 / 3]) for _ in range(4000)]
    theirs_top, theirs_left, theirs_height, theirs_width = (
        torch.tensor(values) / 1000 for values in zip(*params, strict=True)
    )
    quantiles = torch.tensor([0.05, 0.25, 0.5, 0.75, 0.95])
    pairs = [
        (left, theirs_left),
        (top, theirs_top),
        (width * height, theirs_width * theirs_height),
        (width / height, theirs_width / theirs_height),
    ]
    for ours, theirs in pairs:
        assert torch.allclose(ours.quantile(quantiles), theirs.quantile(quantiles), atol=0.04)


def test_normalised_as_torchvision_does() -> None:
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    batch = pixels()
    wanted = functional.normalize(functional.convert_image_dtype(batch), mean.tolist(), std.tolist())
    for given in (batch, batch.float()):
        before = given.clone()
        result = normalise(given, mean, std)
        assert torch.allclose(result, wanted, atol=1e-5)
        assert result.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(given, before)
