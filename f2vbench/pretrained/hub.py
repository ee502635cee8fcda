"""Weights on the Hugging Face Hub: addresses, downloads, and the client's errors as messages for the user.

An address is `hf://owner/name[@revision][/file]`. Without a file, the repository contains a weights card (as `f2vbench
weights push` writes it), which names the file and its hash. Importing this module does not import huggingface_hub.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from f2vbench.errors import WeightsError
from f2vbench.pretrained.shards import INDEX_SUFFIX, is_index, read_index
from f2vbench.pretrained.weights_cards import WeightsCard, cards_in
from f2vbench.pretrained.weights_files import download_instructions, find_weights, is_available

SCHEME = "hf://"

TIMEOUT = 6.0
"""Seconds until a Hub that does not answer counts as unreachable."""

_ADDRESS = re.compile(r"hf://(?P<repo>\w[\w.-]*/\w[\w.-]*)(?:@(?P<revision>[^/\s@]+))?(?:/(?P<file>[^\s@]+))?")
_NETWORK_LIBRARIES = ("httpx", "httpx2", "requests")
_DENIED = {
    401: "your token is not valid; log in again with `hf auth login`",
    403: "your token has no right to this; choose an owner that you may write to, or log in (`hf auth login`) with a "
    "token that has write access",
}


@dataclass(frozen=True)
class HubWeights:
    """A downloaded weights file.

    Attributes:
        path: Its path in the cache of huggingface_hub; of weights in shards, that of their index.
        source: `hf://owner/name@<commit>`, with the commit that the address meant at the time of the download.
        card: The card of the file, which was verified against it; None where the repository has no card.
    """

    path: Path
    source: str
    card: WeightsCard | None


def fetch(address: str) -> HubWeights:
    """Download the weights at an address; without a network, use an earlier download.

    Args:
        address: `hf://owner/name[@revision][/file]`.

    Raises:
        WeightsError: Malformed address; no such repository, revision or file; no access; no network; no card or
            several cards; or a file that is not the card's.
    """
    parts = _ADDRESS.fullmatch(address)
    if parts is None:
        raise WeightsError(
            f"{address}: write an address on the Hub as hf://owner/name, hf://owner/name@revision, or "
            "hf://owner/name/file.safetensors"
        )
    from huggingface_hub import snapshot_download

    repo, revision, file = parts["repo"], parts["revision"], parts["file"]
    with hub_errors(address, repo):
        cached_only = hub_problem() is not None  # the client tries for minutes to reach a Hub that does not answer
        if file is not None:
            path, commit = _download(repo, file, revision, cached_only)
            return HubWeights(path, f"{SCHEME}{repo}@{commit}", None)
        folder = Path(snapshot_download(repo, revision=revision, allow_patterns="*.yaml", local_files_only=cached_only))
        card = _only_card(folder, address)
        path, _ = _download(repo, card.file, folder.name, cached_only)
    return HubWeights(find_weights(card, path), f"{SCHEME}{repo}@{folder.name}", card)


def fetch_weights(card: WeightsCard) -> Path:
    """The weights file of a card: the one that `find_weights` finds, or else a download from the Hub.

    Nothing is downloaded with `HF_HUB_OFFLINE=1`, or for cards without a location on the Hub.

    Args:
        card: The card of the weights.

    Raises:
        WeightsError: The file is neither on this machine nor can it be downloaded (the message says why and how to get
            it), or it is not the card's.
    """
    if card.hub is None or is_available(card):
        return find_weights(card)
    try:
        check_hub()
        path, _ = _download(card.hub.repo, card.file, card.hub.revision)
    except Exception as error:  # of many libraries' classes, see `hub_errors`
        reason = _reason(error, card.hub.repo)
        if reason is None and not isinstance(error, OSError | ValueError):
            raise
        reason = reason or f"{type(error).__name__}: {(str(error).strip() or 'no reason').splitlines()[0][:200]}"
        raise WeightsError(
            f"{card.title}: {card.file} is not on this machine and could not be downloaded from the Hugging Face Hub "
            f"({reason}). {download_instructions(card)}"
        ) from error
    return find_weights(card, path)


def _download(repo: str, file: str, revision: str | None, cached_only: bool = False) -> tuple[Path, str]:
    """Download a file, or the index that replaces it in the repository, and the shards of an index.

    Returns:
        Path of the file or index in the cache of huggingface_hub, and the commit.

    Raises:
        WeightsError: The index is damaged, or the repository does not have its shards.
        EntryNotFoundError: The repository has neither file nor index; without a network: they are not in the cache.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    try:
        path = Path(hf_hub_download(repo, file, revision=revision, local_files_only=cached_only))
    except EntryNotFoundError:
        if file.endswith(".safetensors"):
            with suppress(EntryNotFoundError):
                return _download(repo, f"{file}{INDEX_SUFFIX}", revision, cached_only)
        raise
    commit = path.parents[file.count("/")].name
    if is_index(path):
        for shard in read_index(path).names:
            try:
                hf_hub_download(
                    repo, str(PurePosixPath(file).with_name(shard)), revision=commit, local_files_only=cached_only
                )
            except EntryNotFoundError as error:
                raise WeightsError(
                    f"{SCHEME}{repo}@{commit}: {shard}, a shard of {file}, is not in the repository, or was not "
                    "downloaded before and the Hub can't be reached: try again with a network, or ask the owner for "
                    "the missing shard"
                ) from error
    return path, commit


def hub_problem() -> Exception | None:
    """The error of a request to the Hub that fails within seconds; None where the Hub answers, or is not used.

    The client itself tries for minutes to reach a Hub that accepts connections and does not answer.
    """
    from huggingface_hub import constants, get_session

    if constants.HF_HUB_OFFLINE:
        return None
    try:
        get_session().head(constants.ENDPOINT, timeout=TIMEOUT)
    except Exception as error:  # of the libraries of `_NETWORK_LIBRARIES`
        return error
    return None


def check_hub() -> None:
    """Raise the error of a request to the Hub where it does not answer within seconds.

    Raises:
        Exception: Of the network library; see `hub_errors`.
    """
    problem = hub_problem()
    if problem is not None:
        raise problem


def _only_card(folder: Path, address: str) -> WeightsCard:
    cards = cards_in(folder)
    if len(cards) != 1:
        number = f"{len(cards)} weights cards" if cards else "no weights card"
        raise WeightsError(f"{address}: {number} in this repository; name the file, as in {address}/file.safetensors")
    return cards[0]


@contextmanager
def hub_errors(location: str, repo: str) -> Iterator[None]:
    """Within it, errors of the Hub's client become a `WeightsError` that says what is wrong and what to do.

    Args:
        location: Start of the message, such as an address or `repo=owner/name`.
        repo: `owner/name` of the repository.
    """
    try:
        yield
    except Exception as error:  # versions of the client raise classes of different libraries for the same failure
        reason = _reason(error, repo)
        if reason is None:
            raise
        raise WeightsError(f"{location}: {reason}") from error


def _reason(error: Exception, repo: str) -> str | None:
    """Reason and remedy of an error of the Hub's client; None for other errors."""
    from huggingface_hub import constants, errors

    if isinstance(error, errors.GatedRepoError):
        page = f"{constants.ENDPOINT}/{repo}"
        return f"the repository is gated: request access at {page}, then log in with `hf auth login` and run again"
    if isinstance(error, errors.RepositoryNotFoundError):
        return "no such repository on the Hub, or it is private: check the name, or log in with `hf auth login`"
    if isinstance(error, errors.RevisionNotFoundError):
        return "the repository has no such revision: check what follows the @"
    if isinstance(error, errors.LocalEntryNotFoundError | errors.OfflineModeIsEnabled):
        return (
            "not downloaded before, and the Hub can't be reached (no network, or HF_HUB_OFFLINE is set): try again "
            "with a network, or give the path of a file"
        )
    if isinstance(error, errors.EntryNotFoundError):
        return "no such file in the repository: check its name"
    if isinstance(error, errors.HFValidationError):
        return f"not a name of the Hub ({error})"
    if isinstance(error, errors.HfHubHTTPError):
        status = getattr(getattr(error, "response", None), "status_code", None)
        known = _DENIED.get(status) if status is not None else None
        return known or f"the Hub answers: {(str(error).strip() or type(error).__name__).splitlines()[-1]}"
    is_network_error = any(kind.__module__.partition(".")[0] in _NETWORK_LIBRARIES for kind in type(error).__mro__)
    if is_network_error or isinstance(error, ConnectionError | TimeoutError):
        return f"the Hub can't be reached ({type(error).__name__}): check the network and try again"
    return None
