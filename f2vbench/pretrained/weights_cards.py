"""Weights cards: one YAML file that describes a set of weights, where they come from, and how to recognise their file.

Cards are searched for in `./weights`, in the folders of `F2VBENCH_PATH`, and last among the cards of the package. The
first card with a name is used. `weights_files` finds the file of a card.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from f2vbench.errors import WeightsError, did_you_mean
from f2vbench.utils.yaml_text import load_yaml


class HubLocation(BaseModel):
    """A repository on the Hugging Face Hub, at a pinned revision where it is known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="owner/name")
    revision: str | None = Field(
        None, pattern=r"^[0-9a-f]{40}$", description="commit; omit it for the latest, if only the owners list commits"
    )


class Training(BaseModel):
    """How f2vbench trained the weights: what repeats the training, and its cost."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: str = Field(min_length=1, description="command that trains the weights")
    settings_sha256: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the settings that decide the trained weights"
    )
    seed: int = Field(ge=0, description="seed of the training")
    epochs: int = Field(ge=1, description="passes over the training data")
    seconds: float = Field(gt=0, description="wall time of the training steps, without validation")
    machine: str = Field(min_length=1, description="processor or GPU, cores, processes")
    software: dict[str, str] = Field(min_length=1, description="versions of f2vbench, Python and PyTorch")


class Measure(BaseModel):
    """A measured value of a metric."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str = Field(min_length=1, description="data set and split")
    metric: str = Field(min_length=1, description="such as auroc, dice, psnr")
    value: float = Field(allow_inf_nan=False, description="value of the metric")
    note: str | None = Field(None, min_length=1, description="protocol, seeds, spread, values of other models")


class WeightsCard(BaseModel):
    """A set of weights as its card describes it. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="file name of the card without .yaml")
    title: str = Field(min_length=1, description="name in messages and tables")
    used_for: str = Field(min_length=1, description="what needs these weights")
    kind: Literal["download", "shipped", "package"] = Field(
        description="shipped: the file is in the folder of its card; package: in an installed Python package"
    )
    package: str | None = Field(
        None, pattern=r"^[\w.-]+$", description="name of that Python package, as pip knows it; with kind: package"
    )
    extra: str | None = Field(
        None, pattern=r"^[a-z0-9-]+$", description="extra of f2vbench that installs the package; with kind: package"
    )
    source: str = Field(min_length=1, description="page of the owners")
    url: str | None = Field(None, pattern=r"^https://", description="address of the file")
    hub: HubLocation | None = Field(None, description="the same file on the Hugging Face Hub")
    gated: bool = Field(False, description="whether the owners grant access on request only")
    file: str = Field(pattern=r"^[\w][\w.-]*$", description="file name without folder; the index of shards")
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="SHA-256, where it is known")
    size: int | None = Field(None, ge=1, description="bytes of the file, or of the index and its shards")
    licence: str = Field(min_length=1, description="licence of the weights")
    architecture: str = Field(min_length=1, description="architecture of the network")
    preprocessing: str = Field(min_length=1, description="input that the network expects")
    training_data: str = Field(min_length=1, description="training data")
    pretrained_on: list[Annotated[str, Field(min_length=1)]] = Field(
        default_factory=list,
        description="data sets whose images the weights were trained on: names of tasks, or of the `datasets` of task "
        "cards, where they match, so that results on them are marked",
    )
    citation: str = Field(min_length=1, description="publication to cite")
    family: str | None = Field(
        None,
        pattern=r"^[a-z0-9_-]+(:[\w.-]+)?$",
        description="model family that loads the file: the part of model= before the file",
    )
    default_of: str | None = Field(
        None, pattern=r"^[a-z0-9_-]+$", description="family that uses these weights when model= names none"
    )
    network: dict[str, str | int | float | bool | list[float]] | None = Field(
        None, description="name and shape of the architecture in machine-readable form"
    )
    training: Training | None = Field(None, description="how f2vbench trained the weights")
    quality: list[Measure] = Field(default_factory=list, description="measured values of metrics")
    _folder: Path | None = PrivateAttr(None)

    @property
    def folder(self) -> Path:
        """Folder of the card's file; for a card that was not read from a file, the folder of the package's cards."""
        return self._folder or package_folder()

    @property
    def on_simulated_eyes(self) -> bool:
        """Whether the weights were trained on simulated eyes."""
        return "simulated eyes" in self.training_data

    @model_validator(mode="after")
    def _check_default(self) -> WeightsCard:
        if self.default_of is not None and self.family != self.default_of:
            raise ValueError(f"default_of: '{self.default_of}' must be the card's family, '{self.family}'")
        return self

    @model_validator(mode="after")
    def _check_package(self) -> WeightsCard:
        named = [key for key in ("package", "extra") if getattr(self, key) is not None]
        if self.kind == "package" and len(named) < 2:
            raise ValueError("kind: package needs the keys package and extra")
        if self.kind != "package" and named:
            raise ValueError(f"{named[0]}: only with kind: package")
        return self


def weights_cards() -> list[str]:
    """Names of all cards, sorted: those of the user and those of the package."""
    return sorted({file.stem for folder in _card_folders() for file in _card_files(folder)})


def weights_card(name: str) -> WeightsCard:
    """The card with this name.

    Raises:
        WeightsError: No card has this name, or it is not valid; the message names file and key.
    """
    for folder in _card_folders():
        for file in _card_files(folder):
            if file.stem == name:
                return _read_card(file)
    known = weights_cards()
    raise WeightsError(f"there is no weights card '{name}'{did_you_mean(name, known)}; known: {', '.join(known)}")


def model_cards() -> list[WeightsCard]:
    """Cards that a model argument can name, sorted by name; cards that are not valid are left out."""
    cards = []
    for name in weights_cards():
        with contextlib.suppress(WeightsError):
            cards.append(weights_card(name))
    return [card for card in cards if card.family is not None]


def default_card(family: str) -> WeightsCard | None:
    """The card whose weights a model family uses when the model argument names none.

    It is the user's card with `default_of: <family>`, or else that of the package.

    Returns:
        The card, or None where no folder has one.

    Raises:
        WeightsError: The card is not valid, or two cards of the user, or two of the package, are defaults of the
            family.
    """
    *own, package = _card_folders()
    for folders in (own, [package]):
        files = [folder / f"{name}.yaml" for folder in folders for name in defaults_in(folder, family)]
        distinct = list({file.resolve(): file for file in files}.values())
        if len(distinct) > 1:
            names = " and ".join(map(str, distinct))
            count = "both" if len(distinct) == 2 else "all"
            raise WeightsError(f"{names} {count} have default_of: {family}; remove the key from all but one")
        if distinct:
            return _read_card(distinct[0])
    return None


def cards_in(folder: Path) -> list[WeightsCard]:
    """The cards in one folder.

    Raises:
        WeightsError: A card is not valid.
    """
    return [_read_card(file) for file in _card_files(folder)]


def defaults_in(folder: Path, family: str) -> list[str]:
    """Names of the cards in one folder that have `default_of: <family>`; the cards need not be valid."""
    return [file.stem for file in _card_files(folder) if _default_of(file) == family]


def parse_weights_card(text: str, file: str) -> WeightsCard:
    """A card from its YAML text.

    Args:
        text: Content of the card.
        file: Its file name, for messages and to check the card's name.

    Raises:
        WeightsError: No valid YAML, unknown or missing keys, or invalid values; the message lists all of them.
    """
    try:
        card = WeightsCard.model_validate(load_yaml(text))
    except yaml.YAMLError as error:
        raise WeightsError(f"{file}: not valid YAML ({getattr(error, 'problem', None) or error})") from None
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise WeightsError([f"{file}: {'.'.join(map(str, e['loc'])) or 'card'}: {e['msg']}" for e in found]) from None
    if card.name != Path(file).stem:
        raise WeightsError(f"{file}: name: '{card.name}' must be the file's name, '{Path(file).stem}'")
    return card


def _card_folders() -> Iterator[Path]:
    """Folders with cards in the order of search; a folder may occur twice."""
    yield Path("weights")
    for entry in filter(None, os.environ.get("F2VBENCH_PATH", "").split(os.pathsep)):
        yield Path(entry).expanduser()
        yield Path(entry).expanduser() / "weights"
    yield package_folder()


def package_folder() -> Path:
    """Folder of the cards that are installed with the package."""
    return Path(str(files("f2vbench.weights")))


def _card_files(folder: Path) -> list[Path]:
    """Weights cards in a folder, valid or not: YAML files with the key `used_for`. Other files are left out."""
    if not folder.is_dir():
        return []
    return [file for file in sorted(folder.glob("*.yaml")) if re.search(r"^used_for\s*:", _text(file), re.MULTILINE)]


def _default_of(file: Path) -> str | None:
    """Value of `default_of` in a card that need not be valid."""
    found = re.search(r"""^default_of\s*:\s*["']?([\w-]+)""", _text(file), re.MULTILINE)
    return found[1] if found else None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return ""


def _read_card(file: Path) -> WeightsCard:
    card = parse_weights_card(_text(file), str(file))
    card._folder = file.parent.absolute()
    return card
