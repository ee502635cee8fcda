"""Weights to the Hugging Face Hub: the folder that is uploaded, and the upload."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from f2vbench.config.parsing import build
from f2vbench.errors import SettingsError, WeightsError
from f2vbench.pretrained.hub import SCHEME, hub_errors
from f2vbench.pretrained.weights_cards import WeightsCard, weights_card, weights_cards
from f2vbench.pretrained.weights_files import find_weights
from f2vbench.publish.make_card import card_of, card_text, read_export
from f2vbench.publish.readme import model_card
from f2vbench.publish.settings import MakeSettings, PushSettings
from f2vbench.utils.files import sha256, write_atomically

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo

README = "README.md"
_OF_THE_HUB = {".gitattributes", README}
"""Files that the Hub itself may put into a new repository."""


@dataclass(frozen=True)
class Upload:
    """What goes to the Hub.

    Attributes:
        files: content by name: the weights, their card, and the README.
    """

    card: WeightsCard
    files: dict[str, bytes]

    def write(self, folder: Path) -> list[Path]:
        """Write the files into a folder; returns their paths.

        Raises:
            StoreError: it can't be written.
        """
        for name, content in self.files.items():
            write_atomically(folder / name, content)
        return [folder / name for name in self.files]


def prepare_upload(what: str, settings: PushSettings) -> Upload:
    """The files of a card's weights, or of a finished training.

    Args:
        what: a card's name, or a run folder; its weights are then called by the name of the repository.

    Raises:
        SettingsError, WeightsError: no such card or folder, or as `make_card`; weights of other owners.
    """
    if what in weights_cards():
        card = weights_card(what)
        if card.kind != "shipped":
            raise WeightsError(f"{what}: these are weights of others ({card.source}); only our own are pushed")
        path = find_weights(card)
    elif Path(what).is_dir():
        export = read_export(Path(what))
        name = settings.repo.partition("/")[2].lower().replace(".", "-")
        given = settings.model_dump(include={"quality", "licence", "training_data"})
        card = card_of(export, build(MakeSettings, {"name": name, **given}))
        path = export.file
    else:
        raise SettingsError(
            f"{what}: neither a weights card ({', '.join(weights_cards())}) nor the run folder of a training"
        )
    # Which weights are a family's default is for an installation to say, not for a file from the Hub.
    card = card.model_copy(update={"default_of": None})
    readme = model_card(card, settings.repo).encode()
    return Upload(card, {card.file: path.read_bytes(), f"{card.name}.yaml": card_text(card), README: readme})


def push(upload: Upload, settings: PushSettings) -> tuple[str, list[str]]:
    """Upload in one commit what is not there already; a repository is made where there is none.

    Returns:
        the place on the Hub, ``hf://owner/name@<commit>``, and the names of the files that were uploaded.

    Raises:
        WeightsError: no login, no right, no network; a repository with files that are none of these weights', or
            with an earlier version of them unless ``replace`` is set.
    """
    from huggingface_hub import CommitOperationAdd, HfApi, get_token

    if get_token() is None:
        raise WeightsError(
            f"repo={settings.repo}: not logged in to the Hub; run `hf auth login` with a token that may write, or set "
            "HF_TOKEN (--dry-run needs neither)"
        )
    api = HfApi(library_name="f2vbench")
    with hub_errors(f"repo={settings.repo}"):
        there = _repository(api, settings.repo)
        if there is None:
            api.create_repo(settings.repo, private=settings.private)
        missing = upload.files if there is None else _changes(there, upload, settings)
        parent = None if there is None else there.sha
        if not missing:
            return f"{SCHEME}{settings.repo}@{parent}", []
        done = api.create_commit(
            settings.repo,
            [CommitOperationAdd(name, content) for name, content in missing.items()],
            commit_message=f"{upload.card.name}: weights, card and README",
            parent_commit=parent,
        )
    return f"{SCHEME}{settings.repo}@{done.oid}", list(missing)


def _repository(api: HfApi, repo: str) -> ModelInfo | None:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        return api.model_info(repo, files_metadata=True)
    except GatedRepoError:
        raise
    except RepositoryNotFoundError:
        return None


def _changes(there: ModelInfo, upload: Upload, settings: PushSettings) -> dict[str, bytes]:
    """The files that the repository lacks, or has in another version; refuses to mix or silently to replace."""
    held = {file.rfilename: file for file in there.siblings or []}
    foreign = sorted(set(held) - set(upload.files) - _OF_THE_HUB)
    if foreign:
        raise WeightsError(
            f"repo={settings.repo} holds other files ({', '.join(foreign[:5])}{', …' if len(foreign) > 5 else ''}); "
            "choose another repository"
        )
    changed = {name: content for name, content in upload.files.items() if _differs(held.get(name), content)}
    weights = upload.card.file
    if weights in changed and weights in held and not settings.replace:
        raise WeightsError(
            f"repo={settings.repo} holds another {weights}; numbers that name it would change their meaning: choose "
            "another repository, or replace=yes (the earlier version stays in its history)"
        )
    return changed


def _differs(held: object, content: bytes) -> bool:
    """Whether a file of the repository has other content: by its sha256 if stored as a large file, else by git's."""
    if held is None:
        return True
    large = getattr(held, "lfs", None)
    if large is not None:
        return bool(large.sha256 != sha256(content))
    return bool(getattr(held, "blob_id", None) != _git_blob(content))


def _git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
