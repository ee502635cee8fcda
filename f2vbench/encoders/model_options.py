"""What a model argument may end in (`@levels`, `@generator`, `@ddim-25`, `@oracle-click`). Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast, get_args

from f2vbench.config.fitting import DecoderName
from f2vbench.config.run import Cut, Pooling
from f2vbench.encoders.generator_weights import read_generator_shape
from f2vbench.encoders.model_family import EmbeddingPooling, ModelFamily
from f2vbench.encoders.own_head_argument import OWN_HEAD
from f2vbench.encoders.registry import FAMILIES, known_families
from f2vbench.encoders.samplers import DEFAULT_SAMPLER, is_sampler, parse_sampler, read_diffusion_notes
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import SettingsError, did_you_mean
from f2vbench.pretrained.hub import SCHEME

ORACLE_CLICK = "@oracle-click"
"""End of the argument of a SAM2 that is prompted with a click on a vessel of the annotation."""

POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
DECODERS: tuple[DecoderName, ...] = get_args(DecoderName)
"""Poolings and decoders of pix2pixHD generators, which a model argument may end with; the first are the defaults."""

_TOKEN_POOLINGS = tuple(dict.fromkeys(name for family in FAMILIES.values() for name in family.poolings))
_ALL_POOLINGS = tuple(dict.fromkeys((*POOLINGS, *_TOKEN_POOLINGS)))


@dataclass(frozen=True)
class GeneratorOptions:
    """How a pix2pixHD generator is used as an encoder.

    Attributes:
        cut: Layer at which it ends, `whole` for the whole generator, or None for the default.
        pooling: How embeddings are pooled.
        decoder: What segmentation trains on its feature maps.
    """

    cut: Cut | None = None
    pooling: Pooling = POOLINGS[0]
    decoder: DecoderName = DECODERS[0]


def with_click(spec: ModelSpec) -> ModelSpec:
    """The same SAM2, prompted with a click."""
    if spec.decoder != "mask-decoder":
        raise SettingsError(
            f"model={spec.name}{ORACLE_CLICK}: {spec.name} receives no prompts, only sam2 and medical-sam2 do; write "
            f"{spec.name}"
        )
    return replace(spec, name=f"{spec.name}{ORACLE_CLICK}", decoder="mask-decoder-click")


def split_options(argument: str) -> tuple[str, list[str]]:
    """A model argument without its last parts of the form @…, and these parts, the last one first."""
    chosen: list[str] = []
    plain, at, name = argument.rpartition("@")
    while at and (key := _option_key(name)) is not None:
        if any(_option_key(other) == key for other in chosen):
            raise SettingsError(f"model={argument}: @{name} and @{chosen[-1]} both set the {key}; keep one")
        argument, chosen = plain, [*chosen, name]
        plain, at, name = argument.rpartition("@")
    if at and SCHEME not in argument and not Path(argument.rpartition(":")[2]).expanduser().is_file():
        known = [
            *_ALL_POOLINGS,
            *DECODERS,
            "ddpm",
            "ddim-<steps>",
            "dpm-solver-<steps>",
            ORACLE_CLICK.removeprefix("@"),
            OWN_HEAD.removeprefix("@"),
        ]
        raise SettingsError(f"model={argument}: no @{name}{did_you_mean(name, known)}; there are @{', @'.join(known)}")
    return argument, chosen


def with_chosen(options: GeneratorOptions, chosen: list[str]) -> GeneratorOptions:
    """The options of a generator with those that its argument ends in."""
    for name in chosen:
        if name in POOLINGS:
            options = replace(options, pooling=name)
        elif name in DECODERS:
            options = replace(options, decoder=name)
    return options


def check_chosen(argument: str, plain: str, chosen: list[str], spec: ModelSpec) -> None:
    """Check that a model has the pooling, decoder or sampler that its argument ends in.

    Raises:
        SettingsError: It does not.
    """
    family = FAMILIES.get(spec.family)
    possible: tuple[str, ...] = family.poolings if family else ()
    if spec.cut is not None:
        possible = (*POOLINGS, *DECODERS)
    for name in chosen:
        if name not in possible and not (is_sampler(name) and has_sampler(spec)):
            alternatives = f"there are @{', @'.join(possible)}" if possible else "only pix2pixHD generators have"
            if is_sampler(name):
                alternatives = "only diffusion models have"
            raise SettingsError(f"model={argument}: {spec.family} has no {name}, {alternatives}; write {plain}")


def with_token_pooling(spec: ModelSpec, chosen: list[str]) -> ModelSpec:
    """The specification of a model that is no generator, with the pooling that its argument ends in or the default."""
    family = FAMILIES.get(spec.family)
    if family is None or not family.poolings:
        return spec
    pooling = cast(EmbeddingPooling, chosen[0]) if chosen else family.poolings[0]
    suffix = "" if pooling == family.poolings[0] else f"@{pooling}"
    return replace(spec, name=spec.name + suffix, pooling=pooling)


def _option_key(name: str) -> str | None:
    """The option that @<name> sets, or None for a name of no option."""
    if is_sampler(name):
        return "sampler"
    return "pooling" if name in _ALL_POOLINGS else "decoder" if name in DECODERS else None


def has_sampler(spec: ModelSpec) -> bool:
    """Whether it is a diffusion model."""
    families = known_families()
    return spec.family in families and families[spec.family].has_sampler


def with_sampler(spec: ModelSpec, argument: str, chosen: str | None) -> ModelSpec:
    """A diffusion model with the sampler of its argument, else with that of its weights.

    Raises:
        SettingsError: The sampler does not fit the noise steps of the training.
        WeightsError: The file contains no diffusion model.
    """
    notes = None if spec.weights_file is None else read_diffusion_notes(spec.weights_file)
    default = DEFAULT_SAMPLER if notes is None else notes.sampler
    sampler = chosen or default
    if notes is not None:
        parse_sampler(sampler, notes.noise_steps, f"model={argument}, sampler")
    suffix = "" if sampler == default else f"@{sampler}"
    return replace(spec, name=f"{spec.name}{suffix}", sampler=sampler)


def with_options(spec: ModelSpec, family: ModelFamily, options: GeneratorOptions) -> ModelSpec:
    """The specification of a pix2pixHD generator with its cut, pooling, decoder and what its weights predict.

    Args:
        spec: Without them.
        family: Of the generator.
        options: As the user set them.
    """
    shape = read_generator_shape(family, spec.weights)
    return replace(
        spec,
        cut=shape.layer_of_cut(options.cut),
        pooling=options.pooling,
        decoder=options.decoder,
        has_truth_layer=shape.classes > 0,
    )
