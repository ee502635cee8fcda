"""Models whose embeddings were imported: their descriptions in the cache, and the loader of `embeddings:<name>`.

`f2vbench cache import` writes the vectors into the feature store and a description into the cache. The model has
embeddings of the imported photographs and of no others.
"""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NoReturn

from f2vbench.encoders.model_family import PRECOMPUTED
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import SettingsError, did_you_mean
from f2vbench.utils.files import cache_folder, sealed, unseal, write_atomically

FAMILY = "embeddings"
"""Name of the model family."""

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}")
"""Names of imported embeddings."""


@dataclass(frozen=True)
class ImportedEmbeddings:
    """Description of imported embeddings.

    Attributes:
        name: The name in `embeddings:<name>`.
        sha256: SHA-256 of the imported file.
        width: Length of a vector.
        images: Number of images.
        tasks: Tasks whose images they are.
        source: Name of the imported file.
    """

    name: str
    sha256: str
    width: int
    images: int
    tasks: tuple[str, ...]
    source: str


def describe_import(name: str) -> ImportedEmbeddings | None:
    """The description of imported embeddings, or None if there are none of this name or it is damaged."""
    try:
        found = unseal(_path(name).read_bytes())
        return ImportedEmbeddings(**{**found, "tasks": tuple(found["tasks"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def imported_names() -> list[str]:
    """Names of all imported embeddings."""
    return sorted(path.stem for path in _folder().glob("*.json"))


def record_import(imported: ImportedEmbeddings) -> None:
    """Store a description; it replaces one of the same name.

    Raises:
        StoreError: The cache is not writable.
    """
    write_atomically(_path(imported.name), sealed(asdict(imported)))


def imported_model(name: str) -> ModelSpec:
    """The model `embeddings:<name>`.

    Raises:
        SettingsError: No embeddings of this name were imported.
    """
    imported = describe_import(name) if NAME.fullmatch(name) else None
    if imported is None:
        known = imported_names()
        there_are = f"; there are {', '.join(known)}{did_you_mean(name, known)}" if known else ""
        raise SettingsError(
            f"model={FAMILY}:{name}: no embeddings of this name were imported{there_are}. Import them with "
            f"`f2vbench cache import <file> name={name or '<name>'} task=<task>`"
        )
    return model_of_import(imported)


def model_of_import(imported: ImportedEmbeddings) -> ModelSpec:
    """The model that a description is of."""
    return ModelSpec(
        f"{FAMILY}:{imported.name}", FAMILY, imported.name, "vector", False, PRECOMPUTED, content=imported.sha256
    )


def load_imported(spec: ModelSpec) -> NoReturn:
    """Refuse to load imported embeddings, which embed no other photographs.

    Raises:
        SettingsError: Always.
    """
    imported = describe_import(spec.architecture)
    of_tasks = f" of {', '.join(imported.tasks)}" if imported else ""
    raise SettingsError(
        f"model={spec.name}: it has the embeddings of the imported photographs{of_tasks} only, and a photograph is not "
        "among them, or its vector is damaged or was removed from the cache; import them again with `f2vbench cache "
        "import`"
    )


def _folder() -> Path:
    return cache_folder() / "embeddings"


def _path(name: str) -> Path:
    return _folder() / f"{name}.json"
