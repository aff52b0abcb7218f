"""``tl-tui onnx``: a trained network as a file for where PyTorch is not."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

from engine.errors import UserError
from engine.files import whole
from engine.logs.folder import onnx_file, weights_file
from engine.text import joined
from engine.units import file_size
from tui.commands.find import find_network, whose
from tui.drawing.text import print_line
from tui.terminal.redirected import output_to

PACKAGES = ("onnx", "onnxscript", "onnxruntime")
LARGEST = 1_600_000_000
"""Bytes of weights that PyTorch writes into the ONNX file itself; the format ends at 2 GB."""


def write_onnx(experiment: str, file: Path | None, out: Path) -> int:
    """Writes the network of the best of the experiment's runs, or the named one, into the file.

    ``best.onnx`` beside the run's ``best.safetensors`` where none is named; one that is there is replaced.
    ``UserError`` where there is no such run or it has no network, where that cannot be an ONNX file, or where what was
    written does not answer as the network does; ``OSError`` where the file cannot be written.
    """
    folder, run = find_network(experiment, out)
    weights = weights_file(folder, run.run)
    path = onnx_file(folder, run.run) if file is None else file
    _check(path, weights)
    with whole(path) as partial:
        print_line(whose(folder, run), to_stderr=True)
        with Path(os.devnull).open("wb") as nothing, output_to(nothing.fileno()):  # libraries say much meanwhile
            from engine.onnx_file import write  # noqa: PLC0415 - loads torch: what cannot be is told before
            from engine.predict import load_network  # noqa: PLC0415

            network = load_network(weights, "cpu")
            apart = write(network, partial, {"experiment": folder.absolute().name, "run": run.run})
    size = file_size(path.stat().st_size)
    print_line(f"wrote {path} ({size}); its probabilities differ from PyTorch's by at most {apart:.1g}")
    return 0


def _check(path: Path, weights: Path) -> None:
    if path.suffix.lower() != ".onnx":
        raise UserError(f"{path}: the name of an ONNX file ends in .onnx")
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise UserError(
            f"this needs {joined(missing, 'and')}: `bash setup.sh` installs it, or pip tl-tui's extra 'onnx'"
        )
    if (size := weights.stat().st_size) > LARGEST:
        raise UserError(
            f"{weights} has {file_size(size)}; PyTorch writes no ONNX file of more than {file_size(LARGEST)}"
        )
