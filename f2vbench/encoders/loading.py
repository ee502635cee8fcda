"""Builds the model of a `ModelSpec` with the loader of its family. Imports torch only where that model does."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from f2vbench.config.run import Cut, Pooling
from f2vbench.encoders.model_argument import parse_only_model
from f2vbench.encoders.model_options import POOLINGS
from f2vbench.encoders.registry import ENTRY_POINT_GROUP, find_family
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import SettingsError

if TYPE_CHECKING:
    from f2vbench.encoders.base import Encoder
    from f2vbench.encoders.baselines.angiograms import MeanVideo, PrecomputedVideos, StillVideo
    from f2vbench.encoders.baselines.image_vectors import VectorBaseline
    from f2vbench.encoders.baselines.vessel_filters import ScoreBaseline

LoadedModel: TypeAlias = "Encoder | VectorBaseline | ScoreBaseline | StillVideo | MeanVideo | PrecomputedVideos"
"""A model in memory; `ModelSpec.kind` decides which: `features`, `generator` (both encoders), `vector`, `score`, or one
of three for `video`."""


def load_encoder(
    model: str, weights: str | None = None, cut: Cut | None = None, pooling: Pooling = POOLINGS[0]
) -> Encoder | VectorBaseline:
    """The encoder that a model argument means, in evaluation mode on the CPU.

    Args:
        model: A model argument; see `f2vbench.encoders.model_argument.parse_model`.
        weights: A weights file, where the argument names none.
        cut: Layer at which the encoder of a pix2pixHD generator ends, or `whole`; None: the default of its shape.
        pooling: Embeddings of a pix2pixHD generator: `levels` or `mean`. That of RETFound is a part of the argument,
            `retfound` or `retfound@mean`.

    Returns:
        An `f2vbench.encoders.base.Encoder`, or for a baseline with embeddings a
        `f2vbench.encoders.baselines.image_vectors.VectorBaseline`, which has the same `embed`.

    Raises:
        SettingsError: The argument is not valid, or means a model without embeddings.
        WeightsError: The weights are missing, damaged, or made for another architecture.

    Examples:
        >>> import numpy as np
        >>> photographs = [np.full((64, 64, 3), 128, np.uint8)]
        >>> load_encoder("thumbnail").embed(photographs).shape
        (1, 3072)
    """
    spec = parse_only_model(model, weights, cut, pooling)
    if spec.kind not in ("features", "vector"):
        raise SettingsError(f"model={model}: {spec.name} has no embeddings, it can only be run in a task")
    return build_encoder(spec) if spec.is_network else cast("VectorBaseline", build(spec))


def build(spec: ModelSpec) -> LoadedModel:
    """A model of any kind that exists before a task, in evaluation mode on the CPU.

    Args:
        spec: The model.

    Raises:
        SettingsError: The model exists only after a task has trained it (`scratch`), timm has no such model, or the
            loader of another package can't be imported or returns something else.
        WeightsError: The weights are missing, damaged, or made for another architecture.
    """
    return build_encoder(spec) if spec.is_network else cast(LoadedModel, _load(spec))


def build_encoder(spec: ModelSpec) -> Encoder:
    """The encoder or generator of a `ModelSpec` with `kind` `features` or `generator`, in evaluation mode on the CPU.

    Args:
        spec: The model.

    Raises:
        SettingsError: As `build`.
        WeightsError: As `build`.
    """
    from f2vbench.encoders.base import Encoder

    encoder = _load(spec)
    if not isinstance(encoder, Encoder):
        family = find_family(spec.family)
        raise SettingsError(
            f"model={spec.name}: {family.loader} of the package {family.package} returned a {type(encoder).__name__}; "
            "it must return an f2vbench.encoders.base.Encoder"
        )
    return encoder.eval()


def _load(spec: ModelSpec) -> Any:
    """Import the loader of the model's family and call it."""
    family = find_family(spec.family)
    if spec.outputs:
        from f2vbench.encoders.own_head import load_own_head

        return load_own_head(spec)
    if family.loader is None:
        raise SettingsError(f"{spec.name} is trained on a task's support images: run it in a task, it can't be loaded")
    try:
        load = metadata.EntryPoint(family.name, family.loader, ENTRY_POINT_GROUP).load()
    except (ImportError, AttributeError) as error:
        if family.package is None:
            raise
        raise SettingsError(
            f"model={spec.name}: {family.loader} of the package {family.package} can't be imported ({error}); "
            "reinstall or repair that package"
        ) from error
    return load(spec)
