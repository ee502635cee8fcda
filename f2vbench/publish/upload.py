"""Upload of weights to the Hugging Face Hub."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from f2vbench.config.parsing import build
from f2vbench.errors import SettingsError, WeightsError
from f2vbench.pretrained.hub import SCHEME, hub_errors
from f2vbench.pretrained.shards import index_of, is_shard_of, whole_path
from f2vbench.pretrained.weights_cards import WeightsCard, weights_card, weights_cards
from f2vbench.pretrained.weights_files import find_weights
from f2vbench.pretrained.weights_writing import renamed_weights
from f2vbench.publish.make_card import card_of, card_text, read_export
from f2vbench.publish.readme import model_card
from f2vbench.publish.settings import MakeSettings, PushSettings
from f2vbench.utils.files import sha256, write_atomically

if TYPE_CHECKING:
    from huggingface_hub import HfApi
    from huggingface_hub.hf_api import ModelInfo, RepoSibling

README = "README.md"
_CREATED_BY_HUB = {".gitattributes", README}
"""Files that the Hub may create in a new repository."""


@dataclass(frozen=True)
class Upload:
    """Files for a repository on the Hub.

    Attributes:
        card: The card of the weights.
        files: Content by file name: the weights (where they are in shards, these and their index), their card, and the
            README.
    """

    card: WeightsCard
    files: dict[str, bytes]

    def write(self, folder: Path) -> list[Path]:
        """Write the files into a folder.

        Args:
            folder: The folder, created if it does not exist.

        Returns:
            Paths of the files.

        Raises:
            StoreError: The folder is not writable.
        """
        for name, content in self.files.items():
            write_atomically(folder / name, content)
        return [folder / name for name in self.files]


def prepare_upload(source: str, settings: PushSettings) -> Upload:
    """The files of a card's weights, or of a completed training.

    Args:
        source: Name of a card, or a run folder, whose weights get the name of the repository.
        settings: Repository and entries of the card.

    Raises:
        SettingsError: There is no such card or folder, or as `make_card.card_of`.
        WeightsError: Weights of other owners, or as `make_card.read_export`.
    """
    if source in weights_cards():
        card = weights_card(source)
        if card.kind != "shipped":
            raise WeightsError(f"{source}: weights of other owners ({card.source}) are not uploaded")
        files = renamed_weights(find_weights(card), whole_path(Path(card.file)).stem)
    elif Path(source).is_dir():
        export = read_export(Path(source))
        name = settings.repo.partition("/")[2].lower().replace(".", "-")
        entries = settings.model_dump(include={"quality", "licence", "training_data"})
        card, files = card_of(export, build(MakeSettings, {"name": name, **entries}))
    else:
        raise SettingsError(
            f"{source}: neither a weights card ({', '.join(weights_cards())}) nor the run folder of a training"
        )
    # Each installation decides which weights are a family's default, not a file from the Hub.
    card = card.model_copy(update={"default_of": None})
    readme = model_card(card, settings.repo).encode()
    return Upload(card, {**files, f"{card.name}.yaml": card_text(card), README: readme})


def push(upload: Upload, settings: PushSettings) -> tuple[str, list[str]]:
    """Upload new and changed files in one commit; the repository is created if it does not exist.

    Files of an earlier version of the weights that this version does not have, such as more shards, are deleted there.

    Args:
        upload: The files.
        settings: The repository, and whether an earlier version may be replaced.

    Returns:
        The location `hf://owner/name@<commit>`, and the names of the uploaded files.

    Raises:
        WeightsError: No login, no write access, or no network; the repository contains other files, or an earlier
            version of the weights while `replace` is not set.
    """
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    require_login(settings.repo)
    api = HfApi(library_name="f2vbench")
    with hub_errors(f"repo={settings.repo}", settings.repo):
        existing = _repository(api, settings.repo)
        if existing is None:
            api.create_repo(settings.repo, private=settings.private)
        missing, obsolete = (upload.files, []) if existing is None else _changes(existing, upload, settings)
        parent = None if existing is None else existing.sha
        if not missing:
            return f"{SCHEME}{settings.repo}@{parent}", []
        commit = api.create_commit(
            settings.repo,
            [
                *(CommitOperationAdd(name, content) for name, content in missing.items()),
                *(CommitOperationDelete(name) for name in obsolete),
            ],
            commit_message=f"{upload.card.name}: weights, card and README",
            parent_commit=parent,
        )
    return f"{SCHEME}{settings.repo}@{commit.oid}", list(missing)


def require_login(repo: str) -> None:
    """Check that a token for the Hub is stored.

    Args:
        repo: The repository, for the message.

    Raises:
        WeightsError: There is no token.
    """
    from huggingface_hub import get_token

    if get_token() is None:
        raise WeightsError(
            f"repo={repo}: not logged in to the Hub; run `hf auth login` with a token that has write access, "
            "or set HF_TOKEN (--dry-run needs neither)"
        )


def _repository(api: HfApi, repo: str) -> ModelInfo | None:
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError

    try:
        return api.model_info(repo, files_metadata=True)
    except GatedRepoError:
        raise
    except RepositoryNotFoundError:
        return None


def _changes(repository: ModelInfo, upload: Upload, settings: PushSettings) -> tuple[dict[str, bytes], list[str]]:
    """The files that the repository does not have in this version, and files of an earlier version of the weights.

    Raises:
        WeightsError: The repository has other files, or other weights with this name and `replace` is not set.
    """
    existing = {file.rfilename: file for file in repository.siblings or []}
    whole = whole_path(Path(upload.card.file))
    versions = {whole.name, index_of(whole).name, *(name for name in existing if is_shard_of(name, whole.stem))}
    earlier = versions & set(existing)
    foreign = sorted(set(existing) - set(upload.files) - versions - _CREATED_BY_HUB)
    if foreign:
        raise WeightsError(
            f"repo={settings.repo} has other files ({', '.join(foreign[:5])}{', …' if len(foreign) > 5 else ''}); "
            "choose another repository"
        )
    changed = {name: content for name, content in upload.files.items() if _differs(existing.get(name), content)}
    if earlier and upload.card.file in changed and not settings.replace:
        raise WeightsError(
            f"repo={settings.repo} has another {whole.name}, which published results may name: choose another "
            "repository, or write replace=yes (the earlier version stays in its history)"
        )
    return changed, sorted(earlier - set(upload.files))


def _differs(existing: RepoSibling | None, content: bytes) -> bool:
    """Whether a file of the repository has other content: by SHA-256 for large files, else by git's hash."""
    if existing is None:
        return True
    large = existing.lfs
    if large is not None:
        return large.sha256 != sha256(content)
    return existing.blob_id != _git_blob(content)


def _git_blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
