"""TOML that people write, read and checked: every error is one line that says what and where. Imports without torch."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from engine.errors import UserError

Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Positive = Annotated[float, Meta(gt=0, le=1e30)]
Fraction = Annotated[float, Meta(gt=0, lt=1)]
UpToOne = Annotated[float, Meta(gt=0, le=1)]
Momentum = Annotated[float, Meta(ge=0, lt=1)]
NotNegative = Annotated[float, Meta(ge=0, le=1e30)]
Seed = Annotated[int, Meta(ge=0, lt=2**31)]
MOST_SEEDS = 1000
Seeds = Annotated[tuple[Seed, ...], Meta(min_length=1, max_length=MOST_SEEDS)]
MOST_FOLDS = 100
Folds = Annotated[int, Meta(ge=2, le=MOST_FOLDS)]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,79}\Z")]
T = TypeVar("T")
LARGEST_TOML = 1_000_000
TYPES = {
    **{"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false", "array": "a list"},
    **{"object": "a table", "null": "nothing"},
}
BOUNDS = {">=": "of at least", "<=": "of at most", ">": "above", "<": "below"}
"""What msgspec calls things, and what a person reads instead."""
MOST_DOTS = 500
"""In a key. No configuration has as many, and tomllib takes time by their square: for hours in a file of 1 MB."""


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file; :class:`UserError` where it is missing, too large or not TOML."""
    try:
        with path.open("rb") as file:
            raw = file.read(LARGEST_TOML + 1)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror or error}") from None
    if len(raw) > LARGEST_TOML:
        raise UserError(f"{path}: larger than {LARGEST_TOML:,} bytes, which no configuration is")
    try:
        return parse(raw.decode("utf-8-sig"), str(path))
    except UnicodeDecodeError:
        raise UserError(f"{path}: not UTF-8 text") from None


def parse(text: str, where: str) -> dict[str, Any]:
    """The tables of TOML text; ``UserError`` where it is none."""
    if any(piece.count(".") > MOST_DOTS for piece in re.split(r"[=\n]", text)):
        raise UserError(f"{where}: more than {MOST_DOTS} dots in one key, which no configuration has")
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise UserError(f"{where}: not valid TOML: nested too deeply") from None
    except ValueError as error:  # also what int() says of 5,000 digits
        raise UserError(f"{where}: not valid TOML: {error}") from None


def convert(values: object, type_: type[T], where: str, choices: Mapping[str, tuple[str, ...]] | None = None) -> T:
    """The values as a type; ``UserError`` where they do not fit. ``choices``: what there is, by the setting."""
    try:
        return msgspec.convert(values, type_)
    except RecursionError:
        raise UserError(f"{where}: nested too deeply") from None
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        place, said = place.rstrip("`").lstrip("."), _in_words(message)
        there = next((names for setting, names in (choices or {}).items() if place.endswith(setting)), None)
        if there and message.startswith("Invalid"):
            said = f"{said}; there are {', '.join(there)}"
        raise UserError(f"{where}: {place + ': ' if place else ''}{said}") from None


def _in_words(message: str) -> str:
    """What msgspec says of a value, for a person."""
    for pattern, words in MESSAGES.items():
        if found := re.fullmatch(pattern, message, re.DOTALL):
            return words(found)
    return message


def _type(names: str) -> str:
    known = [TYPES.get(name, name) for name in names.split(" | ") if name != "null"]
    return " or ".join(known) or "nothing"


MESSAGES: dict[str, Callable[[re.Match[str]], str]] = {
    r"Expected `(\w+)` ([<>]=?) (\S+?)(?:\.0)?": lambda said: f"must be {_type(said[1])} {BOUNDS[said[2]]} {said[3]}",
    r"Expected `([\w |]+)`, got `([\w |]+)`": lambda said: f"must be {_type(said[1])}, not {_type(said[2])}",
    r"Expected `array` of length >= 1": lambda _: "must not be empty",
    r"Expected `array` of length <= (\d+)": lambda said: f"there may be {said[1]} at most",
    r"Expected `str` matching regex .*": lambda _: "must be letters, digits, dots, dashes and underscores, 80 at most",
    r"Object contains unknown field `(.*)`": lambda said: f"there is no setting {said[1]!r}",
    r"Object missing required field `(.*)`": lambda said: f"{said[1]} is missing",
    r"Invalid (?:enum )?value '(.*)'": lambda said: f"there is no {said[1]!r}",
}


def merged(base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """``values`` over ``base``, table by table; a table that names another kind replaces the whole table."""
    result = dict(base)
    for key, value in values.items():
        old = base.get(key)
        merge = (
            isinstance(old, dict) and isinstance(value, dict) and value.get("name", old.get("name")) == old.get("name")
        )
        result[key] = merged(old, value) if merge and old is not None else value
    return result


def without_none(value: Any) -> Any:
    """The value without what is None, which TOML cannot say."""
    if isinstance(value, dict):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [without_none(item) for item in value]
    return value
