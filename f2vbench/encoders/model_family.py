"""The type of a registry entry: everything that is known about a family of models without loading one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

UNTRAINED = "untrained"

Kind = Literal["features", "score", "scratch", "vector", "video", "fusion"]
"""What a model computes; see `ModelSpec`."""

DefaultWeights = Literal["card", "released", "hub", "package", "precomputed", "untrained", "none"]
"""Weights of a family whose argument names none; see `ModelFamily`."""


@dataclass(frozen=True)
class GeneratorShape:
    """Shape of a pix2pixHD global generator.

    Attributes:
        inputs: Input channels.
        outputs: Output channels.
        ngf: Channels of the first layer; the encoder's embedding has 16 times as many.
    """

    inputs: int
    outputs: int
    ngf: int = 64


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
            `precomputed` (frames in a folder), `untrained` or `none` (a baseline without weights).
        how_to_get_weights: Sentences that end the message about missing weights, for families whose `default_weights`
            are `card`. Weights cards have the instructions for released weights.
        trainable: Whether `f2vbench train` trains it.
        variants: Names that may follow the colon. The first is the default.
        architecture: `ModelSpec.architecture` of a weights file; the family's name where empty.
        untrained_architecture: The same without weights; `architecture` where empty.
        width: Length of an embedding of the published network, None where it differs between models.
        generator: Shape of the published pix2pixHD generator, None for other networks.
        frames: Angiogram frames that the model generates for one photograph, 0 for models that generate none.
        libraries: Packages whose version is part of a model's identity, because their code computes the output.
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
    architecture: str = ""
    untrained_architecture: str = ""
    width: int | None = None
    generator: GeneratorShape | None = None
    frames: int = 0
    libraries: tuple[str, ...] = ()
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

    def architecture_of(self, weights: str) -> str:
        """`ModelSpec.architecture` for a weights file, or for the value `untrained`."""
        named = self.architecture or self.name
        return self.untrained_architecture or named if weights == UNTRAINED else named

    def card_of(self, variant: str) -> str:
        """Name of the weights card of a released variant."""
        return self.name if variant == self.name else f"{self.name}-{variant.lower().replace('_', '-')}"
