"""Weights of a model argument: those it names, those of `weights=`, or those of a weights card."""

from __future__ import annotations

from collections.abc import Collection, Container, Mapping
from pathlib import Path

from f2vbench.encoders.model_family import UNTRAINED
from f2vbench.encoders.registry import FAMILIES, find_family
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import SettingsError, WeightsError, did_you_mean
from f2vbench.pretrained.hub import SCHEME
from f2vbench.pretrained.shards import stored_path, whole_path
from f2vbench.pretrained.weights_cards import WeightsCard, default_card, weights_card, weights_cards
from f2vbench.pretrained.weights_files import download_instructions, is_available

_HUB_FILE = "model.safetensors"

WeightsArgument = Mapping[str, str] | str | None
"""`weights=` beside the model arguments: one file for all, or files by model argument or family."""


def resolve_weights(argument: str, family: str, named: str, weights: WeightsArgument) -> str | None:
    """`untrained`, the absolute path of a file, a Hub address, or None where no weights are named.

    A folder means its `model.safetensors`, as in repositories on the Hugging Face Hub.

    Args:
        argument: The whole model argument.
        family: Its family.
        named: The weights that the argument itself names; empty for none.
        weights: The value of `weights=`.

    Raises:
        SettingsError: The argument and `weights=` both name weights, or nothing follows the colon.
        WeightsError: The file does not exist.
    """
    by_argument = None if weights is None or isinstance(weights, str) else weights.get(argument)
    if named and by_argument is not None:
        raise SettingsError(
            f"model={argument} names its weights, and weights.{argument}={by_argument} names others; keep one"
        )
    if not named and argument.endswith(":"):
        raise SettingsError(f"model={argument}: nothing follows the colon; write a weights file, or {UNTRAINED}")
    named = named or _separate_weights(argument, family, weights) or ""
    if not named or named == UNTRAINED or named.startswith(SCHEME):
        return named or None
    path = _path(named)
    if not stored_path(path).is_file():
        raise WeightsError(
            f"model={argument}: there is no weights file {path}{did_you_mean(named, [UNTRAINED])}; check the path, "
            f"or write {UNTRAINED} to run without weights"
        )
    return str(path)


def hub_address(argument: str, family: str, weights: WeightsArgument) -> str | None:
    """The Hub address in a model argument or in `weights=`; None where the weights are elsewhere.

    Raises:
        SettingsError: The argument and `weights=` both name weights.
    """
    named = argument.partition(":")[2]
    if family == "timm":
        named = named.partition(":")[2]
    if SCHEME not in (named or _separate_weights(argument, family, weights) or ""):
        return None
    return resolve_weights(argument, family, named, weights)


def find_card(argument: str, weights: WeightsArgument, families: Container[str]) -> WeightsCard | None:
    """The weights card that a model argument without a colon names, or the default card of the family it names.

    Args:
        argument: The whole model argument.
        weights: The value of `weights=`; weights for the family come before its default card.
        families: Names of all model families.

    Raises:
        SettingsError: The argument is a card's name, and `weights=` names other weights for it.
        WeightsError: The card is not valid.
    """
    if ":" in argument:
        return None
    if argument in families:
        return None if _separate_weights(argument, argument, weights) else default_card(argument)
    card = weights_card(argument) if argument in weights_cards() else None
    if card is None or card.family is None:
        return None
    if isinstance(weights, Mapping) and argument in weights:
        raise SettingsError(
            f"model={argument} names its weights, and weights.{argument}={weights[argument]} names others; keep one"
        )
    return card


def unused_weights(specs: Collection[ModelSpec], weights: WeightsArgument) -> list[str]:
    """Find weights of `weights=` that no model uses, because all models have others or take none.

    Args:
        specs: The models that `weights=` was resolved for; parts instead of fusions.
        weights: The value of `weights=`.

    Returns:
        One message for each file that no model uses.
    """
    files = {"weights": weights} if isinstance(weights, str) else {}
    if isinstance(weights, Mapping):
        files = {f"weights.{model}": file for model, file in weights.items()}
    found = []
    for key, file in files.items():
        if any(_uses(spec, file) for spec in specs):
            continue
        missing = "" if file == UNTRAINED or file.startswith(SCHEME) or _path(file).exists() else "no such file, and "
        takers = dict.fromkeys(spec.family for spec in specs if find_family(spec.family).takes_weights)
        write = f"write model={' or model='.join(takers)} with weights=, or " if takers else ""
        reasons = [
            f"{spec.name} {'has its own weights' if find_family(spec.family).takes_weights else 'takes no weights'}"
            for spec in specs
        ]
        why = f": {', '.join(reasons)}" if reasons else ""
        found.append(f"{key}={file}: {missing}no model uses it{why}; {write}leave {key}= out")
    return found


def _uses(spec: ModelSpec, weights: str) -> bool:
    """Whether a model has the weights that a value of `weights=` means."""
    if weights.startswith(SCHEME):
        source = (spec.source or "").partition("@")[0]
        return bool(source) and f"{weights}/".replace("@", "/").startswith(f"{source}/")
    return spec.weights in (weights, str(_path(weights)))


def _path(weights: str) -> Path:
    """The absolute path of a weights file; of a folder, that of its `model.safetensors`."""
    path = Path(weights).expanduser().absolute()
    return path / _HUB_FILE if path.is_dir() else path


def why_not_installed(baseline: str) -> str:
    """A note that a baseline is left out because its weights are not installed, with the line that installs them.

    Args:
        baseline: Name of a built-in baseline.

    Returns:
        The note; empty where the weights are installed, or where the baseline has none in a Python package.
    """
    if FAMILIES[baseline].default_weights != "installed":
        return ""
    card = weights_card(baseline)
    if is_available(card):
        return ""
    return f"the baseline {baseline} is left out ({card.title}): {download_instructions(card)}"


def weights_name(weights: str) -> str:
    """Short name of weights in a model's name.

    It is `untrained`, a file or index without folder and suffix, or the folder of a `model.safetensors` with a
    `config.json`, as in repositories on the Hugging Face Hub.
    """
    if weights == UNTRAINED:
        return UNTRAINED
    path = whole_path(Path(weights))
    in_hub_layout = path.name == _HUB_FILE and path.with_name("config.json").is_file()
    return path.parent.name if in_hub_layout else path.stem


def _separate_weights(argument: str, family: str, weights: WeightsArgument) -> str | None:
    """The weights that `weights=` has for a model argument."""
    if weights is None or isinstance(weights, str):
        return weights
    return weights.get(argument, weights.get(family))
