"""What a network sees of decoded images: central squares, random views, normalised values.

Works on whole batches, on the device that they are on.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from engine.specs.strategy import Augmentation

ASPECT = (3 / 4, 4 / 3)
TRIES = 10


def central(pixels: Tensor, crop: int) -> Tensor:
    """The central squares: uint8 (B, 3, S, S) to (B, 3, crop, crop), with crop ≤ S."""
    side = pixels.shape[-1]
    if crop > side:
        raise ValueError(f"a crop of {crop} pixels does not fit into images of {side}")
    start = round((side - crop) / 2)
    return pixels[..., start : start + crop, start : start + crop]


def draw_views(count: int, augmentation: Augmentation, generator: torch.Generator) -> Tensor:
    """What :func:`random_views` is to show of so many images: affine matrices float32 (count, 2, 3), on the CPU.

    A part of each image (its area uniform in ``crop_area``..1 of the whole, its width to height log-uniform in
    3/4..4/3, like torchvision's ``RandomResizedCrop``); with ``flip`` every second one mirrored. All randomness comes
    from ``generator``, which is on the CPU.
    """
    mirrored = torch.rand(count, generator=generator) < (0.5 if augmentation.flip else 0.0)
    left, top, width, height = _random_boxes(count, augmentation.crop_area, generator)
    matrices = torch.zeros(count, 2, 3)
    matrices[:, 0, 0] = torch.where(mirrored, -width, width)
    matrices[:, 1, 1] = height
    matrices[:, 0, 2] = 2 * left + width - 1
    matrices[:, 1, 2] = 2 * top + height - 1
    return matrices


def random_views(pixels: Tensor, crop: int, augmentation: Augmentation, matrices: Tensor) -> Tensor:
    """The views that were drawn, resampled bilinearly: uint8 (B, 3, S, S) to float32 (B, 3, crop, crop) in 0..255.

    ``matrices`` (B, 2, 3) on the device of the pixels. ``crop_area`` 1 is the central square, mirrored or not.
    """
    if augmentation.crop_area == 1:
        views = central(pixels, crop).float()
        return torch.where((matrices[:, 0, 0] < 0)[:, None, None, None], views.flip(-1), views)
    return functional.grid_sample(pixels.float(), _grid(matrices, crop), "bilinear", "border", align_corners=False)


def _grid(matrices: Tensor, crop: int) -> Tensor:
    """Where the pixels of each view lie in its image: float32 (B, crop, crop, 2), x and y in -1..1.

    As :func:`torch.nn.functional.affine_grid` for matrices that turn nothing, of which it makes a product that TF32
    would cut to 10 bits, and that takes longer.
    """
    middles = torch.linspace(-1, 1, crop, device=matrices.device) * ((crop - 1) / crop)
    x, y = (matrices[:, at, at, None] * middles + matrices[:, at, 2, None] for at in (0, 1))
    return torch.stack((x[:, None, :].expand(-1, crop, -1), y[:, :, None].expand(-1, -1, crop)), dim=-1)


def normalise(pixels: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Pixels (B, 3, H, W) in 0..255 as a backbone's input: scaled to 0..1, minus ``mean``, divided by ``std``.

    ``mean`` and ``std``: float32 (3,), on the device of the pixels, since copying them there would wait for it. In the
    channels_last memory format.
    """
    # In 0..255 throughout, so that the division by 255 costs no pass of its own; and in whole lines of pixels, since
    # loops over three values are slow.
    width = pixels.shape[-1]
    shift, scale = (values.mul(255).repeat(width) for values in (mean, std))
    lines = pixels.permute(0, 2, 3, 1).flatten(2)
    return lines.sub(shift).div_(scale).view(len(pixels), -1, width, 3).permute(0, 3, 1, 2)


def _random_boxes(count: int, crop_area: float, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Left, top, width and height of boxes within a square of side 1, each (count,)."""
    area = crop_area + (1 - crop_area) * torch.rand(TRIES, count, generator=generator)
    low, high = (math.log(aspect) for aspect in ASPECT)
    aspect = (low + (high - low) * torch.rand(TRIES, count, generator=generator)).exp()
    widths, heights = (area * aspect).sqrt(), (area / aspect).sqrt()
    fits = (widths <= 1) & (heights <= 1)
    # The first try that fits, the whole image where none does: drawing all tries at once keeps this one batch.
    first = fits.int().argmax(0)
    some = fits.any(0)
    number = torch.arange(count)
    width, height = (torch.where(some, sizes[first, number], 1.0) for sizes in (widths, heights))
    left, top = (torch.rand(count, generator=generator) * (1 - size) for size in (width, height))
    return left, top, width, height
