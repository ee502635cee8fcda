"""Weights cards: one YAML file tells where a set of weights comes from, what it is, and how its file is known.

A card is looked for in ``./weights``, in the folders of ``F2VBENCH_PATH``, and last among the cards that come with
f2vbench; the first one found is used. Nothing here reaches the network: a file is looked for on this machine, checked
against its card, and where it is absent the message tells what to download and where to put it.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError, model_validator

from f2vbench.errors import WeightsError, did_you_mean
from f2vbench.pretrained.checkpoints import file_sha256
from f2vbench.utils.files import cache_folder


class HubPlace(BaseModel):
    """Where on the Hugging Face Hub a file lies, at one pinned revision where it is known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="owner/name")
    revision: str | None = Field(
        None, pattern=r"^[0-9a-f]{40}$", description="commit; without it the latest, for what only its owners can list"
    )


class Training(BaseModel):
    """How weights of our own came about: what repeats the training, and what it took."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    command: str = Field(min_length=1, description="the one command that trains them")
    settings_sha256: str = Field(pattern=r"^[0-9a-f]{64}$", description="of the settings that decide what is learnt")
    seed: int = Field(ge=0, description="of the training")
    epochs: int = Field(ge=1, description="passes over the training data")
    seconds: float = Field(gt=0, description="wall time of the training steps, validation left out")
    machine: str = Field(min_length=1, description="processor or GPU, cores, processes")
    software: dict[str, str] = Field(min_length=1, description="versions of f2vbench, Python and PyTorch")


class Measure(BaseModel):
    """One measured number of these weights, with the data and the metric that it is on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: str = Field(min_length=1, description="which images, and which part of them")
    metric: str = Field(min_length=1, description="such as auroc, dice, psnr")
    value: float = Field(allow_inf_nan=False, description="the number")
    note: str | None = Field(None, min_length=1, description="protocol, seeds, spread, what it stands beside")


class WeightsCard(BaseModel):
    """One set of weights, as its card tells it; keys that are not listed here are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="the card's file name without .yaml")
    title: str = Field(min_length=1, description="name for messages and tables")
    used_for: str = Field(min_length=1, description="what can't be done without it")
    kind: Literal["download", "shipped"] = Field(description="shipped: the file lies beside its card")
    source: str = Field(min_length=1, description="page of who offers it")
    url: str | None = Field(None, pattern=r"^https://", description="the file itself")
    hub: HubPlace | None = Field(None, description="the same file on the Hugging Face Hub")
    gated: bool = Field(False, description="whether its owners grant access on request only")
    file: str = Field(pattern=r"^[\w][\w.-]*$", description="file name, without folder")
    sha256: str | None = Field(None, pattern=r"^[0-9a-f]{64}$", description="of the file, where it is known")
    size: int | None = Field(None, ge=1, description="bytes")
    licence: str = Field(min_length=1, description="what its owners allow")
    architecture: str = Field(min_length=1, description="the network it belongs to")
    preprocessing: str = Field(min_length=1, description="what the network expects")
    training_data: str = Field(min_length=1, description="what it was trained on")
    citation: str = Field(min_length=1, description="what to cite")
    family: str | None = Field(
        None, pattern=r"^[a-z0-9_-]+(:[\w.-]+)?$", description="what opens the file: a word of model= before its colon"
    )
    default_of: str | None = Field(
        None, pattern=r"^[a-z0-9_-]+$", description="the family that uses these weights when none are given"
    )
    network: dict[str, str | int | float | bool | list[float]] | None = Field(
        None, description="name and shape of the architecture, for code"
    )
    training: Training | None = Field(None, description="how it was trained, where we trained it")
    quality: list[Measure] = Field(default_factory=list, description="what was measured")
    _folder: Path | None = PrivateAttr(None)  # where the card lies

    @model_validator(mode="after")
    def _default_can_be_opened(self) -> WeightsCard:
        if self.default_of is not None and self.family != self.default_of:
            raise ValueError(f"default_of: '{self.default_of}' must be the card's family, '{self.family}'")
        return self


def weights_cards() -> list[str]:
    """Names of all cards, sorted: the user's, and those that come with f2vbench."""
    return sorted({file.stem for folder in _card_folders() for file in _card_files(folder)})


def weights_card(name: str) -> WeightsCard:
    """The card of this name.

    Raises:
        WeightsError: there is none, or it can't be read; told with file and key.
    """
    for folder in _card_folders():
        for file in _card_files(folder):
            if file.stem == name:
                return _card_in(file)
    known = weights_cards()
    raise WeightsError(f"there is no weights card '{name}'{did_you_mean(name, known)}; known: {', '.join(known)}")


def model_cards() -> list[WeightsCard]:
    """Cards whose weights a model argument can name, sorted by name; cards that are not valid are left out."""
    cards = []
    for name in weights_cards():
        with contextlib.suppress(WeightsError):
            cards.append(weights_card(name))
    return [card for card in cards if card.family is not None]


def default_card(family: str) -> WeightsCard | None:
    """The card whose weights a family uses when none are given; None where there is none.

    Only the data decide: it is the card with ``default_of: <family>`` in the folder nearest to the user.

    Raises:
        WeightsError: that card can't be read, or two cards of one folder claim to be the default.
    """
    for folder in _card_folders():
        claims = defaults_in(folder, family)
        if len(claims) > 1:
            told = " and ".join(f"{name}.yaml" for name in claims)
            raise WeightsError(f"{folder}: default_of: {family} stands in {told}: remove the key from all but one")
        if claims:
            return _card_in(folder / f"{claims[0]}.yaml")
    return None


def cards_in(folder: Path) -> list[WeightsCard]:
    """The cards in one folder.

    Raises:
        WeightsError: one can't be read.
    """
    return [_card_in(file) for file in _card_files(folder)]


def defaults_in(folder: Path, family: str) -> list[str]:
    """Names of the cards in one folder that claim to be a family's default, well-formed or not."""
    return [file.stem for file in _card_files(folder) if _claimed_family(file) == family]


def read_weights_card(text: str, where: str) -> WeightsCard:
    """A card from its YAML text; ``where`` names it in messages.

    Raises:
        WeightsError: no YAML, unknown or missing keys, or values of the wrong kind, all listed.
    """
    try:
        card = WeightsCard.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise WeightsError(f"{where}: not valid YAML ({getattr(error, 'problem', None) or error})") from None
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise WeightsError([f"{where}: {'.'.join(map(str, e['loc'])) or 'card'}: {e['msg']}" for e in found]) from None
    if card.name != Path(where).stem:
        raise WeightsError(f"{where}: name: '{card.name}' must be the file's name, '{Path(where).stem}'")
    return card


def _card_folders() -> Iterator[Path]:
    """Folders with cards, nearest to the user first; a folder that comes up again is named again."""
    yield Path("weights")
    for entry in filter(None, os.environ.get("F2VBENCH_PATH", "").split(os.pathsep)):
        yield Path(entry).expanduser()
        yield Path(entry).expanduser() / "weights"
    yield Path(str(files("f2vbench.weights")))


def _card_files(folder: Path) -> list[Path]:
    """Files that are meant as weights cards, well-formed or not; a ``weights`` folder may hold anything else."""
    if not folder.is_dir():
        return []
    return [file for file in sorted(folder.glob("*.yaml")) if re.search(r"^used_for\s*:", _text(file), re.MULTILINE)]


def _claimed_family(file: Path) -> str | None:
    found = re.search(r"""^default_of\s*:\s*["']?([\w-]+)""", _text(file), re.MULTILINE)
    return found[1] if found else None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return ""


def _card_in(file: Path) -> WeightsCard:
    card = read_weights_card(_text(file), str(file))
    card._folder = file.parent.absolute()
    return card


def find_weights(card: WeightsCard, given: str | Path | None = None) -> Path:
    """The weights file on this machine, checked against its card.

    Args:
        given: the file, or the folder it lies in. Without it, what is shipped lies beside its card, and a download is
            looked for in ``weights`` of the cache folder (``F2VBENCH_CACHE``), among PyTorch's own downloads, and in
            the Hugging Face cache.

    Raises:
        WeightsError: absent (told with what to download and where to put it), or not the file that the card tells.
    """
    if given is not None:
        path = Path(given).expanduser()
        path = path / card.file if path.is_dir() else path
        if not path.is_file():
            raise WeightsError(f"{path}: no such weights file; {how_to_get(card)}")
    else:
        found = next((place for place in _places(card) if place.is_file()), None)
        if found is None:
            raise WeightsError(f"{card.title}: {card.file} is not on this machine; {how_to_get(card)}")
        path = found
    _verify(card, path)
    return path


def is_here(card: WeightsCard) -> bool:
    """Whether a file of that name lies where it is looked for; `find_weights` checks that it is the right one."""
    return any(place.is_file() for place in _places(card))


def not_here(card: WeightsCard) -> str:
    """That a file has to be fetched, and what tells how, without a path of this machine; empty where it is here."""
    if is_here(card):
        return ""
    return f"{card.title}: {card.file} is not on this machine; `f2vbench weights where {card.name}` tells how to get it"


def how_to_get(card: WeightsCard) -> str:
    """What to download and where to put it, as the end of a sentence."""
    size = f" ({card.size / 1e6:.0f} MB)" if card.size else ""
    folder = cache_folder() / "weights"
    target = f"put it at {folder / card.file} (or give its path)"
    if card.hub is not None:
        revision = f" --revision {card.hub.revision}" if card.hub.revision else ""
        command = f"hf download {card.hub.repo} {card.file}{revision} --local-dir {folder}"
        access = f"ask for access at {card.source} ({card.licence}), log in with `hf auth login`, and " * card.gated
        return f"{access}get it with `{command}`, or download {card.url or card.source}{size} and {target}"
    return f"download {card.url or card.source}{size} and {target}"


def _places(card: WeightsCard) -> list[Path]:
    """Where the file may already lie, nearest first."""
    if card.kind == "shipped":
        return [(card._folder or Path(str(files("f2vbench.weights")))) / card.file]
    torch_home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
    places = [cache_folder() / "weights" / card.file]
    places.append(Path(torch_home).expanduser() / "hub" / "checkpoints" / card.file)
    if card.hub is not None:
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(card.hub.repo, card.file, revision=card.hub.revision)
        if isinstance(cached, str):
            places.append(Path(cached))
    return places


def _verify(card: WeightsCard, path: Path) -> None:
    size = path.stat().st_size
    if card.size is not None and size != card.size:
        raise WeightsError(f"{path}: {size:,} bytes, but {card.file} has {card.size:,}; {how_to_get(card)}")
    if card.sha256 is not None and (found := file_sha256(path)) != card.sha256:
        raise WeightsError(
            f"{path}: not the file that weights/{card.name}.yaml tells (sha256 {found[:12]}…, should be "
            f"{card.sha256[:12]}…), so numbers from it could not be compared; {how_to_get(card)}"
        )
