"""The measures of predictions beyond accuracy, as they are listed everywhere. Imports without numpy."""

from __future__ import annotations

from typing import Literal, NamedTuple

Better = Literal["higher", "lower"]


class Score(NamedTuple):
    """A field of :class:`engine.comparison.scores.Scores` by its ``name``, what it is called, and its good end.

    ``as_percent``: told in per cent, else with three digits. ``of_positive``: of two classes, it is about one of them.
    """

    name: str
    title: str
    better: Better
    as_percent: bool = False
    of_positive: bool = False


SCORES = (
    Score("balanced_accuracy", "balanced accuracy", "higher", as_percent=True),
    Score("macro_f1", "macro F1", "higher"),
    Score("roc_auc", "ROC AUC", "higher", of_positive=True),
    Score("average_precision", "average precision", "higher", of_positive=True),
    Score("sensitivity", "sensitivity", "higher", as_percent=True, of_positive=True),
    Score("specificity", "specificity", "higher", as_percent=True, of_positive=True),
    Score("calibration_error", "calibration error", "lower", as_percent=True),
)
"""All but log loss, which a row tells without predictions too, as it does accuracy."""
