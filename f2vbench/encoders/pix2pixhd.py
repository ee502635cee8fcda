"""Fundus2Video, Fundus2FA, pix2pixHD and the simulator's truth: trainings of one global generator as encoders."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from f2vbench.data.shading_correction import SHADING_VERSION
from f2vbench.encoders.base import MIN_SIDE, Encoder, check_photographs, resize_uint8
from f2vbench.encoders.generator_weights import (
    generator_tensors,
    published_shape,
    read_input_metadata,
    shape_of_tensors,
)
from f2vbench.encoders.global_generator import (
    TRUTH_LAYER,
    SkipState,
    at_position,
    global_generator,
    initialise,
    roll_out,
    truth_logits,
    window_input,
)
from f2vbench.encoders.model_family import VESSEL_CLASSES
from f2vbench.encoders.photograph_input import scaled_photographs
from f2vbench.encoders.pooling import pool_levels
from f2vbench.encoders.registry import FAMILIES
from f2vbench.encoders.spec import ModelSpec
from f2vbench.encoders.vessel_scores import Reading, frames_of, mean_of_views, read_frames
from f2vbench.errors import SettingsError, WeightsError
from f2vbench.pretrained.checkpoints import file_sha256, read_state_dict
from f2vbench.pretrained.state_dicts import compare_state_dict, match_state_dict

OUTPUT_LAYERS = 3
"""Layers of a generator behind its last feature map: padding, convolution and tanh."""

_EMBED_SIDE = 512  # px, side of the photographs that these generators are trained on


class Pix2PixHDEncoder(Encoder):
    """`model[:cut]` of a global generator; the rest is loaded when it is needed.

    The input is the photograph as RGB in [−1, 1], as in the first window of a video: a generator that also receives
    three frames receives the photograph twice, and a time plane is −1. An embedding is pooled over the feature maps of
    the photograph at 512 × 512 (`pooling`). The metadata of a weights file say how photographs were prepared in its
    training. `enlarge`: the generator receives them enlarged; feature maps finer than the photograph are left out, and
    frames are reduced to the photograph's size. `photograph`: the generator receives them without their shading
    (`data.shading_correction`, in the detected field of view). `phase`: the phase of a single frame, venous where the
    metadata do not say, as in the Fundus2Video papers. `skips`: connections between the halves of the generator.

    With the whole generator as the encoder (`cut=whole`), each feature map of the first half is concatenated with the
    map of the second half at the same stride (of the first window), and the finest one with the generated frames in
    [−1, 1], or with the outputs of a generator that makes no frames. The embedding is that of the first half.

    Args:
        spec: Of family `fundus2video`, `fundus2fa`, `pix2pixhd` or `truth`.

    Raises:
        WeightsError: The file is missing, damaged, or contains no such generator.
    """

    embed_size = (_EMBED_SIDE, _EMBED_SIDE)

    def __init__(self, spec: ModelSpec):
        super().__init__()
        if spec.cut is None:
            raise ValueError(f"{spec.name} is no pix2pixHD generator: it has no cut")
        self.spec = spec
        self._family = FAMILIES[spec.family]
        self.can_generate = self._family.frames > 0
        self._sha256 = file_sha256(spec.weights_file) if spec.weights_file else None
        state, metadata = self._read(), read_input_metadata(spec.weights_file)
        if state is None:
            self.shape = published_shape(spec.family)
        else:
            shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
            self.shape = shape_of_tensors(shapes, self._family, spec.weights, metadata.skips)
        self.multiple = self.shape.multiple
        self.is_whole = self.shape.layer_of_cut(spec.cut) == self.shape.whole
        self.model = self._load(slice(None, self.shape.blocks_end if self.is_whole else spec.cut), state)
        self.time: Tensor | None
        self.truth_weight: Tensor | None
        self.truth_bias: Tensor | None
        for name in ("time", *TRUTH_LAYER):
            self.register_buffer(name, None if state is None else state.get(f"model.{name}"))
        self.enlarge, self.phase, self.normalised = metadata.enlarge, metadata.phase, metadata.normalised
        # Buffers, so that the same weights with another preparation have other keys in the feature store.
        if self.enlarge > 1:
            self.register_buffer("enlarged", torch.tensor(self.enlarge))
        if self.normalised:
            self.register_buffer("without_shading", torch.tensor(SHADING_VERSION))
        self._finer_levels = self.enlarge.bit_length() - 1  # maps that are finer than the photograph
        if self._finer_levels > self.shape.downsamplings:
            raise WeightsError(
                f"{spec.weights}: enlarge={self.enlarge} with {self.shape.downsamplings} downsamplings: no feature map "
                "is as coarse as the photograph; export it again"
            )
        self.width = self.shape.embedding_width(spec.pooling)
        widths = list(self.shape.widths)
        if self.is_whole:
            widths = [2 * width for width in widths[:-1]] + widths[-1:]
            widths[self._finer_levels] += self.output_maps
        self.channels = tuple(widths[self._finer_levels :])
        self.strides = tuple(2**level for level in range(len(self.channels)))
        # In a list, so that it is no part of the encoder's parameters and state.
        self._second_part: list[nn.Sequential] = []

    @property
    def output_maps(self) -> int:
        """Channels of the generator's output that are feature maps of the whole generator: frames, or classes."""
        return self._family.frames or self.shape.outputs

    def describe(self) -> dict[str, Any]:
        """As `Encoder.describe`, with the shape of the generator, the cut and the pooling."""
        shape = {name: getattr(self.shape, name) for name in ("downsamplings", "blocks", "ngf", "skips", "time")}
        return super().describe() | shape | {"cut": self.spec.cut, "pooling": self.spec.pooling}

    def prepare(self, images: Tensor) -> Tensor:
        """(n, input_channels, h, w) in [−1, 1] of (n, 3, h, w) uint8 photographs."""
        photograph = self._enlarge(self._normalise(resize_uint8(images, self.embed_size, "bilinear")))
        return window_input(photograph, shape=self.shape)

    def pooled(self, prepared: Tensor) -> Tensor:
        """(n, width) embeddings."""
        if self.spec.pooling == "mean":
            features: Tensor = self.model(prepared)
            return features.float().mean((2, 3))
        return pool_levels(self.levels(prepared))

    def pyramid(self, x: Tensor) -> list[Tensor]:
        """Feature maps of photographs; see `Encoder.pyramid`."""
        self._check(x)
        photograph = self._normalise(x)
        maps = self.levels(window_input(self._enlarge(photograph), shape=self.shape))
        return (self._with_second_half(maps, photograph) if self.is_whole else maps)[self._finer_levels :]

    @torch.no_grad()
    def generate(self, x: Tensor, frames: int = 12) -> Tensor:
        """Angiogram frames of photographs.

        Args:
            x: (n, 3, h, w) in [0, 1], sides of 32 or more; padded by reflection to multiples of `multiple`.
            frames: Number of frames; Fundus2Video is trained for 12. The first frames do not depend on it, and models
                of one frame ignore it.

        Returns:
            (n, frames, h, w) in [0, 1]; for models of one frame (n, 1, h, w), the mean of their channels.

        Raises:
            SettingsError: The model generates no frames.
            WeightsError: The weights file has changed since the encoder was loaded.
        """
        if not self.can_generate:
            return super().generate(x, frames)
        self._check(x)
        return (self._outputs(self._normalise(x), 0, frames) + 1) / 2

    @torch.no_grad()
    def vessel_score(self, x: Tensor, reading: Reading, views: int = 1) -> Tensor:
        """Vessel score of each pixel; only the windows of a video that the score needs are generated.

        A probability of vessels is that of the first window, which receives the photograph alone.

        Args:
            x: (n, 3, h, w) in [0, 1].
            reading: What is computed from the output.
            views: As for `Encoder.vessel_score`.

        Returns:
            (n, h, w); in [0, 1], or [−1, 1] for a difference. For ``truth`` (n, classes, h, w) in [0, 1].

        Raises:
            SettingsError: This generator has no such score.
            WeightsError: As `generate`.
        """
        self._check(x)
        readings: tuple[Reading, ...] = ("probability", "truth") if self._predicts_vessels else ()
        if self._family.frames:
            readings += ("venous", "venous-late", "maximum") if self._family.frames > 1 else ("frame",)
        if reading not in readings:
            raise SettingsError(f"{self.spec.name}: has no vessel score '{reading}'")
        return mean_of_views(lambda photograph: self._vessel_score(photograph, reading), self._normalise(x), views)

    def _vessel_score(self, photograph: Tensor, reading: Reading) -> Tensor:
        """The vessel score of photographs in [−1, 1], without their shading where the generator was trained so."""
        if reading == "probability":
            return self._truth_probabilities(photograph, VESSEL_CLASSES).amax(1)
        if reading == "truth":
            return self._truth_probabilities(photograph, slice(None))
        first, end = frames_of(reading)
        frames = (self._outputs(photograph, first, end) + 1) / 2
        return read_frames(frames, reading, first) if self._family.frames > 1 else frames[:, 0]

    @property
    def _predicts_vessels(self) -> bool:
        return self._family.predicts_truth or self.truth_weight is not None

    def _truth_probabilities(self, photograph: Tensor, classes: slice) -> Tensor:
        """Probabilities of classes of the simulator's truth, (n, classes, h, w), at the size of the photograph."""
        weight, bias = self.truth_weight, self.truth_bias
        if weight is None or bias is None:
            probabilities = (self._outputs(photograph, 0, 1) + 1) / 2
        else:
            features = self._last_features(window_input(self._padded(photograph), shape=self.shape))
            logits = truth_logits(features.float(), weight[classes].float(), bias[classes].float())
            return self._reduce(logits.sigmoid(), *photograph.shape[2:])
        return probabilities[:, classes]

    def second_part(self) -> nn.Sequential:
        """`model[cut:]`, or the second half for the whole generator; loaded at the first call."""
        if not self._second_part:
            path = self.spec.weights_file
            if path is not None and file_sha256(path) != self._sha256:
                raise WeightsError(f"{path}: changed since its encoder was loaded; load the model again")
            part = self._load(slice(len(self.model), None), self._read())
            self._second_part.append(part.eval().requires_grad_(False))
        return self._second_part[0].to(next(self.model.parameters()).device)

    def levels(self, inputs: Tensor) -> list[Tensor]:
        """Maps of the first half at stride 1, 2, 4, … of the generator's input."""
        maps = []
        for start, end in pairwise((0, *self.shape.down_ends, len(self.model))):
            inputs = self.model[start:end](inputs)
            maps.append(inputs)
        return maps

    def _with_second_half(self, maps: list[Tensor], photograph: Tensor) -> list[Tensor]:
        """The maps of both halves by stride, and the outputs with the finest map that is returned."""
        skips, features, joined = SkipState(self.shape), maps[-1], [maps[-1]]
        for end, level in zip(self.shape.down_ends, maps, strict=False):
            skips.after(end - 1, level)
        finer = iter(reversed(maps[:-1]))
        for index, layer in enumerate(self.second_part(), start=len(self.model)):
            features = skips.after(index, layer(features))
            if index + 1 in self.shape.up_ends:
                first_half = next(finer)
                height, width = first_half.shape[2:]  # of odd sizes the upsampled map is larger by one
                joined.insert(0, torch.cat([first_half, features[..., :height, :width]], 1))
        with torch.no_grad():
            outputs = self._outputs(photograph, 0, self.output_maps)
        joined[self._finer_levels] = torch.cat([joined[self._finer_levels], outputs.to(joined[0].dtype)], 1)
        return joined

    def _outputs(self, photograph: Tensor, first: int, end: int) -> Tensor:
        """Outputs of the generator at the size of the photograph.

        Args:
            photograph: (n, 3, h, w) in [−1, 1], without its shading where the generator was trained so.
            first: First frame of a video, from 0.
            end: The frame after the last one.

        Returns:
            (n, end − first, h, w) float32 in [−1, 1]; of other models the frame, or all classes.
        """
        enlarged = self._padded(photograph)
        if self._family.frames > 1:
            outputs = roll_out(self._run, enlarged, end, self.shape, first)
        else:
            outputs = self._run(window_input(enlarged, shape=self.shape))
            outputs = outputs.mean(1, keepdim=True) if self._family.frames else outputs
        return self._reduce(outputs, *photograph.shape[2:])

    def _padded(self, photograph: Tensor) -> Tensor:
        """Photographs with sides that are multiples of `multiple`, enlarged as in training."""
        height, width = photograph.shape[2:]
        padding = (0, -width % self.multiple, 0, -height % self.multiple)
        return self._enlarge(functional.pad(photograph, padding, mode="reflect"))

    def _reduce(self, outputs: Tensor, height: int, width: int) -> Tensor:
        """Outputs at the size of the photograph, without padding."""
        if self.enlarge > 1:
            outputs = functional.avg_pool2d(outputs, self.enlarge)
        return outputs[..., :height, :width]

    def _run(self, inputs: Tensor) -> Tensor:
        """The whole generator; the tanh is computed in float32, because bfloat16 has few values near −1 and 1."""
        padding, convolution, tanh = list(self.second_part())[-OUTPUT_LAYERS:]
        outputs: Tensor = tanh(convolution(padding(self._last_features(inputs))).float())
        return outputs

    def _last_features(self, inputs: Tensor) -> Tensor:
        """The last feature map at the position in the video that the input states."""
        skips, x = SkipState(self.shape), inputs
        for index, layer in enumerate([*self.model, *self.second_part()][:-OUTPUT_LAYERS]):
            x = skips.after(index, layer(x))
        return at_position(x, self.time, inputs)

    def _check(self, x: Tensor) -> None:
        check_photographs(x, max(MIN_SIDE, 2 * self.multiple))

    def _enlarge(self, x: Tensor) -> Tensor:
        """Photographs at the size of training, by bicubic interpolation as in training."""
        if self.enlarge == 1:
            return x
        larger = functional.interpolate(x, scale_factor=self.enlarge, mode="bicubic", align_corners=False)
        return larger.clamp(-1, 1)

    def _normalise(self, x: Tensor) -> Tensor:
        """Photographs in [0, 1] → [−1, 1], without their shading where the generator was trained so."""
        return scaled_photographs(x, self.normalised)

    def _read(self) -> dict[str, Tensor] | None:
        path = self.spec.weights_file
        return None if path is None else generator_tensors(read_state_dict(path), path)

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
