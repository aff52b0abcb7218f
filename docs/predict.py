"""What a trained network says of images, without tl-tui.

python docs/predict.py runs/EXPERIMENT/checkpoints/RUN/best.safetensors IMAGE…
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

import torch
from PIL import Image
from safetensors import safe_open
from torch import Tensor
from torchvision import models, transforms


def predict(weights: str, images: Sequence[str]) -> tuple[list[str], Tensor]:
    """The names of the classes, and each image's probabilities: (images, classes)."""
    with safe_open(weights, "pt") as file:
        saved = {name: json.loads(text) for name, text in file.metadata().items()}
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    classes, view = saved["classes"], saved["preprocessing"]
    network = models.get_model(saved["strategy"]["backbone"], weights=None, num_classes=len(classes))
    network.load_state_dict(state)
    seen = transforms.Compose(
        [
            transforms.Resize(view["resize"]),
            transforms.CenterCrop(view["crop"]),
            transforms.ToTensor(),
            transforms.Normalize(view["mean"], view["std"]),
        ]
    )
    batch = torch.stack([seen(Image.open(image).convert("RGB")) for image in images])
    with torch.inference_mode():
        return classes, network.eval()(batch).softmax(1)


if __name__ == "__main__":
    classes, probabilities = predict(sys.argv[1], sys.argv[2:])
    for image, of_image in zip(sys.argv[2:], probabilities, strict=True):
        best = int(of_image.argmax())
        sys.stdout.write(f"{image}: {classes[best]} ({100 * of_image[best]:.1f} %)\n")
