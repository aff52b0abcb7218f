"""Strategies by name: a rung of the ladder for any backbone, and a person's own. Imports without torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec
import platformdirs
from msgspec import Struct

from engine.errors import UserError
from engine.specs.strategy import CHOICES, Strategy
from engine.specs.toml import convert, merged, parse, read_toml
from engine.text import did_you_mean

DEFAULT_STRATEGIES = ("resnet18-finetune", "mobilenetv3-extract")
BACKBONE = re.compile(r"[a-z][a-z0-9_]{0,59}")


class Rung(Struct, frozen=True):
    """A strategy for any backbone: its name, what it is in a few words, and the values that it sets."""

    name: str
    about: str
    values: dict[str, Any]


@cache
def rungs() -> dict[str, Rung]:
    """From the least that can train to the most: the strategies for any backbone, by name."""
    found: dict[str, Rung] = {}
    for name, table in _shipped()["rungs"].items():
        values = dict(table)
        about, base = values.pop("about"), values.pop("based_on", None)
        found[name] = Rung(name, about, merged(found[base].values, values) if base else values)
    return found


def presets() -> dict[str, Strategy]:
    """The two strategies that are compared where nothing else is asked for, by name."""
    return {name: named(name, {}) for name in DEFAULT_STRATEGIES}


def on_rung(backbone: str, rung: str) -> Strategy:
    """A rung's strategy for a backbone: ``resnet50-probe``; ``backbone`` may be one of the short names."""
    values = {**rungs()[rung].values, "name": f"{backbone}-{rung}", "backbone": backbones().get(backbone, backbone)}
    return convert(values, Strategy, "presets.toml", CHOICES)


def backbones() -> dict[str, str]:
    """Short names of backbones in the names of strategies, and what they are short for."""
    return dict(_shipped()["backbones"])


def named(name: object, known: Mapping[str, Strategy]) -> Strategy:
    """The known strategy of this name, or the one that ``BACKBONE-RUNG`` describes; else ``UserError``."""
    if isinstance(name, str):
        if name in known:
            return known[name]
        backbone, _, rung = name.partition("-")
        if rung in rungs() and BACKBONE.fullmatch(backbone):
            return on_rung(backbone, rung)
        if rung and (advice := did_you_mean(name.lower(), [*known, *_nearly(name.lower())], 1)):
            raise UserError(f"there is no strategy {name!r}{advice}")
    there = [*known, f"BACKBONE-RUNG for any torchvision model, RUNG being {', '.join(rungs())}"]
    raise UserError(f"there is no strategy {name!r}; there are {', '.join(there)}")


def _nearly(name: str) -> list[str]:
    """The strategies of the same backbone whose rung may be meant."""
    backbone, _, rung = name.partition("-")
    return [f"{backbone}-{one}" for one in get_close_matches(rung, rungs())] if BACKBONE.fullmatch(backbone) else []


def known_strategies() -> dict[str, Strategy]:
    """The strategies that ship and a person's own, by name; an own one replaces a shipped one of its name."""
    known = presets()
    own = own_strategies_file()
    if own.is_file():
        known |= strategies_from(read_toml(own), known, str(own))
    return known


def own_strategies_file() -> Path:
    """The file in which a person keeps strategies of their own (it need not exist)."""
    return platformdirs.user_config_path("tl-tui") / "strategies.toml"


def strategies_from(tables: Mapping[str, Any], known: Mapping[str, Strategy], where: str) -> dict[str, Strategy]:
    """The strategies under ``[[strategies]]``, by name; ``based_on`` may name a known or an earlier one."""
    entries = tables.get("strategies", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UserError(f"{where}: strategies must be written as [[strategies]] tables")
    found: dict[str, Strategy] = {}
    for number, entry in enumerate(entries):
        values = dict(entry)
        base = values.pop("based_on", None)
        if base is not None:
            try:
                values = merged(msgspec.to_builtins(named(base, {**known, **found})), values)
            except UserError as error:
                raise UserError(f"{where}: strategies[{number}].based_on: {error}") from None
        strategy = convert(values, Strategy, f"{where}: strategies[{number}]", CHOICES)
        if strategy.name in found:
            raise UserError(f"{where}: strategies[{number}]: duplicate name {strategy.name!r}")
        found[strategy.name] = strategy
    return found


@cache
def _shipped() -> dict[str, Any]:
    return parse(resources.files("engine.specs").joinpath("presets.toml").read_text(encoding="utf-8"), "presets.toml")
