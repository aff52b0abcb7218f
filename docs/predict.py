"""What a trained network says of images, without tl-tui.

python docs/predict.py runs/EXPERIMENT/checkpoints/RUN/best.safetensors IMAGE…
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import numpy as np
import torch
from PIL import Image, ImageOps
from safetensors import safe_open
from torch import Tensor, nn
from torchvision import models, transforms

AT_ONCE = 32
"""Images in memory at a time."""


def load(weights: str) -> tuple[nn.Module, list[str], Callable[[str], Tensor]]:
    """The network, the names of its classes, and what makes its input, (3, side, side), of an image's path."""
    with safe_open(weights, "pt") as file:
        saved = {name: json.loads(text) for name, text in file.metadata().items()}
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    classes, view, arguments = saved["classes"], saved["preprocessing"], saved.get("arguments", {})
    network = models.get_model(saved["strategy"]["backbone"], weights=None, num_classes=len(classes), **arguments)
    for name in state.keys() - network.state_dict().keys():  # MaxVit: torchvision's last layer has no bias
        layer, _, parameter = name.rpartition(".")
        setattr(network.get_submodule(layer), parameter, nn.Parameter(state[name]))
    own = network.state_dict()
    if missing := own.keys() - state.keys():
        raise ValueError(f"{weights} is not the whole network: it lacks {min(missing)}")
    own.update(state)  # keeps the formats' versions, without which MNASNet does not load
    network.load_state_dict(own)
    seen = transforms.Compose(
        [
            transforms.Resize(view["resize"]),
            transforms.CenterCrop(view["crop"]),
            transforms.ToTensor(),
            transforms.Normalize(view["mean"], view["std"]),
        ]
    )
    return network.eval(), classes, lambda path: seen(opened(path, view["resize"]))


def opened(path: str, side: int) -> Image.Image:
    """An image as tl-tui sees it: upright, in 8-bit RGB, on white where it is transparent.

    A large JPEG is decoded smaller, its sides at least twice ``side``. 16-bit grey keeps its full range, other deep
    grey is stretched from its darkest to its brightest value.
    """
    with Image.open(path) as image:
        image.draft(None, (2 * side, 2 * side))
        image.load()
        with suppress(Exception):  # broken metadata; the pixels are fine
            ImageOps.exif_transpose(image, in_place=True)
        if image.mode.startswith("I") or image.mode == "F":
            grey = np.nan_to_num(np.asarray(image, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
            low, high = (0, 65535) if image.mode.startswith("I;16") else (grey.min(), grey.max())
            shares = (grey - low) / max(high - low, 1e-12)
            return Image.fromarray((shares * 255).round().astype(np.uint8)).convert("RGB")
        if image.has_transparency_data:
            layer = image.convert("RGBA")
            return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
        return image.convert("RGB")


def predict(weights: str, images: Sequence[str]) -> Iterator[tuple[str, dict[str, float] | Exception]]:
    """Each image, with the probability of each class by its name, or with why it cannot be read."""
    network, classes, seen = load(weights)
    for start in range(0, len(images), AT_ONCE):
        inputs: list[Tensor | Exception] = []
        for image in images[start : start + AT_ONCE]:
            try:
                inputs.append(seen(image))
            except Exception as error:  # decoders raise almost anything on a broken file
                inputs.append(error)
        read = [one for one in inputs if isinstance(one, Tensor)]
        with torch.inference_mode():
            said = iter(network(torch.stack(read)).softmax(1).tolist() if read else [])
        for image, one in zip(images[start:], inputs, strict=False):
            yield image, one if isinstance(one, Exception) else dict(zip(classes, next(said), strict=True))


def main(arguments: Sequence[str]) -> int:
    """Prints the likeliest class of each image; 1 where one cannot be read, 2 where there is nothing to do."""
    if len(arguments) < 2:
        sys.stderr.write("usage: python predict.py WEIGHTS.safetensors IMAGE…\n")
        return 2
    status = 0
    for image, said in predict(arguments[0], arguments[1:]):
        if isinstance(said, Exception):
            sys.stderr.write(f"{visible(image)}: {visible(str(getattr(said, 'strerror', None) or said))}\n")
            status = 1
        else:
            best = max(said, key=lambda name: said[name])
            sys.stdout.write(f"{visible(image)}: {visible(best)} ({100 * said[best]:.1f} %)\n")
    return status


def visible(text: str) -> str:
    """The text, with what a terminal would obey and what cannot be encoded as escapes like ``\\x1b``."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # ends in silence where the reader has gone
    sys.exit(main(sys.argv[1:]))
