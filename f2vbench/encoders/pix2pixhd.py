"""Fundus2Video, Fundus2FA and pix2pixHD: three trainings of one global generator, whose front part is the encoder.

The generator of Wang et al. 2018 ("High-Resolution Image Synthesis and Semantic Manipulation with Conditional
GANs"): a 7 × 7 front, 4 downsamplings, 9 residual blocks, 4 upsamplings; instance normalisation without parameters,
reflection padding, tanh. Module indices are those of its released checkpoints: front ``model.1``, downsamplings
4, 7, 10, 13, residual blocks 16 to 24, upsamplings 25, 28, 31, 34, output 38.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from f2vbench.data.cases import PHASES
from f2vbench.encoders.base import Encoder, check_photographs, to_unit
from f2vbench.encoders.registry import INIT_SEED, ModelSpec
from f2vbench.errors import WeightsError
from f2vbench.store.checkpoints import compare_state_dict, file_sha256, match_state_dict, read_metadata, read_state_dict

WINDOW = 3
"""Consecutive frames that Fundus2Video predicts at once."""

_MAP_ENDS = (4, 7, 10, 13)  # where the maps of stride 1, 2, 4 and 8 are complete
_EMBED_SIDE = 512  # the side of the photographs that these generators are trained on
_BLOCKS = 9


@dataclass(frozen=True)
class GeneratorShape:
    """Channels in and out, and the width of the first layer; all else is fixed."""

    inputs: int
    outputs: int
    ngf: int = 64


SHAPES = {
    "fundus2video": GeneratorShape(6, 3),
    "fundus2fa": GeneratorShape(3, 3),
    "pix2pixhd": GeneratorShape(3, 3),
}
"""The published shapes. No Fundus2FA is public: an untrained one gets pix2pixHD's usual RGB output; a weights file
may have 1 output channel instead."""


class ResidualBlock(nn.Module):
    """x + two 3 × 3 convolutions of it."""

    def __init__(self, channels: int):
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.ReflectionPad2d(1),
            nn.Conv2d(channels, channels, 3),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


def global_generator(shape: GeneratorShape) -> nn.Sequential:
    """The whole generator, (n, inputs, h, w) in [−1, 1] → (n, outputs, h, w) in [−1, 1]; h, w multiples of 16."""
    widths = [shape.ngf * 2**level for level in range(5)]
    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(shape.inputs, shape.ngf, 7), *_norm(shape.ngf)]
    for narrow, wide in pairwise(widths):
        layers += [nn.Conv2d(narrow, wide, 3, stride=2, padding=1), *_norm(wide)]
    layers += [ResidualBlock(widths[-1]) for _ in range(_BLOCKS)]
    for narrow, wide in reversed(list(pairwise(widths))):
        up = nn.ConvTranspose2d(wide, narrow, 3, stride=2, padding=1, output_padding=1)
        layers += [up, *_norm(narrow)]
    layers += [nn.ReflectionPad2d(3), nn.Conv2d(shape.ngf, shape.outputs, 7), nn.Tanh()]
    return nn.Sequential(*layers)


def _norm(channels: int) -> list[nn.Module]:
    return [nn.InstanceNorm2d(channels), nn.ReLU(inplace=True)]


class Pix2PixHDEncoder(Encoder):
    """``model[:cut]`` of a global generator; the rest is loaded only when frames are asked for.

    A photograph goes in as RGB in [−1, 1]; a six-channel generator gets it twice, as in Fundus2Video's first window.
    An embedding is the mean over space of the last map, of the photograph at 512 × 512. A generator that was trained
    on enlarged photographs (``enlarge`` in its file's metadata) is shown them so: its maps finer than the photograph
    are left out, and its frames come back at the photograph's size. The phase of a single frame stands there as well;
    where it does not, the frame counts as venous, as in the Fundus2Video papers.

    Args:
        spec: of family ``fundus2video``, ``fundus2fa`` or ``pix2pixhd``.

    Raises:
        WeightsError: the file is missing, damaged, or holds no such generator.
    """

    can_generate = True
    multiple = 16

    def __init__(self, spec: ModelSpec):
        super().__init__()
        if spec.cut is None:
            raise ValueError(f"{spec.name} is no pix2pixHD generator: it has no cut")
        self.spec = spec
        self._cut = spec.cut
        self._sha256 = file_sha256(spec.weights_file) if spec.weights_file else None
        state = self._read()
        self.shape = SHAPES[spec.family] if state is None else _shape_in(state, spec)
        self.model = self._filled(slice(None, self._cut), state)
        self.enlarge = 1 if spec.weights_file is None else _enlarge_in(spec.weights_file)
        self.phase = "venous" if spec.weights_file is None else _phase_in(spec.weights_file)
        if self.enlarge > 1:
            # A buffer, so that the same weights shown other photographs have other features in the store.
            self.register_buffer("enlarged", torch.tensor(self.enlarge))
        self._finer = self.enlarge.bit_length() - 1
        self.channels = tuple(self.shape.ngf * 2**level for level in range(self._finer, 5))
        self.strides = tuple(2**level for level in range(5 - self._finer))
        self.embed_size = (_EMBED_SIDE * self.enlarge, _EMBED_SIDE * self.enlarge)
        self.width = self.channels[-1]
        # In a list, so that it is no part of the encoder's parameters and state.
        self._decoder: list[nn.Sequential] = []

    def prepare(self, images: Tensor) -> Tensor:
        return self._normalised(to_unit(images, self.embed_size, "bilinear"))

    def pooled(self, prepared: Tensor) -> Tensor:
        return self.model(prepared).mean((2, 3))

    def pyramid(self, x: Tensor) -> list[Tensor]:
        check_photographs(x)
        maps = []
        features = self._enlarged(self._normalised(x))
        for start, end in zip((0, *_MAP_ENDS), (*_MAP_ENDS, self._cut), strict=True):
            features = self.model[start:end](features)
            maps.append(features)
        return maps[self._finer :]

    @torch.no_grad()
    def generate(self, x: Tensor, frames: int = 12) -> Tensor:
        """Angiogram frames of photographs.

        Args:
            x: (n, 3, h, w) in [0, 1], sides of 32 or more; padded by reflection to multiples of 16.
            frames: how many; Fundus2Video is trained for 12. The first ones don't depend on how many are asked for.
                Ignored by the models of one frame.

        Returns:
            (n, frames, h, w) in [0, 1]; (n, 1, h, w) for Fundus2FA and pix2pixHD, the mean of their channels.

        Raises:
            WeightsError: the weights file has changed since the encoder was loaded.
        """
        check_photographs(x)
        height, width = x.shape[2:]
        padding = (0, -width % self.multiple, 0, -height % self.multiple)
        photograph = self._enlarged(functional.pad(2 * x - 1, padding, mode="reflect"))
        decoder = self._rest().to(x.device)

        def generator(seen: Tensor) -> Tensor:
            return decoder(self.model(seen))

        if self.spec.family == "fundus2video":
            made = roll_out(generator, photograph, frames)
        else:
            made = generator(photograph).mean(1, keepdim=True)
        made = functional.avg_pool2d(made.float(), self.enlarge) if self.enlarge > 1 else made.float()
        return (made[..., :height, :width] + 1) / 2

    def _enlarged(self, x: Tensor) -> Tensor:
        """The photographs as the generator saw them in training, by cubics as there."""
        if self.enlarge == 1:
            return x
        larger = functional.interpolate(x, scale_factor=self.enlarge, mode="bicubic", align_corners=False)
        return larger.clamp(-1, 1)

    def _normalised(self, x: Tensor) -> Tensor:
        photograph = 2 * x - 1
        return torch.cat([photograph, photograph], 1) if self.shape.inputs == 6 else photograph

    def _rest(self) -> nn.Sequential:
        """``model[cut:]``, loaded at the first call."""
        if not self._decoder:
            path = self.spec.weights_file
            if path is not None and file_sha256(path) != self._sha256:
                raise WeightsError(f"{path}: changed since its encoder was loaded; load the model again")
            self._decoder.append(self._filled(slice(self._cut, None), self._read()).eval().requires_grad_(False))
        return self._decoder[0]

    def _read(self) -> dict[str, Tensor] | None:
        path = self.spec.weights_file
        return None if path is None else read_state_dict(path)

    def _filled(self, part: slice, state: Mapping[str, Tensor] | None) -> nn.Sequential:
        """A part of the generator with its weights; no memory is spent on the other part."""
        with torch.device("meta"):
            whole = global_generator(self.shape)
        module = cast(nn.Sequential, whole[part]).to_empty(device="cpu")
        if state is None:
            initialise(module)
            return module
        path = str(self.spec.weights)
        compare_state_dict({f"model.{key}": tensor for key, tensor in whole.state_dict().items()}, state, path)
        match_state_dict(module, {key.removeprefix("model."): state[key] for key in state}, path, ignore=("*",))
        return module


def roll_out(generator: Callable[[Tensor], Tensor], photograph: Tensor, frames: int = 12) -> Tensor:
    """Fundus2Video's chain of windows, with its triple-frame averaging.

    Window n (from 0) sees the photograph and the three frames of window n − 1, as they were predicted, not averaged;
    window 0 sees the photograph twice. It predicts frames n + 1, n + 2 and n + 3. A frame is the mean of its
    predictions: 1 for frame 1, 2 for frame 2, 3 for every other. In training the frames beyond the end repeat the
    last one; here those surplus predictions are dropped, so that the last frame too is the mean of 3, and the first
    frames of a video don't depend on its length.

    Args:
        generator: (n, 6, h, w) → (n, 3, h, w).
        photograph: (n, 3, h, w) in the generator's range.
        frames: 1 or more.

    Returns:
        (n, frames, h, w) in the generator's range.
    """
    if frames < 1:
        raise ValueError(f"frames={frames}: ask for at least one")
    total = photograph.new_zeros(photograph.shape[0], frames, *photograph.shape[2:])
    predictions = photograph.new_zeros(frames)
    previous = photograph
    for window in range(frames):
        previous = generator(torch.cat([photograph, previous], 1))
        within = min(WINDOW, frames - window)
        total[:, window : window + within] += previous[:, :within]
        predictions[window : window + within] += 1
    return total / predictions[:, None, None]


def initialise(module: nn.Sequential, seed: int = INIT_SEED) -> None:
    """Untrained weights as in pix2pixHD: N(0, 0.02), biases zero.

    Biases are zero rather than PyTorch's small uniform numbers, because instance normalisation takes away all but the
    last layer's. Every layer has a random stream of its own, named by its index, so that a part of a generator gets
    the same weights as the whole; the global random state is untouched.
    """
    for index, layer in module.named_children():
        stream = torch.Generator().manual_seed(1000 * seed + int(index))
        for name, parameter in layer.named_parameters():
            with torch.no_grad():
                if name.endswith("bias"):
                    parameter.zero_()
                else:
                    parameter.normal_(0, 0.02, generator=stream)


def _enlarge_in(path: str | Path) -> int:
    told = read_metadata(path).get("enlarge", "1")
    if told not in ("1", "2", "4"):
        raise WeightsError(f"{path}: enlarge={told} in its metadata; 1, 2 or 4 can be used: export the generator again")
    return int(told)


def _phase_in(path: str | Path) -> str:
    told = read_metadata(path).get("phase", "venous")
    if told not in PHASES:
        raise WeightsError(f"{path}: phase={told} in its metadata; it can be {', '.join(PHASES)}: export it again")
    return told


def _shape_in(state: Mapping[str, Tensor], spec: ModelSpec) -> GeneratorShape:
    """Channels and width of the generator in a weights file; the published shape where they can't be told."""
    usual = SHAPES[spec.family]
    first, last = state.get("model.1.weight"), state.get("model.38.weight")
    if first is None or last is None or first.ndim != 4 or last.ndim != 4:
        return usual  # comparing with it will tell what is missing
    found = GeneratorShape(first.shape[1], last.shape[0], first.shape[0])
    outputs = (usual.outputs,) if spec.family == "fundus2video" else (1, 3)
    if found.inputs == usual.inputs and found.outputs in outputs:
        return found
    other = [name for name, shape in SHAPES.items() if shape.inputs == found.inputs and name != spec.family]
    hint = f"; a generator of {found.inputs} inputs may be model={other[0]}:<weights file>" if other else ""
    raise WeightsError(
        f"{spec.weights}: this generator has {found.inputs} input and {found.outputs} output channels, {spec.family} "
        f"has {usual.inputs} and {' or '.join(map(str, outputs))}{hint}"
    )
