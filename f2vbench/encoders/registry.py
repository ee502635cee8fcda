"""Which models there are, and what a word such as ``timm:resnet18:untrained`` means.

Importing this module and parsing words need neither torch nor timm; `build` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import Any

from f2vbench.encoders.base import Encoder
from f2vbench.encoders.catalogue import (
    BASELINES,
    BASELINES_OF,
    BUILT_IN,
    GENERATORS,
    MASKED,
    PRECOMPUTED,
    VARIANTS_OF,
    VECTOR_BASELINES,
    VIDEO_BASELINES,
)
from f2vbench.encoders.entry_points import entry_points, package
from f2vbench.encoders.fusion_names import FUSION, fusion_name, fusion_words, is_fusion
from f2vbench.encoders.retfound_names import GREEN, RETFOUND, released_name
from f2vbench.encoders.spec import Kind, ModelSpec
from f2vbench.encoders.weights_argument import (
    UNTRAINED,
    Given,
    card_meant,
    hub_address,
    model_cards,
    short,
    weights_named,
)
from f2vbench.errors import SettingsError, WeightsError, did_you_mean
from f2vbench.pretrained.hub import SCHEME, fetch
from f2vbench.pretrained.weights_cards import find_weights

CUTS = (17, 19, 25, 39)


def parse_model(text: str, weights: Given = None, cut: int = 19) -> ModelSpec:
    """The model a word means: ``<family>[:untrained|:<weights>]``, ``timm:<model>[:untrained|:<weights>]`` or a card.

    Weights are a file, or ``hf://owner/name[@revision]`` on the Hub, downloaded when first asked for. A family named
    without any has those of the card that says ``default_of: <family>``. Several joined by + are a fusion (see
    `f2vbench.encoders.fusion_names`).

    Args:
        weights: a file for every model whose word names no weights (that it serves only one is for the caller to
            check), or files by word or family.
        cut: 17, 19 or 25: the encoder is ``model[:cut]`` of a pix2pixHD generator; 39: all of it.

    Raises:
        SettingsError: no such family, a malformed word, contradicting weights, or another cut.
        WeightsError: the weights file does not exist, is not what its card tells or can't be downloaded, or the
            family has none of its own and none were given.
    """
    if is_fusion(text):
        return _fusion(text, weights, cut)
    family, _, rest = text.partition(":")
    if cut not in CUTS:
        raise SettingsError(f"cut={cut}: the encoder can end at {', '.join(map(str, CUTS))} (model[:cut])")
    if family in BASELINES:
        return _baseline(text, family, rest)
    if family in PRECOMPUTED:
        return _precomputed(text, rest)
    card = card_meant(text, weights, known_families())
    if card is not None:
        return replace(parse_model(f"{card.family}:{find_weights(card)}", cut=cut), name=card.name)
    address = hub_address(text, family, weights)
    if address is not None:
        return _from_hub(text, address, cut)
    if family in (*GENERATORS, *MASKED):
        return _trained(text, family, weights_named(text, family, rest, weights), cut)
    if family == "timm":
        model, _, named = rest.partition(":")
        if not model:
            raise SettingsError(f"model={text}: say which timm model, as in timm:resnet18")
        found = weights_named(text, family, named, weights) or "hub"
        name = f"timm:{model}" if found == "hub" else f"timm:{model}:{short(found)}"
        return ModelSpec(name, family, model, "features", False, found)
    if family in RETFOUND:
        return _retfound(text, family, rest, weights, cut)
    if family in entry_points():
        return _from_entry_point(text, family, rest, weights)
    cards = {card.name: card for card in model_cards()}
    if family in cards:
        raise SettingsError(
            f"model={text}: {family} is a card and has its weights; for others write {cards[family].family}:{rest}"
        )
    known = [*known_families(), *cards]
    raise SettingsError(
        f"model={text}: no model family named '{family}'{did_you_mean(family, known)}; "
        f"there are {', '.join(known)} (a timm model is written timm:<model name>)"
    )


def known_families() -> dict[str, str]:
    """One line on every family, baselines and families from other packages included."""
    added = {name: f"from the package {package(point)}" for name, point in entry_points().items()}
    return {**BUILT_IN, **added}


def generator_families() -> tuple[str, ...]:
    """Families whose weights `f2vbench train` makes."""
    return (*GENERATORS, *MASKED)


def baseline_names(family: str = "segmentation") -> tuple[str, ...]:
    """The baselines for a family of tasks; empty where there are none yet."""
    return BASELINES_OF.get(family, ())


def build(spec: ModelSpec) -> Any:
    """The model, in evaluation mode on the CPU: an `Encoder`, or for ``kind`` ``score`` a `baselines.ScoreBaseline`,
    for ``vector`` a `vector_baselines.VectorBaseline`, for ``video`` one of `videos`.

    Raises:
        SettingsError: ``scratch``, which only exists once trained; an unknown timm model; a broken entry point.
        WeightsError: the weights are missing, damaged, or made for another architecture.
    """
    if spec.kind == "scratch":
        raise SettingsError("scratch is trained on a task's support images: run it in a task, it can't be loaded")
    if spec.kind == "score":
        from f2vbench.encoders.baselines.vessel_filters import ScoreBaseline

        return ScoreBaseline(spec.family)
    if spec.kind == "vector":
        from f2vbench.encoders.baselines.image_vectors import VectorBaseline

        return VectorBaseline(spec.family)
    if spec.kind == "video":
        from f2vbench.encoders.baselines.angiograms import PrecomputedVideos, video_baseline

        return video_baseline(spec.family) if spec.folder is None else PrecomputedVideos(spec.folder)
    if spec.family in GENERATORS:
        from f2vbench.encoders.pix2pixhd import Pix2PixHDEncoder

        return Pix2PixHDEncoder(spec).eval()
    if spec.family in MASKED:
        from f2vbench.encoders.mae import load_mae

        return load_mae(spec).eval()
    if spec.family == "timm":
        from f2vbench.encoders.timm_models import load_timm

        return load_timm(spec).eval()
    if spec.family in RETFOUND:
        from f2vbench.encoders.retfound import load_retfound

        return load_retfound(spec).eval()
    if spec.family == "random":
        from f2vbench.encoders.baselines.untrained import load_random_baseline

        return load_random_baseline(spec).eval()
    return build_from(entry_points()[spec.family], spec)


def load_encoder(model: str, weights: str | None = None, cut: int = 19) -> Any:
    """The encoder a word means, with the weights file ``weights`` where the word names none.

    An `Encoder`, or for baselines that give embeddings a `VectorBaseline`, which has ``embed`` as well.

    Raises:
        SettingsError, WeightsError: as `parse_model` and `build`; or the word means a baseline without features.
    """
    spec = parse_model(model, weights, cut)
    if spec.kind not in ("features", "vector"):
        raise SettingsError(f"model={model}: a baseline has no features to load; it can only be run on a task")
    return build(spec)


def _fusion(text: str, weights: Given, cut: int) -> ModelSpec:
    how, words = fusion_words(text)
    parts = tuple(parse_model(word, weights, cut) for word in words)
    names = [part.name for part in parts]
    for part in parts:
        if part.kind not in ("features", "vector"):
            raise SettingsError(f"model={text}: '{part.name}' gives no embedding that could be joined with others")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingsError(f"model={text}: '{twice[0]}' is in it twice; join different models")
    name = fusion_name(how, names)
    return ModelSpec(name, FUSION, how, "fusion", False, FUSION, parts=parts)


def _baseline(text: str, family: str, rest: str) -> ModelSpec:
    variants = VARIANTS_OF.get(family, ())
    if ":" in text and rest not in variants:
        known = f"the variants {', '.join(variants)}" if variants else f"no variants; write model={family}"
        raise SettingsError(f"model={text}: the baseline '{family}' has {known}")
    if not variants:
        return ModelSpec(family, family, family, _kind_of_baseline(family), True, "none")
    architecture = rest or variants[0]
    name = family if architecture == variants[0] else f"{family}:{architecture}"
    return ModelSpec(
        name, family, architecture, "features", True, UNTRAINED, 19 if architecture in GENERATORS else None
    )


def _kind_of_baseline(name: str) -> Kind:
    if name in VIDEO_BASELINES:
        return "video"
    return "vector" if name in VECTOR_BASELINES else "scratch" if name == "scratch" else "score"


def _precomputed(text: str, folder: str) -> ModelSpec:
    path = Path(folder).expanduser().absolute()
    if not folder or not path.is_dir():
        raise SettingsError(f"model={text}: there is no folder {path}; write frames:<folder with <case>/<frame>.png>")
    return ModelSpec(f"frames:{path.name}", "frames", "frames", "video", False, "precomputed", folder=str(path))


def _from_hub(text: str, address: str, cut: int) -> ModelSpec:
    """A model with weights of the Hub, called by their card's name where they have one."""
    found = fetch(address)
    spec = replace(parse_model(f"{text.removesuffix(f':{address}')}:{found.path}", cut=cut), source=found.source)
    card = found.card
    if card is None:
        return spec
    if card.family is not None and card.family.partition(":")[0] != spec.family:
        raise WeightsError(f"model={text}: these are weights of {card.family}; write model={card.family}:{address}")
    return spec if card.name in known_families() else replace(spec, name=card.name)


def _trained(text: str, family: str, weights: str | None, cut: int) -> ModelSpec:
    if weights is None:
        file = "latest_net_G.pth" if family in GENERATORS else "generator.safetensors"
        raise WeightsError(
            f"model={text}: no weights named '{family}' are installed, and none were given; write "
            f"weights=path/to/{file}, model={family}:<weights file>, or model={family}:untrained"
        )
    name = f"{family}:{short(weights)}"
    if family in MASKED:
        architecture = "mae-vit-192x12-patch16" if weights == UNTRAINED else "mae-vit-patch16"
        return ModelSpec(name, family, architecture, "features", False, weights)
    architecture = "pix2pixhd-global-ngf64" if weights == UNTRAINED else "pix2pixhd-global"
    return ModelSpec(name, family, architecture, "features", False, weights, cut)


def _retfound(text: str, family: str, rest: str, weights: Given, cut: int) -> ModelSpec:
    released = "" if rest == UNTRAINED else released_name(text, family, rest)
    if released and rest:  # this word names its weights: only a file given for this very word may take their place
        weights = {text: weights[text]} if isinstance(weights, Mapping) and text in weights else None
    found = weights_named(text, family, "" if released else rest, weights)
    if found is None:
        name = family if family == GREEN else f"{family}:{released}"
        return ModelSpec(name, family, released, "features", False, "released")
    if found.startswith(SCHEME):
        return _from_hub(family, found, cut)
    return ModelSpec(f"{family}:{short(found)}", family, family, "features", False, found)


def _from_entry_point(text: str, family: str, variant: str, weights: Given) -> ModelSpec:
    """A model of another package: what stands after the colon is weights if it can be, else the package's own name."""
    own_name = bool(variant) and variant != UNTRAINED and not Path(variant).expanduser().is_file()
    found = weights_named(text, family, "" if own_name else variant, weights) or "package"
    name = text if own_name else family
    if found != "package":
        name = f"{name}:{short(found)}"
    return ModelSpec(name, family, variant if own_name else family, "features", False, found)


def build_from(point: metadata.EntryPoint, spec: ModelSpec) -> Encoder:
    """The encoder that an entry point makes of a spec, in evaluation mode.

    Raises:
        SettingsError: the entry point can't be imported, or gives something else.
    """
    from f2vbench.encoders.base import Encoder

    try:
        factory = point.load()
    except (ImportError, AttributeError) as error:
        raise SettingsError(
            f"model={spec.name}: {point.value} of the package {package(point)} can't be imported ({error}); "
            "reinstall or mend that package"
        ) from error
    encoder = factory(spec)
    if not isinstance(encoder, Encoder):
        raise SettingsError(
            f"model={spec.name}: {point.value} of the package {package(point)} gave a {type(encoder).__name__}; "
            "it has to return a f2vbench.encoders.base.Encoder"
        )
    return encoder.eval()
