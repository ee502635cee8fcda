"""Weights on the Hugging Face Hub: addresses, downloads into its cache, and its errors in words for the user.

An address is ``hf://owner/name[@revision][/file]``. Without a file, the repository holds a weights card (as
`f2vbench weights push` writes it), which tells the file and its hash. Importing this module does not import
huggingface_hub.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from f2vbench.errors import WeightsError
from f2vbench.pretrained.weights_cards import WeightsCard, cards_in, find_weights, how_to_get, is_here

SCHEME = "hf://"
_ADDRESS = re.compile(r"hf://(?P<repo>\w[\w.-]*/\w[\w.-]*)(?:@(?P<revision>[^/\s@]+))?(?:/(?P<file>[^\s@]+))?")
_NETWORK = ("httpx", "httpx2", "requests")
_DENIED = {
    401: "your token is not valid; log in again with `hf auth login`",
    403: "your token has no right to this; choose an owner for whom you may write, or log in (`hf auth login`) with a "
    "token that may write",
}


@dataclass(frozen=True)
class HubWeights:
    """A weights file that was downloaded.

    Attributes:
        path: in the cache of huggingface_hub.
        source: ``hf://owner/name@<commit>``, the commit that was meant when it was downloaded.
        card: of the file, where the repository has one; the file was checked against it.
    """

    path: Path
    source: str
    card: WeightsCard | None


def fetch(address: str) -> HubWeights:
    """The weights at an address; without a network, what was downloaded before.

    Raises:
        WeightsError: a malformed address, no such repository, revision or file, no right to read it, no network, no
            or several cards, or a file that is not the one its card tells.
    """
    found = _ADDRESS.fullmatch(address)
    if found is None:
        raise WeightsError(f"{address}: write a place on the Hub as hf://owner/name, hf://owner/name@revision, or "
                           "hf://owner/name/file.safetensors")  # fmt: skip
    from huggingface_hub import hf_hub_download, snapshot_download

    repo, revision, file = found["repo"], found["revision"], found["file"]
    with hub_errors(address):
        if file is not None:
            path = Path(hf_hub_download(repo, file, revision=revision))
            commit = path.parents[file.count("/")].name
            return HubWeights(path, f"{SCHEME}{repo}@{commit}", None)
        folder = Path(snapshot_download(repo, revision=revision, allow_patterns="*.yaml"))
        card = _only_card(folder, address)
        path = Path(hf_hub_download(repo, card.file, revision=folder.name))
    return HubWeights(find_weights(card, path), f"{SCHEME}{repo}@{folder.name}", card)


def fetch_weights(card: WeightsCard) -> Path:
    """The weights file of a card as `find_weights` finds it, or else downloaded into the cache of huggingface_hub.

    Nothing is downloaded with ``HF_HUB_OFFLINE=1``, nor what does not lie on the Hub.

    Raises:
        WeightsError: absent and not to be had (told with why, and where to ask for access), or not what the card tells.
    """
    if card.hub is None or is_here(card):
        return find_weights(card)
    import huggingface_hub

    try:
        path = huggingface_hub.hf_hub_download(card.hub.repo, card.file, revision=card.hub.revision)
    except Exception as error:  # of many libraries' classes, see `hub_errors`
        reason = _reason(error)
        if reason is None and not isinstance(error, OSError | ValueError):
            raise
        told = reason or f"{type(error).__name__}: {(str(error).strip() or 'no reason told').splitlines()[0][:200]}"
        raise WeightsError(
            f"{card.title}: {card.file} is not on this machine and could not be fetched from the Hugging Face Hub "
            f"({told}); {how_to_get(card)}"
        ) from error
    return find_weights(card, path)


def _only_card(folder: Path, address: str) -> WeightsCard:
    cards = cards_in(folder)
    if len(cards) != 1:
        told = f"{len(cards)} weights cards" if cards else "no weights card"
        raise WeightsError(f"{address}: {told} in this repository; name the file, as in {address}/file.safetensors")
    return cards[0]


@contextmanager
def hub_errors(where: str) -> Iterator[None]:
    """Tell what the Hub's client raises as a `WeightsError`: what is wrong at ``where``, and what to do."""
    try:
        yield
    except Exception as error:  # the client's versions raise classes of different libraries for the same failure
        reason = _reason(error)
        if reason is None:
            raise
        raise WeightsError(f"{where}: {reason}") from error


def _reason(error: Exception) -> str | None:
    """What an error of the Hub's client means, with what to do; None for errors of other origin."""
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        return "access has to be asked for on its page, and then `hf auth login`"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "no such repository on the Hub, or it is private: check the name, or log in with `hf auth login`"
    if isinstance(error, errors.RevisionNotFoundError):
        return "the repository has no such revision: check what stands after the @"
    if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
        return (
            "not downloaded before, and the Hub can't be reached (no network, or HF_HUB_OFFLINE is set): try again "
            "with a network, or give a file's path"
        )
    if isinstance(error, errors.EntryNotFoundError):
        return "no such file in the repository: check its name"
    if isinstance(error, errors.HFValidationError):
        return f"not a name of the Hub ({error})"
    if isinstance(error, errors.HfHubHTTPError):
        status = getattr(getattr(error, "response", None), "status_code", None)
        known = _DENIED.get(status) if status is not None else None
        told = (str(error).strip() or type(error).__name__).splitlines()[-1]
        return known or f"the Hub says: {told}"
    of_the_network = any(kind.__module__.partition(".")[0] in _NETWORK for kind in type(error).__mro__)
    if of_the_network or isinstance(error, ConnectionError | TimeoutError):
        return f"the Hub can't be reached ({type(error).__name__}): check the network and try again"
    return None
