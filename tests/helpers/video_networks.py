"""Small videos, networks with the layouts of LPIPS's trunk and of I3D, and what they compute written out by hand."""

from __future__ import annotations

import hashlib
import math
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn import functional

from f2vbench.pretrained.weights_cards import weights_card

ALEXNET = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
CLASSIFIER = {1: (4096, 9216), 4: (4096, 4096), 6: (1000, 4096)}


def frames(*shape: int, seed: int = 0, noise: float = 0.1) -> tuple[np.ndarray, np.ndarray]:
    """Smooth frames and noisy copies of them."""
    draw = np.random.default_rng(seed)
    real = np.stack([cv2.GaussianBlur(f, (0, 0), 3) for f in draw.random((math.prod(shape[:-2]), *shape[-2:]))])
    real = ((real - real.min()) / (real.max() - real.min())).reshape(shape)
    return real, np.clip(real + noise * draw.normal(size=shape), 0, 1)


class WeightsFile:
    """A weights file and a card that vouches for it."""

    def __init__(self, path: Path, name: str):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        change = {"sha256": digest, "size": path.stat().st_size, "file": path.name}
        self.path, self.card = path, weights_card(name).model_copy(update=change)


def alexnet_state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    state = {}
    for index, (outputs, inputs, side) in ALEXNET.items():
        state[f"features.{index}.weight"] = torch.randn(outputs, inputs, side, side) * (inputs * side**2) ** -0.5
        state[f"features.{index}.bias"] = 0.1 * torch.randn(outputs)
    for index, shape in CLASSIFIER.items():  # expanded zeros take no room in the file
        state[f"classifier.{index}.weight"] = torch.zeros(1).expand(shape)
        state[f"classifier.{index}.bias"] = torch.zeros(1).expand(shape[0])
    return state


def lpips_by_hand(real: np.ndarray, fake: np.ndarray) -> float:
    """One pair of frames (h, w), as Zhang et al. 2018, eq. 1 has it."""
    package = find_spec("lpips")
    heads = torch.load(Path(package.origin).parent / "weights/v0.1/alex.pth", map_location="cpu", weights_only=True)
    state = alexnet_state()
    layers = []
    for frame in (real, fake):
        x = torch.from_numpy(frame).double().expand(1, 3, *frame.shape) * 2 - 1
        x = (x - torch.tensor([-0.030, -0.088, -0.188])[:, None, None]) / torch.tensor([0.458, 0.448, 0.450])[
            :, None, None
        ]
        found = []
        for index in ALEXNET:
            stride, padding = (4, 2) if index == 0 else (1, 2 if index == 3 else 1)
            if index in (3, 6):
                x = functional.max_pool2d(x, 3, 2)
            weight, bias = (state[f"features.{index}.{key}"].double() for key in ("weight", "bias"))
            x = functional.conv2d(x, weight, bias, stride, padding).relu()
            found.append(x / (x.square().sum(1, keepdim=True).sqrt() + 1e-10))
        layers.append(found)
    differences = [(a - b).square().mean((2, 3))[0] for a, b in zip(*layers, strict=True)]
    return sum(float(d @ heads[f"lin{k}.model.1.weight"].double().flatten()) for k, d in enumerate(differences))


class TinyI3D(torch.nn.Module):
    """The call signature of the I3D file, with means of eight blocks of the clip for features."""

    def forward(
        self, x: torch.Tensor, rescale: bool = True, resize: bool = True, return_features: bool = False
    ) -> torch.Tensor:
        assert not rescale
        assert not resize
        assert return_features
        assert x.shape[1] == 3
        assert x.shape[3] == 224
        assert x.shape[4] == 224
        return torch.nn.functional.adaptive_avg_pool3d(x, [2, 2, 2]).flatten(1)


def block_means(video: np.ndarray) -> np.ndarray:
    """What `TinyI3D` gives for a video of 224 × 224 already in [−1, 1]."""
    halves = [video[: (len(video) + 1) // 2], video[len(video) // 2 :]]  # an odd video's middle frame is in both
    blocks = [part[:, r : r + 112, c : c + 112].mean() for part in halves for r in (0, 112) for c in (0, 112)]
    return np.tile(blocks, 3)
