"""Fundus2Video, Fundus2FA and pix2pixHD: three trainings of one global generator, whose first half is the encoder."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
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
from f2vbench.encoders.base import Encoder, check_photographs, resize_uint8
from f2vbench.encoders.global_generator import (
    BLOCKS_END,
    DOWN_ENDS,
    LEVELS,
    UP_ENDS,
    generator_widths,
    global_generator,
    initialise,
    roll_out,
)
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.encoders.registry import FAMILIES
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import WeightsError, WeightsNote
from f2vbench.pretrained.checkpoints import file_sha256, read_metadata, read_state_dict
from f2vbench.pretrained.state_dicts import compare_state_dict, match_state_dict, without_prefix

WHOLE = 39
"""The cut that makes the whole generator the encoder."""

_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
_EMBED_SIDE = 512  # px, side of the photographs that these generators are trained on
_INPUT_CHOICES = {  # values that a file's metadata may have; the first is the default
    "enlarge": ("1", "2", "4"),
    "photograph": ("plain", "normalised"),
    "phase": ("venous", *(phase for phase in PHASES if phase != "venous")),
}


class Pix2PixHDEncoder(Encoder):
    """`model[:cut]` of a global generator; the rest is loaded when frames are generated.

    The input is the photograph as RGB in [−1, 1]; a six-channel generator receives it twice, as in Fundus2Video's first
    window. An embedding is the spatial mean of the last feature map, for the photograph at 512 × 512. The metadata of
    a weights file say how photographs were prepared in its training. `enlarge`: the generator receives them enlarged;
    feature maps finer than the photograph are left out, and frames are reduced to the photograph's size. `photograph`:
    the generator receives them without their shading (`data.shading_correction`, in the detected field of view).
    `phase`: the phase of a single frame, venous where the metadata do not say, as in the Fundus2Video papers.

    With `cut` 39 the whole generator is the encoder: each feature map of the first half is concatenated with the map of
    the second half at the same stride (of the first window), and the finest one with the generated frames in [−1, 1].
    The embedding is that of the residual blocks.

    Args:
        spec: Of family `fundus2video`, `fundus2fa` or `pix2pixhd`.

    Raises:
        WeightsError: The file is missing, damaged, or contains no such generator.
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
        self._is_whole = spec.cut == WHOLE
        self.model = self._load(slice(None, BLOCKS_END if self._is_whole else spec.cut), state)
        expected = _expected_input(spec.weights_file)
        self.enlarge, self.phase, self.normalised = expected.enlarge, expected.phase, expected.normalised
        # Buffers, so that the same weights with another preparation have other keys in the feature store.
        if self.enlarge > 1:
            self.register_buffer("enlarged", torch.tensor(self.enlarge))
        if self.normalised:
            self.register_buffer("without_shading", torch.tensor(SHADING_VERSION))
        self._finer_levels = self.enlarge.bit_length() - 1  # maps that are finer than the photograph
        widths = generator_widths(self.shape.ngf)
        self.width = widths[-1]
        if self._is_whole:
            widths = [2 * width for width in widths[:-1]] + widths[-1:]
            widths[self._finer_levels] += self._frames
        self.channels = tuple(widths[self._finer_levels :])
        self.strides = tuple(2**level for level in range(LEVELS - self._finer_levels))
        # In a list, so that it is no part of the encoder's parameters and state.
        self._decoder: list[nn.Sequential] = []

    def prepare(self, images: Tensor) -> Tensor:
        """(n, inputs, h, w) in [−1, 1] of (n, 3, h, w) uint8 photographs."""
        return self._generator_input(resize_uint8(images, self.embed_size, "bilinear"))

    def pooled(self, prepared: Tensor) -> Tensor:
        """(n, width) spatial means of the last feature map."""
        features: Tensor = self.model(prepared)
        return features.mean((2, 3))

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """Feature maps of photographs; see `Encoder.pyramid`."""
        check_photographs(x)
        maps = []
        features = self._generator_input(x)
        for start, end in pairwise((0, *DOWN_ENDS, len(self.model))):
            features = self.model[start:end](features)
            maps.append(features)
        return (self._with_second_half(maps, x) if self._is_whole else maps)[self._finer_levels :]

    def _with_second_half(self, maps: list[Tensor], x: Tensor) -> list[Tensor]:
        """The maps of both halves by stride, and the frames with the finest map that is returned."""
        decoder, joined, features = self._rest().to(x.device), [maps[-1]], maps[-1]
        for level, (start, end) in enumerate(pairwise(UP_ENDS)):
            features = decoder[start - BLOCKS_END : end - BLOCKS_END](features)
            height, width = maps[3 - level].shape[2:]  # of odd sizes the upsampled map is larger by one
            joined.insert(0, torch.cat([maps[3 - level], features[..., :height, :width]], 1))
        frames = 2 * self.generate(x, self._frames) - 1
        joined[self._finer_levels] = torch.cat([joined[self._finer_levels], frames.to(joined[0].dtype)], 1)
        return joined

    @property
    def _frames(self) -> int:
        return FAMILIES[self.spec.family].frames

    @torch.no_grad()
    def generate(self, x: Tensor, frames: int = 12) -> Tensor:
        """Angiogram frames of photographs.

        Args:
            x: (n, 3, h, w) in [0, 1], sides of 32 or more; padded by reflection to multiples of 16.
            frames: Number of frames; Fundus2Video is trained for 12. The first frames do not depend on it, and models
                of one frame ignore it.

        Returns:
            (n, frames, h, w) in [0, 1]; for models of one frame (n, 1, h, w), the mean of their channels.

        Raises:
            WeightsError: The weights file has changed since the encoder was loaded.
        """
        check_photographs(x)
        height, width = x.shape[2:]
        padding = (0, -width % self.multiple, 0, -height % self.multiple)
        photograph = self._enlarge(functional.pad(self._normalise(x), padding, mode="reflect"))
        decoder = self._rest().to(x.device)

        def generator(inputs: Tensor) -> Tensor:
            outputs: Tensor = decoder(self.model(inputs))
            return outputs

        if self._frames > 1:
            generated = roll_out(generator, photograph, frames)
        else:
            generated = generator(photograph).mean(1, keepdim=True)
        generated = generated.float()
        if self.enlarge > 1:
            generated = functional.avg_pool2d(generated, self.enlarge)
        return (generated[..., :height, :width] + 1) / 2

    def _generator_input(self, x: Tensor) -> Tensor:
        """Photographs in [0, 1] as the generator received them in training, in [−1, 1]."""
        photograph = self._normalise(x)
        return self._enlarge(torch.cat([photograph, photograph], 1) if self.shape.inputs == 6 else photograph)

    def _enlarge(self, x: Tensor) -> Tensor:
        """Photographs at the size of training, by bicubic interpolation as in training."""
        if self.enlarge == 1:
            return x
        larger = functional.interpolate(x, scale_factor=self.enlarge, mode="bicubic", align_corners=False)
        return larger.clamp(-1, 1)

    def _normalise(self, x: Tensor) -> Tensor:
        """Photographs in [0, 1] → [−1, 1], without their shading where the generator was trained so."""
        if not self.normalised:
            return 2 * x - 1
        pictures = (255 * x.detach().float()).round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
        corrected = np.stack([normalised_picture(picture, field_of_view(picture)) for picture in pictures])
        return torch.from_numpy(corrected).permute(0, 3, 1, 2).to(x) / 127.5 - 1

    def _rest(self) -> nn.Sequential:
        """`model[cut:]`, loaded at the first call."""
        if not self._decoder:
            path = self.spec.weights_file
            if path is not None and file_sha256(path) != self._sha256:
                raise WeightsError(f"{path}: changed since its encoder was loaded; load the model again")
            self._decoder.append(self._load(slice(len(self.model), None), self._read()).eval().requires_grad_(False))
        return self._decoder[0]

    def _read(self) -> dict[str, Tensor] | None:
        path = self.spec.weights_file
        return None if path is None else _generator_state(read_state_dict(path), path)

    def _load(self, part: slice, state: Mapping[str, Tensor] | None) -> nn.Sequential:
        """A part of the generator with its weights; the other part takes no memory."""
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


def _generator_state(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Tensors of a file under the names of released checkpoints, without prefix and instance-norm statistics.

    Warns:
        WeightsNote: A prefix or statistics were removed.
    """
    with torch.device("meta"):
        names = [f"model.{name}" for name in global_generator(_published_shape("pix2pixhd")).state_dict()]
    named = without_prefix(state, names, path)
    statistics = [name for name in named if name.rpartition(".")[2] in _STATISTICS]
    if statistics:
        warnings.warn(
            f"{path}: {len(statistics)} statistics of instance norms are not used, because the generator normalises "
            "each photograph by its own",
            WeightsNote,
            stacklevel=2,
        )
    return {name: tensor for name, tensor in named.items() if name not in set(statistics)}


@dataclass(frozen=True)
class _ExpectedInput:
    """How photographs were prepared in the training of a generator, and the phase of its single frame."""

    enlarge: int
    normalised: bool
    phase: str


def _expected_input(path: Path | None) -> _ExpectedInput:
    """The preparation in a file's metadata, with defaults for what they do not say.

    Raises:
        WeightsError: The metadata are damaged, or have unknown values.
    """
    notes = {} if path is None else _input_metadata(path)
    values = {key: notes.get(key, choices[0]) for key, choices in _INPUT_CHOICES.items()}
    for key, choices in _INPUT_CHOICES.items():
        if values[key] not in choices:
            raise WeightsError(f"{path}: {key}={values[key]} in its metadata; {' or '.join(choices)}: export it again")
    return _ExpectedInput(int(values["enlarge"]), values["photograph"] == "normalised", values["phase"])


def _input_metadata(path: Path) -> dict[str, str]:
    """The JSON object that `f2vbench train` writes as `seen` into the metadata of its weights."""
    try:
        notes = json.loads(read_metadata(path).get("seen", "{}"))
    except ValueError:
        notes = None
    if not isinstance(notes, dict):
        raise WeightsError(f"{path}: its metadata can't be read (seen is no JSON object): export it again")
    return notes


def _shape_in(state: Mapping[str, Tensor], spec: ModelSpec) -> GeneratorShape:
    """Channels and width of the generator in a weights file; the published shape where they are not readable."""
    published = _published_shape(spec.family)
    first, last = state.get("model.1.weight"), state.get("model.38.weight")
    if first is None or last is None or first.ndim != 4 or last.ndim != 4:
        return published  # the comparison with it lists what is missing
    found = GeneratorShape(first.shape[1], last.shape[0], first.shape[0])
    outputs = (published.outputs,) if FAMILIES[spec.family].frames > 1 else (1, 3)
    if found.inputs == published.inputs and found.outputs in outputs:
        return found
    shapes = {family.name: family.generator for family in FAMILIES.values() if family.generator is not None}
    others = [name for name, shape in shapes.items() if shape.inputs == found.inputs and name != spec.family]
    hint = f"; a generator of {found.inputs} inputs may be model={others[0]}:<weights file>" if others else ""
    raise WeightsError(
        f"{spec.weights}: this generator has {found.inputs} input and {found.outputs} output channels, {spec.family} "
        f"has {published.inputs} and {' or '.join(map(str, outputs))}{hint}"
    )


def _published_shape(family: str) -> GeneratorShape:
    shape = FAMILIES[family].generator
    if shape is None:
        raise ValueError(f"{family} is no pix2pixHD generator")
    return shape
