"""The names of models without torch."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.models import names
from engine.models.backbones import backbone_names


def test_the_names_in_torchvisions_source_are_those_it_lists():
    names.model_names.cache_clear()
    assert names.model_names() == backbone_names()


def test_no_names_are_known_where_torchvision_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    names.model_names.cache_clear()
    monkeypatch.setattr(names, "find_spec", lambda _name: None)
    assert names.model_names() == ()
    names.model_names.cache_clear()
