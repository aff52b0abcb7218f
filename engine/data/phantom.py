"""Drawing the demo set's pictures: invented masses, smooth or spiculated, in invented tissue. Imports without torch.

None of it is, or is made from, medical data. What makes the task hard is what the two kinds of mass share: both
come with low contrast, blurred edges and bumps, and tissue has bright strands of its own that look like spicules.
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Grey = NDArray[np.float32]
Kind = Literal["benign", "malignant"]
SIDE = 128


class Mass(Struct, frozen=True):
    """The mass of one patient, the same in all views. Lengths are shares of the mass's radius.

    ``radius`` in pixels; ``contrast`` above the tissue; ``edge``: width of the blurred rim; ``bumps``: amplitudes and
    phases of the outline's waves; ``spicules``: angle (radians), length and width of each ray.
    """

    radius: float
    contrast: float
    edge: float
    bumps: tuple[tuple[float, float], ...]
    spicules: tuple[tuple[float, float, float], ...]


def mass(kind: Kind, rng: np.random.Generator) -> Mass:
    """A mass of this kind; the ranges of the two kinds overlap."""
    if kind == "benign":
        bumpiness, number, reach = rng.uniform(0.02, 0.06), rng.integers(0, 5), rng.uniform(0.1, 0.35)
    else:
        bumpiness, number, reach = rng.uniform(0.04, 0.1), rng.integers(9, 21), rng.uniform(0.4, 1.1)
    angles = rng.uniform(0, 2 * math.pi, number)
    lengths = reach * rng.uniform(0.5, 1.3, number)
    widths = rng.uniform(0.06, 0.16, number)
    return Mass(
        radius=rng.uniform(18, 30),
        contrast=rng.uniform(0.24, 0.5),
        edge=rng.uniform(0.06, 0.24),
        bumps=tuple((rng.normal() * bumpiness, rng.uniform(0, 2 * math.pi)) for _ in range(3)),
        spicules=tuple(zip(angles.tolist(), lengths.tolist(), widths.tolist(), strict=True)),
    )


def view(one: Mass, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A view of the mass, turned and shifted, in tissue of its own: uint8 (SIDE, SIDE) grey."""
    picture = 0.42 + 0.10 * _tissue(rng) + _strands(rng)
    picture += one.contrast * rng.uniform(0.8, 1.2) * _shape(one, rng)
    picture += 0.025 * rng.standard_normal(picture.shape, np.float32)
    return (picture.clip(0, 1) * 255).round().astype(np.uint8)


def _shape(one: Mass, rng: np.random.Generator) -> Grey:
    """How much of each pixel is mass, in 0..1."""
    shift_x, shift_y = rng.uniform(-11, 11), rng.uniform(-11, 11)
    turn, squeeze = rng.uniform(0, 2 * math.pi), rng.uniform(0.85, 1.18)
    x, y = _coordinates()
    x, y = (x - 0.5 * SIDE - shift_x) * squeeze / one.radius, (y - 0.5 * SIDE - shift_y) / squeeze / one.radius
    distance, angle = np.hypot(x, y), np.arctan2(y, x) + turn
    outline = np.ones_like(distance)
    for wave, (amplitude, phase) in enumerate(one.bumps, start=2):
        outline += amplitude * np.cos(wave * angle + phase)
    rays = np.zeros_like(distance)
    for direction, length, width in one.spicules:
        cosine, sine = math.cos(direction - turn), math.sin(direction - turn)
        aside, ahead = (x * sine - y * cosine) / width, x * cosine + y * sine > 0.5
        fading = 1 - ((distance - outline) / length).clip(0, 1)
        rays = np.maximum(rays, np.exp(-(aside**2)) * fading * ahead)
    return np.asarray(np.maximum(_soft(outline - distance, one.edge), 0.8 * rays))


def _tissue(rng: np.random.Generator) -> Grey:
    """Noise whose amplitude falls with spatial frequency (about 1/f), of mean 0 and standard deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None, :])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.standard_normal((SIDE, SIDE))) / frequency**1.3
    noise = np.fft.irfft2(spectrum, s=(SIDE, SIDE))
    return np.asarray(noise / noise.std(), np.float32)


def _strands(rng: np.random.Generator) -> Grey:
    """Bright, slightly bent strands anywhere in the picture."""
    x, y = (axis / SIDE - 0.5 for axis in _coordinates())
    strands = np.zeros((SIDE, SIDE), np.float32)
    for _ in range(rng.integers(3, 9)):
        turn, offset, bend = rng.uniform(0, math.pi), rng.uniform(-0.5, 0.5), rng.normal() * 0.4
        along = x * math.cos(turn) + y * math.sin(turn)
        aside = y * math.cos(turn) - x * math.sin(turn) - offset - bend * along**2
        part = np.exp(-(((along - rng.uniform(-0.5, 0.5)) / rng.uniform(0.1, 0.3)) ** 2))
        strands += rng.uniform(0.05, 0.14) * part * np.exp(-((aside / rng.uniform(0.006, 0.014)) ** 2))
    return strands


def _coordinates() -> tuple[Grey, Grey]:
    """Each pixel's x and y, both (SIDE, SIDE)."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    return x, y


def _soft(inside: Grey, width: float) -> Grey:
    """A step from 0 to 1 where ``inside`` changes its sign, blurred over ``width``."""
    return np.asarray(1 / (1 + np.exp((-4 / width * inside).clip(-50, 50))))
