import pytest

from engine.models import origin


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ("torchvision IMAGENET1K_V1, torch hub cache", "torchvision IMAGENET1K_V1"),
        ("torchvision IMAGENET1K_V1, /data/lab/weights/r.pth", "torchvision IMAGENET1K_V1"),
        ("/home/ada/models/mine.pth", "/home/ada/models/mine.pth"),
        (origin.RANDOM, origin.RANDOM),
        ("", ""),
    ],
)
def test_the_kind_of_weights_is_told_without_where_they_were(told: str, kind: str) -> None:
    assert origin.kind(told) == kind
