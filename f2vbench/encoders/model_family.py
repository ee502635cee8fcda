"""The type of a registry entry: everything that is known about a family of models without loading one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from math import ceil
from typing import Final, Literal

from f2vbench.errors import SettingsError

UNTRAINED = "untrained"

PRECOMPUTED: Final = "precomputed"

FRAMES = 12
"""Frames of the videos that Fundus2Video is trained for."""

VESSEL_CLASSES = slice(0, 2)
"""Classes of the simulator's truth that are vessels: artery and vein."""

Kind = Literal["features", "generator", "score", "scratch", "vector", "video", "constant", "fusion"]
"""What a model computes; see `ModelSpec`."""

EmbeddingPooling = Literal["levels", "mean", "official"]
"""How maps or tokens become an embedding: `levels` and `mean` of generators (`f2vbench.encoders.pooling`), `official`
and `mean` of RETFound (`f2vbench.encoders.retfound`)."""

Skips = Literal["none", "additive"]
"""Connections between the two halves of a generator; see `GeneratorShape`."""

TimeInput = Literal["none", "plane"]
"""How a generator receives the position of a window in the video; see `GeneratorShape`."""

SegmentationDecoder = Literal["unet", "generator", "mask-decoder", "mask-decoder-click"]
"""What vessel segmentation trains on the feature maps of a model; see `ModelSpec.decoder`."""

DefaultWeights = Literal["card", "released", "hub", "package", "installed", "precomputed", "untrained", "none"]
"""Weights of a family whose argument names none; see `ModelFamily`."""


@dataclass(frozen=True)
class GeneratorShape:
    """Shape of a pix2pixHD global generator; the defaults are those of the published one.

    The properties are indices of its layers. With the defaults they are those of pix2pixHD's released checkpoints.

    Attributes:
        inputs: Channels of the input images.
        outputs: Output channels.
        ngf: Channels of the first layer; each downsampling doubles them.
        downsamplings: Downsampling layers, and as many upsampling layers.
        blocks: Residual blocks.
        skips: `additive` adds each feature map of the first half to the map of the second half at the same stride.
        time: `plane` adds an input channel with the position in the video, −1 for the first window and 1 for the
            twelfth, the same for all pixels. It also scales and offsets the last feature map.
        classes: Classes of the simulator's truth that a linear layer predicts from the last feature map, beside the
            frames; 0 without this layer. The first ones are `VESSEL_CLASSES`.
    """

    inputs: int
    outputs: int
    ngf: int = 64
    downsamplings: int = 4
    blocks: int = 9
    skips: Skips = "none"
    time: TimeInput = "none"
    classes: int = 0

    @property
    def input_channels(self) -> int:
        """Channels of the first convolution: those of the images, and the time plane."""
        return self.inputs + (self.time == "plane")

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels at stride 1, 2, 4, …, finest first."""
        return tuple(self.ngf * 2**level for level in range(self.downsamplings + 1))

    @property
    def multiple(self) -> int:
        """The sides of an input are multiples of it: the stride of the residual blocks."""
        return 1 << self.downsamplings

    @property
    def down_ends(self) -> tuple[int, ...]:
        """Layers after which the maps of the first half are complete, finest first, without the coarsest."""
        return tuple(4 + 3 * level for level in range(self.downsamplings))

    @property
    def blocks_start(self) -> int:
        """The first residual block."""
        return 4 + 3 * self.downsamplings

    @property
    def blocks_end(self) -> int:
        """The layer after the residual blocks: the first of the second half."""
        return self.blocks_start + self.blocks

    @property
    def up_ends(self) -> tuple[int, ...]:
        """Layers after which the maps of the second half are complete, coarsest first, with that of the blocks."""
        return tuple(self.blocks_end + 3 * level for level in range(self.downsamplings + 1))

    @property
    def last_feature_map(self) -> int:
        """The layer whose output is the input of the last convolution, apart from its padding."""
        return self.up_ends[-1] - 1

    @property
    def last_convolution(self) -> int:
        """The last convolution; a tanh follows it."""
        return self.up_ends[-1] + 1

    @property
    def whole(self) -> int:
        """The cut that makes the whole generator the encoder: 39 in the published shape."""
        return self.last_convolution + 1

    @property
    def cuts(self) -> range:
        """Layers after which an encoder that is a part of the generator may end: those that follow a residual block."""
        return range(self.blocks_start + 1, self.blocks_end + 1)

    def layer_of_cut(self, cut: int | str | None) -> int:
        """The layer at which the encoder ends.

        Args:
            cut: One of `cuts`; `whole` or its number; None for the default, after a third of the blocks (rounded up).

        Raises:
            SettingsError: There is no residual block before this layer.
        """
        if cut is None:
            return self.blocks_start + ceil(self.blocks / 3)
        layer = self.whole if cut == "whole" else cut
        if layer not in (*self.cuts, self.whole):
            raise SettingsError(
                f"cut={cut}: of a generator with {self.downsamplings} downsamplings and {self.blocks} residual blocks, "
                f"the encoder can end at {self.cuts[0]} to {self.cuts[-1]} (model[:cut]), or at {self.whole} or "
                "`whole` for the whole generator"
            )
        return int(layer)

    def embedding_width(self, pooling: str | None) -> int:
        """Length of an embedding.

        Args:
            pooling: `levels` or `mean`; see `f2vbench.encoders.pooling`.
        """
        return self.widths[-1] if pooling == "mean" else sum(self.widths) + self.widths[-1]


@dataclass(frozen=True)
class ModelFamily:
    """A family of models: all that listings, the parser of `model=`, the loader and figures know about it.

    Attributes:
        name: The first part of a model argument, such as `retfound` in `retfound:mae_meh`.
        description: One line for `f2vbench list models`.
        kind: What its models compute; see `ModelSpec`.
        loader: `module:attribute` of a callable that takes a `ModelSpec` and returns the model, imported on first use.
            None: a task trains the model itself.
        default_weights: `card` (the weights card with `default_of: <name>`), `released` (files of other owners, one
            weights card for each variant), `hub` (timm's own), `package` (those of the package that adds the family),
            `installed` (the file of the weights card with the family's name, in an installed Python package),
            `precomputed` (frames in a folder, or imported embeddings), `untrained` or `none` (a baseline without
            weights).
        how_to_get_weights: Sentences that end the message about missing weights, for families whose `default_weights`
            are `card`. Weights cards have the instructions for released weights.
        trainable: Whether `f2vbench train` trains it.
        variants: Names that may follow the colon. The first is the default.
        poolings: Poolings of a transformer's tokens that an argument may end in, as `@<pooling>`. The first is the
            default. Empty for families with one, and for generators, which have a setting for it.
        architecture: `ModelSpec.architecture` of a weights file; the family's name where empty.
        untrained_architecture: The same without weights; `architecture` where empty.
        width: Length of an embedding of the published network, None where it differs between models, as for generators.
        generator: Shape of the published pix2pixHD generator, None for other networks.
        frames: Angiogram frames that the model generates for one photograph, 0 for models that generate none.
        predicts_truth: Whether the outputs of its generator are classes of the simulator's truth, as logits before the
            tanh, instead of frames.
        libraries: Packages whose version is part of a model's identity, because their code computes the output.
        extra: Extra of f2vbench that installs these packages; empty for packages that are always installed.
        has_sampler: Whether a model argument may end with `@<sampler>`; see `f2vbench.encoders.samplers`.
        decoder: Decoder that vessel segmentation trains on its feature maps, where the model argument chooses none.
        baseline_for: Task families that the model is a baseline for; empty for models that are no baseline.
        colour: Hexadecimal colour in figures; None for families without a colour of their own, such as baselines.
        package: Name and version of the package that adds the family; None for built-in families.
    """

    name: str
    description: str
    kind: Kind
    loader: str | None
    default_weights: DefaultWeights
    how_to_get_weights: str = ""
    trainable: bool = False
    variants: tuple[str, ...] = ()
    poolings: tuple[EmbeddingPooling, ...] = ()
    architecture: str = ""
    untrained_architecture: str = ""
    width: int | None = None
    generator: GeneratorShape | None = None
    frames: int = 0
    predicts_truth: bool = False
    libraries: tuple[str, ...] = ()
    extra: str = ""
    has_sampler: bool = False
    decoder: SegmentationDecoder = "unet"
    baseline_for: tuple[str, ...] = ()
    colour: str | None = None
    package: str | None = None

    @property
    def is_baseline(self) -> bool:
        """Whether tables and figures list its models as baselines."""
        return bool(self.baseline_for)

    @property
    def takes_weights(self) -> bool:
        """Whether a model argument may name a weights file for it."""
        return self.default_weights in ("card", "released", "hub", "package")

    def check_libraries(self, argument: str) -> None:
        """Check that the packages of an extra are installed.

        Args:
            argument: What needs them, for the message.

        Raises:
            SettingsError: One is not installed.
        """
        missing = [name for name in self.libraries if self.extra and find_spec(name.replace("-", "_")) is None]
        if missing:
            raise SettingsError(
                f"{argument} needs the package {', '.join(missing)}, which is not installed: run "
                f'`pip install "f2vbench[{self.extra}]"`'
            )

    def architecture_of(self, weights: str) -> str:
        """`ModelSpec.architecture` for a weights file, or for the value `untrained`."""
        named = self.architecture or self.name
        return self.untrained_architecture or named if weights == UNTRAINED else named

    def card_of(self, variant: str) -> str:
        """Name of the weights card of a released variant."""
        return self.name if variant == self.name else re.sub("[_.]", "-", f"{self.name}-{variant.lower()}")
