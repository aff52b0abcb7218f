"""Drawing the demo set's pictures: invented masses, smooth or spiculated, in invented tissue. Imports without torch.

None of it is, or is made from, medical data. What makes the task hard is what the two kinds of mass share: both
come with low contrast, blurred edges and bumps, and tissue has bright strands of its own that look like spicules.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Grey = NDArray[np.float64]
Kind = Literal["benign", "malignant"]
SIDE = 128


class Mass(Struct, frozen=True):
    """The mass of one patient, the same in all views. Lengths are shares of the mass's radius.

    ``radius`` in pixels; ``contrast`` above the tissue; ``edge``: width of the blurred rim; ``bumps``: amplitudes and
    phases of the outline's waves; ``spicules``: angle, length and width (radians) of each ray.
    """

    radius: float
    contrast: float
    edge: float
    bumps: tuple[tuple[float, float], ...]
    spicules: tuple[tuple[float, float, float], ...]


def mass(kind: Kind, rng: np.random.Generator) -> Mass:
    """A mass of this kind; the ranges of the two kinds overlap."""
    if kind == "benign":
        bumpiness, number, reach = rng.uniform(0.02, 0.07), rng.integers(0, 6), rng.uniform(0.1, 0.35)
    else:
        bumpiness, number, reach = rng.uniform(0.03, 0.08), rng.integers(7, 17), rng.uniform(0.25, 0.8)
    angles = rng.uniform(0, 2 * np.pi, number)
    lengths = reach * rng.uniform(0.5, 1.3, number)
    widths = rng.uniform(0.05, 0.12, number)
    return Mass(
        radius=rng.uniform(13, 24),
        contrast=rng.uniform(0.14, 0.34),
        edge=rng.uniform(0.06, 0.24),
        bumps=tuple((rng.normal() * bumpiness, rng.uniform(0, 2 * np.pi)) for _ in range(3)),
        spicules=tuple(zip(angles.tolist(), lengths.tolist(), widths.tolist(), strict=True)),
    )


def view(one: Mass, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A view of the mass, turned and shifted, in tissue of its own: uint8 (SIDE, SIDE) grey."""
    picture = 0.36 + 0.09 * _tissue(rng) + _strands(rng)
    picture += one.contrast * rng.uniform(0.8, 1.2) * _shape(one, rng)
    picture += rng.normal(0, 0.035, picture.shape)
    return (picture.clip(0, 1) * 255).round().astype(np.uint8)


def _shape(one: Mass, rng: np.random.Generator) -> Grey:
    """How much of each pixel is mass, in 0..1."""
    centre, turn, squeeze = SIDE / 2 + rng.uniform(-11, 11, 2), rng.uniform(0, 2 * np.pi), rng.uniform(0.85, 1.18)
    y, x = np.mgrid[:SIDE, :SIDE]
    across, down = (x - centre[0]) * squeeze, (y - centre[1]) / squeeze
    distance, angle = np.hypot(across, down) / one.radius, np.arctan2(down, across) + turn
    outline = np.ones_like(distance)
    for wave, (amplitude, phase) in enumerate(one.bumps, start=2):
        outline += amplitude * np.cos(wave * angle + phase)
    body = _soft(outline - distance, one.edge)
    rays = np.zeros_like(distance)
    for direction, length, width in one.spicules:
        aside = np.abs((angle - direction + np.pi) % (2 * np.pi) - np.pi)
        # A ray tapers: as wide in pixels at its root as further out, and fainter towards its tip.
        beyond = ((distance - outline) / length).clip(0, 1)
        ray = np.exp(-((aside * distance / width) ** 2)) * (1 - beyond) * (distance > 0.5)
        rays = np.maximum(rays, ray)
    return np.asarray(np.maximum(body, 0.8 * rays))


def _tissue(rng: np.random.Generator) -> Grey:
    """Noise whose amplitude falls with spatial frequency (about 1/f), of mean 0 and standard deviation 1."""
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE)[None, :])
    frequency[0, 0] = np.inf
    spectrum = np.fft.rfft2(rng.normal(size=(SIDE, SIDE))) / frequency**1.3
    noise = np.fft.irfft2(spectrum, s=(SIDE, SIDE))
    return np.asarray(noise / noise.std())


def _strands(rng: np.random.Generator) -> Grey:
    """Bright, slightly bent strands anywhere in the picture."""
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    strands = np.zeros((SIDE, SIDE))
    for _ in range(rng.integers(3, 9)):
        turn, offset, bend = rng.uniform(0, np.pi), rng.uniform(-0.5, 0.5), rng.normal() * 0.4
        along = (x - 0.5) * np.cos(turn) + (y - 0.5) * np.sin(turn)
        aside = (y - 0.5) * np.cos(turn) - (x - 0.5) * np.sin(turn) - offset - bend * along**2
        part = np.exp(-(((along - rng.uniform(-0.5, 0.5)) / rng.uniform(0.1, 0.3)) ** 2))
        strands += rng.uniform(0.05, 0.16) * part * np.exp(-((aside / rng.uniform(0.006, 0.014)) ** 2))
    return strands


def _soft(inside: Grey, width: float) -> Grey:
    """A step from 0 to 1 where ``inside`` changes its sign, blurred over ``width``."""
    return np.asarray(1 / (1 + np.exp(-4 * inside.clip(-5, 5) / width)))
