"""Parser of model arguments, such as `fundus2video:untrained`, `timm:resnet18` or `retfound+mae`. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from f2vbench.config.fitting import DecoderName
from f2vbench.config.run import Cut, Pooling
from f2vbench.encoders.imported_embeddings import FAMILY as IMPORTED
from f2vbench.encoders.imported_embeddings import imported_model
from f2vbench.encoders.model_family import PRECOMPUTED, UNTRAINED, DefaultWeights, ModelFamily
from f2vbench.encoders.model_options import (
    DECODERS,
    ORACLE_CLICK,
    POOLINGS,
    GeneratorOptions,
    check_chosen,
    has_sampler,
    split_options,
    with_chosen,
    with_click,
    with_options,
    with_sampler,
    with_token_pooling,
)
from f2vbench.encoders.own_head_argument import OWN_HEAD, with_own_head
from f2vbench.encoders.registry import FAMILIES, known_families
from f2vbench.encoders.sam2_configuration import shape_of
from f2vbench.encoders.spec import FUSION, ModelSpec
from f2vbench.encoders.weights_argument import (
    WeightsArgument,
    find_card,
    hub_address,
    resolve_weights,
    unused_weights,
    weights_name,
)
from f2vbench.errors import SettingsError, WeightsError, did_you_mean
from f2vbench.pretrained.hub import SCHEME, fetch
from f2vbench.pretrained.shards import stored_path
from f2vbench.pretrained.weights_cards import WeightsCard, model_cards, weights_card, weights_cards
from f2vbench.pretrained.weights_files import find_weights

FUSION_METHODS = ("attention", "concat", "mean")
"""How a fusion joins the projected embeddings of its models: weighted for each image by soft attention (the default),
one after the other, or as their mean."""


def parse_model(
    argument: str,
    weights: WeightsArgument = None,
    cut: Cut | None = None,
    pooling: Pooling = POOLINGS[0],
    decoder: DecoderName = DECODERS[0],
) -> ModelSpec:
    """The model that a model argument means.

    An argument is `<family>[:<variant>][:untrained|:<weights>]`, the name of a weights card, or a fusion of several
    arguments: `a+b`, `concat:a+b+c` or `mean:a+b`. Weights are a file, or `hf://owner/name[@revision]` on the Hugging
    Face Hub, downloaded on first use. A family without weights uses those of the card with `default_of: <family>`. The
    argument of a pix2pixHD generator may end in `@levels` or `@mean` (`pooling`) and `@unet` or `@generator`
    (`decoder`), which come before the values of these arguments; its name ends in those that are not the default. That
    of RETFound may end in `@official` (the default) or `@mean`; see `f2vbench.encoders.retfound`. That of a diffusion
    model may end in a sampler, such as `@ddim-25`. That of a SAM2 may end in `@oracle-click`, which prompts its mask
    decoder with a click on the annotation. A RETFound or timm model whose file is a fine-tuned
    classifier may end in `@own-head`; see `f2vbench.encoders.own_head_argument`.

    Args:
        argument: A value of `model=`.
        weights: A file for every argument that names no weights (the caller checks that there is only one), or files
            by argument (without @…) or family.
        cut: The encoder is `model[:cut]` of a pix2pixHD generator, `whole` the whole generator; None: the default of
            its shape, 19 in the published one.
        pooling: How embeddings of pix2pixHD generators are pooled.
        decoder: What segmentation trains on the feature maps of pix2pixHD generators.

    Raises:
        SettingsError: Unknown family, malformed argument, weights named twice, or a cut that the generator lacks.
        WeightsError: The weights file does not exist, differs from its card, can't be downloaded or contains no
            generator of the family, or the family has no default weights.
    """
    options = GeneratorOptions(cut, pooling, decoder)
    if argument.endswith(ORACLE_CLICK):
        return with_click(parse_model(argument.removesuffix(ORACLE_CLICK), weights, cut, pooling, decoder))
    if argument.endswith(OWN_HEAD):
        return with_own_head(parse_model(argument.removesuffix(OWN_HEAD), weights, cut, pooling, decoder))
    if _is_fusion(argument):
        return _parse_fusion(argument, weights, options)
    plain, chosen = split_options(argument)
    spec = _parse(plain, weights, with_chosen(options, chosen))
    check_chosen(argument, plain, chosen, spec)
    if has_sampler(spec):
        return with_sampler(spec, argument, chosen[0] if chosen else None)
    if spec.cut is None:
        return with_token_pooling(spec, chosen)
    suffix = "".join(f"@{name}" for name in (spec.pooling, spec.decoder) if name not in (POOLINGS[0], DECODERS[0]))
    return replace(spec, name=spec.name + suffix)


def parse_only_model(
    argument: str, weights: WeightsArgument = None, cut: Cut | None = None, pooling: Pooling = POOLINGS[0]
) -> ModelSpec:
    """The model that a model argument means, where `weights` are meant for it alone.

    Args:
        argument: A value of `model=`; see `parse_model`.
        weights: A file, or files by argument or family.
        cut: As in `parse_model`.
        pooling: As in `parse_model`.

    Raises:
        SettingsError: As by `parse_model`, or the model does not use the weights.
        WeightsError: As by `parse_model`.
    """
    spec = parse_model(argument, weights, cut, pooling)
    if unused := unused_weights(spec.parts or (spec,), weights):
        raise SettingsError(unused)
    return spec


def _parse(argument: str, weights: WeightsArgument, options: GeneratorOptions) -> ModelSpec:
    """The model that an argument without @… and without fusion means."""
    name, _, rest = argument.partition(":")
    families = known_families()
    family = families.get(name)
    if family is not None and not family.takes_weights:
        return _parse_as(family, _Argument(argument, rest, None, options))
    card = find_card(argument, weights, families)
    if card is not None:
        return _with_card(_parse(f"{card.family}:{find_weights(card)}", None, options), card, card.name)
    if family is None:
        raise _unknown_family(argument, families)
    address = None if _variant_in_repository(family, rest) else hub_address(argument, name, weights)
    if address is not None:
        return _parse_hub(argument, address, options)
    return _parse_as(family, _Argument(argument, rest, weights, options))


@dataclass(frozen=True)
class _Argument:
    """A model argument and the settings beside it.

    Attributes:
        text: The whole argument.
        rest: What follows the first colon.
        weights: The value of `weights=`.
        options: Of pix2pixHD generators.
    """

    text: str
    rest: str
    weights: WeightsArgument
    options: GeneratorOptions


def _parse_as(family: ModelFamily, argument: _Argument) -> ModelSpec:
    family.check_libraries(f"model={argument.text}")
    parsers: dict[DefaultWeights, Callable[[ModelFamily, _Argument], ModelSpec]] = {
        "card": _parse_with_card,
        "released": _parse_released,
        "hub": _parse_timm,
        "package": _parse_package,
        "installed": _parse_installed,
        PRECOMPUTED: _parse_precomputed,
        "untrained": _parse_baseline,
        "none": _parse_baseline,
    }
    return parsers[family.default_weights](family, argument)


def _parse_baseline(family: ModelFamily, argument: _Argument) -> ModelSpec:
    """`<baseline>` or `<baseline>:<variant>`."""
    if ":" in argument.text and argument.rest not in family.variants:
        variants = f"the variants {', '.join(family.variants)}"
        known = variants if family.variants else f"no variants; write model={family.name}"
        raise SettingsError(f"model={argument.text}: the baseline '{family.name}' has {known}")
    if not family.variants:
        return _spec(family, family.name, family.name, "none")
    architecture = argument.rest or family.variants[0]
    name = family.name if architecture == family.variants[0] else f"{family.name}:{architecture}"
    spec = _spec(family, name, architecture, UNTRAINED)
    network = FAMILIES.get(architecture)
    is_generator = network is not None and network.generator is not None
    return with_options(spec, network, replace(argument.options, cut=None)) if network and is_generator else spec


def _parse_installed(family: ModelFamily, argument: _Argument) -> ModelSpec:
    """`<baseline>` with the weights of an installed Python package."""
    if ":" in argument.text:
        raise SettingsError(
            f"model={argument.text}: the baseline '{family.name}' has no variants and no other weights; write "
            f"model={family.name}, or timm:{family.architecture}:{argument.rest or UNTRAINED}"
        )
    card = weights_card(family.name)
    return _with_card(_spec(family, family.name, family.architecture, str(find_weights(card))), card, family.name)


def _parse_precomputed(family: ModelFamily, argument: _Argument) -> ModelSpec:
    """`frames:<folder>` or `embeddings:<name>`."""
    if family.name == IMPORTED:
        return imported_model(argument.rest)
    path = Path(argument.rest).expanduser().absolute()
    if not argument.rest or not path.is_dir():
        raise SettingsError(
            f"model={argument.text}: there is no folder {path}; write frames:<folder with <case>/<frame>.png>"
        )
    return replace(_spec(family, f"frames:{path.name}", "frames", "precomputed"), folder=str(path))


def _parse_with_card(family: ModelFamily, argument: _Argument) -> ModelSpec:
    """`<family>:<weights>` of a family without a default weights card."""
    weights = resolve_weights(argument.text, family.name, argument.rest, argument.weights)
    if weights is None:
        raise WeightsError(
            f"model={argument.text}: the argument names no weights, and no weights card has default_of: {family.name}. "
            f"{family.how_to_get_weights}"
        )
    spec = _spec(family, f"{family.name}:{weights_name(weights)}", family.architecture_of(weights), weights)
    return spec if family.generator is None else with_options(spec, family, argument.options)


def _parse_timm(family: ModelFamily, argument: _Argument) -> ModelSpec:
    """`timm:<model>[:<weights>]`."""
    model, _, named = argument.rest.partition(":")
    if not model:
        raise SettingsError(f"model={argument.text}: name a timm model, as in timm:resnet18")
    weights = resolve_weights(argument.text, family.name, named, argument.weights) or "hub"
    name = f"timm:{model}" if weights == "hub" else f"timm:{model}:{weights_name(weights)}"
    return _spec(family, name, model, weights)


def _parse_released(family: ModelFamily, argument: _Argument) -> ModelSpec:
    """`<family>[:<variant>]` for released weights, or `<family>:<weights>`."""
    variant = "" if argument.rest == UNTRAINED else _released_variant(family, argument)
    weights = argument.weights
    if variant and argument.rest:  # the argument names its weights: only weights for this very argument replace them
        separate = weights.items() if isinstance(weights, Mapping) else ()
        weights = {key: file for key, file in separate if key == argument.text}
    found = resolve_weights(argument.text, family.name, "" if variant else argument.rest, weights)
    if found is None:
        name = variant if len(family.variants) == 1 else f"{family.name}:{variant}"
        return _with_card(_spec(family, name, variant, "released"), weights_card(family.card_of(variant)), name)
    if found.startswith(SCHEME):
        return _parse_hub(family.name, found, argument.options)
    spec = _spec(family, f"{family.name}:{weights_name(found)}", family.name, found)
    card = None if found == UNTRAINED else _card_of_file(family, Path(found).name)
    return spec if card is None else _with_card(spec, card, spec.name)


def _card_of_file(family: ModelFamily, file: str) -> WeightsCard | None:
    """The card of a released file by its name; a family with one release has its card for every file."""
    cards = [weights_card(family.card_of(variant)) for variant in family.variants]
    return cards[0] if len(cards) == 1 else next((card for card in cards if card.file == file), None)


def _with_card(spec: ModelSpec, card: WeightsCard, name: str) -> ModelSpec:
    """A model with a name, and with the data sets that the card of its weights lists."""
    return replace(spec, name=name, pretrained_on=tuple(card.pretrained_on))


def _released_variant(family: ModelFamily, argument: _Argument) -> str:
    """The released variant that an argument means, in any case and with or without `<family>_`; "" for a file.

    Raises:
        SettingsError: What follows the colon is no variant and no path.
    """
    if not argument.rest:
        return family.variants[0]
    in_repository = _variant_in_repository(family, argument.rest)
    if in_repository or len(family.variants) == 1:
        return in_repository
    known = {variant.lower(): variant for variant in family.variants}
    name = argument.rest.lower().removeprefix(f"{family.name}_")
    if name in known:
        return known[name]
    path = Path(argument.rest).expanduser()
    if path.exists() or path.suffix or len(path.parts) > 1:
        return ""
    raise SettingsError(
        f"model={argument.text}: no released weights named '{argument.rest}'{did_you_mean(name, known)}; there are "
        f"{', '.join(family.variants)}, or write {family.name}:<weights file> or {family.name}:{UNTRAINED}"
    )


def _variant_in_repository(family: ModelFamily, rest: str) -> str:
    """The released variant whose card names a repository on the Hub, as `owner/name` or `hf://owner/name`; "" for none.

    A folder of this name on this machine comes before the repository.
    """
    repository = rest.removeprefix(SCHEME)
    if family.default_weights != "released" or "/" not in repository or Path(rest).is_dir():
        return ""
    hubs = {variant: weights_card(family.card_of(variant)).hub for variant in family.variants}
    return next((variant for variant, hub in hubs.items() if hub is not None and hub.repo == repository), "")


def _parse_package(family: ModelFamily, argument: _Argument) -> ModelSpec:
    """`<family>[:<variant or weights>]` of another package: the rest is a variant unless it is weights."""
    rest = argument.rest
    is_variant = bool(rest) and rest != UNTRAINED and not stored_path(rest).is_file()
    weights = resolve_weights(argument.text, family.name, "" if is_variant else rest, argument.weights) or "package"
    name = argument.text if is_variant else family.name
    if weights != "package":
        name = f"{name}:{weights_name(weights)}"
    return _spec(family, name, rest if is_variant else family.name, weights)


def _parse_hub(argument: str, address: str, options: GeneratorOptions) -> ModelSpec:
    """A model with weights from the Hugging Face Hub, under the name of their card where they have one."""
    found = fetch(address)
    card, model = found.card, argument.removesuffix(f":{address}")
    if card is not None and card.family is not None and card.family.partition(":")[0] != model.partition(":")[0]:
        raise WeightsError(f"model={argument}: these are weights of {card.family}; write model={card.family}:{address}")
    spec = replace(_parse(f"{model}:{found.path}", None, options), source=found.source)
    if card is None:
        return spec
    return _with_card(spec, card, spec.name if card.name in known_families() else card.name)


def _is_fusion(argument: str) -> bool:
    """Whether an argument joins several models; False for one model with a file that has a + in its name."""
    first, _, rest = argument.partition(":")
    return first in FUSION_METHODS or ("+" in argument and not stored_path(rest).is_file())


def _parse_fusion(argument: str, weights: WeightsArgument, options: GeneratorOptions) -> ModelSpec:
    """`[<method>:]<model>+<model>…`; its name leaves out the default method."""
    method, colon, rest = argument.partition(":")
    if not colon or method not in FUSION_METHODS:
        method, rest = FUSION_METHODS[0], argument
    arguments = [part.strip() for part in rest.split("+")]
    if len(arguments) < 2 or not all(arguments):
        raise SettingsError(f"model={argument}: a fusion joins two models or more, as in {method}:a+b or a+b")
    parts = tuple(parse_model(part, weights, options.cut, options.pooling, options.decoder) for part in arguments)
    names = [part.name for part in parts]
    for part in parts:
        if part.kind not in ("features", "vector") or part.outputs:
            raise SettingsError(f"model={argument}: '{part.name}' has no embedding that can be joined with others")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise SettingsError(f"model={argument}: '{repeated[0]}' occurs twice; join different models")
    name = "+".join(names) if method == FUSION_METHODS[0] else f"{method}:{'+'.join(names)}"
    return ModelSpec(name, FUSION, method, "fusion", False, FUSION, parts=parts)


def _spec(family: ModelFamily, name: str, architecture: str, weights: str) -> ModelSpec:
    spec = ModelSpec(name, family.name, architecture, family.kind, family.is_baseline, weights, decoder=family.decoder)
    if family.decoder != "mask-decoder":
        return spec
    architecture, side = shape_of(weights, architecture)
    return replace(spec, architecture=architecture, side=side)


def _unknown_family(argument: str, families: Mapping[str, ModelFamily]) -> SettingsError:
    name, _, rest = argument.partition(":")
    cards = {card.name: card for card in model_cards()}
    if name in cards:
        return SettingsError(
            f"model={argument}: {name} is a weights card and has its weights; for others write "
            f"{cards[name].family}:{rest}"
        )
    if name in weights_cards():
        return SettingsError(
            f"model={argument}: {name} is a weights card without model family; its weights are for "
            f"{weights_card(name).used_for}"
        )
    known = [*families, *cards]
    return SettingsError(
        f"model={argument}: no model family named '{name}'{did_you_mean(name, known)}; "
        f"there are {', '.join(known)} (a timm model is written timm:<model name>)"
    )
