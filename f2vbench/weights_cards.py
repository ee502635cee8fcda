"""Weights cards: one YAML file tells where a set of weights comes from, what it is, and how its file is known.

The cards lie in ``f2vbench.weights``. A file is looked for on this machine, checked against its card, and where it is
absent the message tells what to download and where to put it; only `fetch_weights` reaches the network.
"""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from f2vbench.errors import WeightsError, did_you_mean
from f2vbench.files import cache_folder
from f2vbench.store.checkpoints import file_sha256


class HubPlace(BaseModel):
    """Where on the Hugging Face Hub a file lies, at one pinned revision where it is known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repo: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="owner/name")
    revision: str | None = Field(
        None, pattern=r"^[0-9a-f]{40}$", description="commit; without it the latest, for what only its owners can list"
    )


class WeightsCard(BaseModel):
    """One set of weights, as its card tells it; keys that are not listed here are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", description="the card's file name without .yaml")
    title: str = Field(min_length=1, description="name for messages and tables")
    used_for: str = Field(min_length=1, description="what can't be done without it")
    kind: Literal["download", "shipped"] = Field(description="whether the file comes with f2vbench")
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


def weights_cards() -> list[str]:
    """Names of the cards that come with f2vbench, sorted."""
    names = (card.name for card in files("f2vbench.weights").iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def weights_card(name: str) -> WeightsCard:
    """The card of this name.

    Raises:
        WeightsError: there is none, or it can't be read; told with file and key.
    """
    known = weights_cards()
    if name not in known:
        raise WeightsError(f"there is no weights card '{name}'{did_you_mean(name, known)}; known: {', '.join(known)}")
    card = files("f2vbench.weights") / f"{name}.yaml"
    return read_weights_card(card.read_text(encoding="utf-8"), f"weights/{name}.yaml")


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


def fetch_weights(card: WeightsCard) -> Path:
    """The weights file as `find_weights` finds it, or else downloaded into the Hugging Face cache.

    Nothing is downloaded with ``HF_HUB_OFFLINE=1``, nor what does not lie on the Hub.

    Raises:
        WeightsError: absent and not to be had (told with why, and where to ask for access), or not what the card tells.
    """
    if card.hub is None or any(place.is_file() for place in _places(card)):
        return find_weights(card)
    import huggingface_hub
    from huggingface_hub.errors import HfHubHTTPError

    try:
        path = Path(huggingface_hub.hf_hub_download(card.hub.repo, card.file, revision=card.hub.revision))
    except (HfHubHTTPError, OSError, ValueError) as error:
        reason = (str(error).strip() or "no reason told").splitlines()[0][:200]
        raise WeightsError(
            f"{card.title}: {card.file} is not on this machine and could not be fetched from the Hugging Face Hub "
            f"({type(error).__name__}: {reason}); {how_to_get(card)}"
        ) from error
    _verify(card, path)
    return path


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
        return [Path(str(files("f2vbench.weights"))) / card.file]
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
