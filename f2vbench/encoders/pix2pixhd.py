"""Fundus2Video, Fundus2FA and pix2pixHD: three trainings of one global generator, whose front part is the encoder.

The generator of Wang et al. 2018 ("High-Resolution Image Synthesis and Semantic Manipulation with Conditional
GANs"): a 7 × 7 front, 4 downsamplings, 9 residual blocks, 4 upsamplings; instance normalisation without parameters,
reflection padding, tanh. Module indices are those of its released checkpoints: front ``model.1``, downsamplings
4, 7, 10, 13, residual blocks 16 to 24, upsamplings 25, 28, 31, 34, output 38.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from f2vbench.data.cases import PHASES
from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.shading_correction import SHADING_VERSION, normalised_picture
from f2vbench.encoders.base import Encoder, check_photographs, to_unit
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.encoders.registry import FAMILIES
from f2vbench.encoders.spec import INIT_SEED, ModelSpec
from f2vbench.errors import WeightsError
from f2vbench.pretrained.checkpoints import file_sha256, read_metadata, read_state_dict
from f2vbench.pretrained.state_dicts import compare_state_dict, match_state_dict

WINDOW = 3
"""Consecutive frames that Fundus2Video predicts at once."""

WHOLE = 39
"""The cut that makes the whole generator an encoder."""

_MAP_ENDS = (4, 7, 10, 13)  # where the maps of stride 1, 2, 4 and 8 are complete
_BLOCKS_END = 25
_UP_ENDS = (25, 28, 31, 34, 37)  # where those of stride 8, 4, 2 and 1 are complete on the way back
_EMBED_SIDE = 512  # the side of the photographs that these generators are trained on
_BLOCKS = 9
_SEEN = {  # in a file's metadata: what holds where nothing is told, and what can be told
    "enlarge": ("1", ("1", "2", "4")),
    "photograph": ("plain", ("plain", "normalised")),
    "phase": ("venous", PHASES),
}


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
    are left out, and its frames come back at the photograph's size. One that was trained on photographs without their
    shading (``photograph`` in the metadata) is shown such: `data.shading_correction`, in the field of view found. The
    phase of a single frame stands there as well; where it does not, the frame counts as venous, as in the
    Fundus2Video papers.

    With ``cut`` 39 the whole generator is the encoder: each map of the downsampling half is joined by that of the
    upsampling half at its stride (of the first window), and the finest one by the generated frames, in [−1, 1]. The
    embedding is that of the residual blocks.

    Args:
        spec: of family ``fundus2video``, ``fundus2fa`` or ``pix2pixhd``.

    Raises:
        WeightsError: the file is missing, damaged, or holds no such generator.
    """

    can_generate = True
    multiple = 16
    embed_size = (_EMBED_SIDE, _EMBED_SIDE)

    def __init__(self, spec: ModelSpec):
        super().__init__()
        if spec.cut is None:
            raise ValueError(f"{spec.name} is no pix2pixHD generator: it has no cut")
        self.spec = spec
        self._sha256 = file_sha256(spec.weights_file) if spec.weights_file else None
        state = self._read()
        self.shape = _published_shape(spec.family) if state is None else _shape_in(state, spec)
        self._joined = spec.cut == WHOLE
        self.model = self._filled(slice(None, _BLOCKS_END if self._joined else spec.cut), state)
        seen = _seen_in(spec.weights_file)
        self.enlarge, self.phase = int(seen["enlarge"]), seen["phase"]
        self.normalised = seen["photograph"] == "normalised"
        # Buffers, so that the same weights shown other photographs have other features in the store.
        if self.enlarge > 1:
            self.register_buffer("enlarged", torch.tensor(self.enlarge))
        if self.normalised:
            self.register_buffer("without_shading", torch.tensor(SHADING_VERSION))
        self._finer = self.enlarge.bit_length() - 1
        widths = [self.shape.ngf * 2**level for level in range(5)]
        self.width = widths[-1]
        if self._joined:
            widths = [2 * width for width in widths[:-1]] + widths[-1:]
            widths[self._finer] += self._frames
        self.channels = tuple(widths[self._finer :])
        self.strides = tuple(2**level for level in range(5 - self._finer))
        # In a list, so that it is no part of the encoder's parameters and state.
        self._decoder: list[nn.Sequential] = []

    def prepare(self, images: Tensor) -> Tensor:
        small = (_EMBED_SIDE, _EMBED_SIDE)
        return self._enlarged(self._twice(self._shown(to_unit(images, small, "bilinear"))))

    def pooled(self, prepared: Tensor) -> Tensor:
        return self.model(prepared).mean((2, 3))

    def pyramid(self, x: Tensor) -> list[Tensor]:
        check_photographs(x)
        maps = []
        features = self._enlarged(self._twice(self._shown(x)))
        last = len(self.model)
        for start, end in zip((0, *_MAP_ENDS), (*_MAP_ENDS, last), strict=True):
            features = self.model[start:end](features)
            maps.append(features)
        return (self._join(maps, x) if self._joined else maps)[self._finer :]

    def _join(self, maps: list[Tensor], x: Tensor) -> list[Tensor]:
        """The maps of both halves by stride, and the frames at the finest stride that is given away."""
        decoder, joined, features = self._rest().to(x.device), [maps[-1]], maps[-1]
        for level, (start, end) in enumerate(pairwise(_UP_ENDS)):
            features = decoder[start - _BLOCKS_END : end - _BLOCKS_END](features)
            height, width = maps[3 - level].shape[2:]  # of odd sizes the upsampled map is larger by one
            joined.insert(0, torch.cat([maps[3 - level], features[..., :height, :width]], 1))
        frames = 2 * self.generate(x, self._frames) - 1
        joined[self._finer] = torch.cat([joined[self._finer], frames.to(joined[0].dtype)], 1)
        return joined

    @property
    def _frames(self) -> int:
        return 12 if self.spec.family == "fundus2video" else 1

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
        photograph = self._enlarged(functional.pad(self._shown(x), padding, mode="reflect"))
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

    def _shown(self, x: Tensor) -> Tensor:
        """Photographs in [0, 1] as the generator saw them in training, in [−1, 1]."""
        if not self.normalised:
            return 2 * x - 1
        pictures = (255 * x.detach().float()).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        shown = np.stack([normalised_picture(picture, field_of_view(picture)) for picture in pictures])
        return torch.from_numpy(shown).permute(0, 3, 1, 2).to(x) / 127.5 - 1

    def _twice(self, photograph: Tensor) -> Tensor:
        return torch.cat([photograph, photograph], 1) if self.shape.inputs == 6 else photograph

    def _rest(self) -> nn.Sequential:
        """``model[cut:]``, loaded at the first call."""
        if not self._decoder:
            path = self.spec.weights_file
            if path is not None and file_sha256(path) != self._sha256:
                raise WeightsError(f"{path}: changed since its encoder was loaded; load the model again")
            self._decoder.append(self._filled(slice(len(self.model), None), self._read()).eval().requires_grad_(False))
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


def _seen_in(path: Path | None) -> dict[str, str]:
    """How photographs are shown to this generator and the phase of its single frame, as in `_SEEN`.

    Raises:
        WeightsError: the file's metadata tell something else.
    """
    told = {} if path is None else _notes(path)
    found = {key: told.get(key, usual) for key, (usual, _) in _SEEN.items()}
    for key, (_, known) in _SEEN.items():
        if found[key] not in known:
            raise WeightsError(f"{path}: {key}={found[key]} in its metadata; {' or '.join(known)}: export it again")
    return found


def _notes(path: Path) -> dict[str, str]:
    try:
        told = json.loads(read_metadata(path).get("seen", "{}"))
    except ValueError:
        told = None
    if not isinstance(told, dict):
        raise WeightsError(f"{path}: its metadata can't be read (seen is no JSON object): export it again")
    return told


def _shape_in(state: Mapping[str, Tensor], spec: ModelSpec) -> GeneratorShape:
    """Channels and width of the generator in a weights file; the published shape where they can't be told."""
    usual = _published_shape(spec.family)
    first, last = state.get("model.1.weight"), state.get("model.38.weight")
    if first is None or last is None or first.ndim != 4 or last.ndim != 4:
        return usual  # comparing with it will tell what is missing
    found = GeneratorShape(first.shape[1], last.shape[0], first.shape[0])
    outputs = (usual.outputs,) if spec.family == "fundus2video" else (1, 3)
    if found.inputs == usual.inputs and found.outputs in outputs:
        return found
    generators = [family for family in FAMILIES.values() if family.generator is not None]
    other = [family.name for family in generators if _published_shape(family.name).inputs == found.inputs]
    hint = f"; a generator of {found.inputs} inputs may be model={other[0]}:<weights file>" if other else ""
    raise WeightsError(
        f"{spec.weights}: this generator has {found.inputs} input and {found.outputs} output channels, {spec.family} "
        f"has {usual.inputs} and {' or '.join(map(str, outputs))}{hint}"
    )


def _published_shape(family: str) -> GeneratorShape:
    shape = FAMILIES[family].generator
    assert shape is not None
    return shape
