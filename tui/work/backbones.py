"""What to know of a backbone before choosing it: looks at disks for its weights, so this belongs into threads."""

from __future__ import annotations

from typing import NamedTuple

from engine.errors import UserError
from engine.models.weight_files import is_here
from engine.text import shown
from engine.units import short_count
from tui.errors import in_words, unexpected
from tui.work.latest import Latest
from tui.work.loading import load_for_backbones


class BackboneQuery(NamedTuple):
    """A backbone, and which ``weights`` it would begin with, as in an experiment."""

    backbone: str
    weights: str


class WeightsQuery(NamedTuple):
    """Backbones, and which ``weights`` they would begin with, as in an experiment."""

    backbones: tuple[str, ...]
    weights: str


class Facts(NamedTuple):
    """How large the network and its images are, and where its weights are, or the ``problem``; each in one line."""

    size: str = ""
    weights: str = ""
    problem: str = ""


def facts(asked: BackboneQuery) -> Facts:
    """What is known of it without a download; loads torch the first time, and reads the file of its weights."""
    size = ""
    try:
        load_for_backbones()
        from engine.models.backbones import default_weights, preprocessing  # noqa: PLC0415 - imports torch
        from engine.models.origin import shortened  # noqa: PLC0415
        from engine.models.weights import WeightsError, find  # noqa: PLC0415

        side = preprocessing(asked.backbone, None).crop
        parameters = short_count(default_weights(asked.backbone).meta["num_params"])
        size = f"{parameters} parameters with ImageNet's last layer, images of {side} × {side}"
        try:
            return Facts(size, f"weights: {shown(shortened(find(*asked).origin))}")
        except WeightsError as error:
            return Facts(size, problem=shown(str(error), 600))
    except UserError as error:
        return Facts(size, problem=shown(str(error), 600))
    except OSError as error:
        return Facts(size, problem=in_words(error))
    except Exception as error:
        return Facts(size, problem=unexpected(error))


def missing(asked: WeightsQuery) -> frozenset[str]:
    """Those of the backbones whose weights are not on this machine, or not where they are said to be; loads no torch
    and reads none of their files.
    """
    return frozenset(backbone for backbone in asked.backbones if not is_here(backbone, asked.weights))


looking = Latest[BackboneQuery, Facts](facts, "backbones")
"""One thread, however often the window is opened while a disk does not answer."""
seeking = Latest[WeightsQuery, frozenset[str]](missing, "weights")
"""Another, which torch does not hold up."""
