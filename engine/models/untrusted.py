"""What a file of torch.save may hold, checked before anything reads it: plain tensors, no more than the file is large.

torch.load(weights_only=True) runs no code of a file, but does allocate and compute what a file asks for.
"""

from __future__ import annotations

import pickletools
import zipfile
from pathlib import Path
from typing import IO

KINDS = ("Float", "Half", "BFloat16", "Double", "Long", "Int", "Short", "Char", "Byte", "Bool")
GLOBALS = {
    "collections OrderedDict",
    *(f"torch._utils {name}" for name in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter")),
    *(f"torch {kind}Storage" for kind in KINDS),
}
"""What the pickle of a state dict asks for."""
LARGEST_PICKLE = 2_000_000
"""Bytes; the tensors' values lie beside the pickle."""
TOO_LARGE = f"its pickle is larger than {LARGEST_PICKLE:,} bytes"
LEGACY_PICKLES = 5
"""In a file of torch.save before 1.6: a magic number, the protocol, the system, the state dict, the storages' names."""
TUPLES = ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3")


class UntrustedError(ValueError):
    """A file holds what no weights need; the text says what in a few words."""


def check(path: Path) -> None:
    """Raises :class:`UntrustedError` where a file holds more than plain tensors or would take more room than it has.

    Raises anything else where it is damaged.
    """
    with path.open("rb") as file:
        if file.read(2) == b"PK":
            _check_archive(file, path.stat().st_size)
            return
        file.seek(0)
        for _ in range(LEGACY_PICKLES):
            _check_pickle(file)


def _check_archive(file: IO[bytes], size: int) -> None:
    with zipfile.ZipFile(file) as archive:
        entries = archive.infolist()
        # torch.save stores; what is compressed, or there twice, can be a thousand times larger than the file
        if any(entry.compress_type for entry in entries) or sum(entry.file_size for entry in entries) > size:
            raise UntrustedError("a compressed archive, which could take more memory than there is")
        pickles = [entry for entry in entries if entry.filename.lower().endswith("data.pkl")]
        if len(pickles) != 1:
            raise UntrustedError(f"an archive with {len(pickles)} pickles instead of one")
        if pickles[0].file_size > LARGEST_PICKLE:
            raise UntrustedError(TOO_LARGE)
        with archive.open(pickles[0]) as pickled:
            _check_pickle(pickled)


def _check_pickle(pickled: IO[bytes]) -> None:
    top, tuples = "", set()
    for opcode, argument, position in pickletools.genops(pickled):
        if position is not None and position > LARGEST_PICKLE:
            raise UntrustedError(TOO_LARGE)
        if opcode.name == "GLOBAL" and argument not in GLOBALS:
            raise UntrustedError(f"asks for {str(argument).replace(' ', '.')}, so it holds more than plain tensors")
        # Tuples of the same tuples, some dozens deep, take longer to hash than anybody lives.
        if opcode.name.endswith("PUT"):
            if top in TUPLES:
                tuples.add(argument)
            continue
        if opcode.name.endswith("GET") and argument in tuples:
            raise UntrustedError("uses a tuple twice, which no plain tensors do")
        top = opcode.name
