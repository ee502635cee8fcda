"""The verb `f2vbench cache` with its inner verbs, and the functions that run them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from f2vbench.cli.verb_kinds import Verb, VerbWithVerbs

if TYPE_CHECKING:
    from f2vbench.cli.cache_settings import (
        CacheListSettings,
        CacheSettings,
        ExportSettings,
        ImportSettings,
        PruneSettings,
    )


def _cache_list(settings: CacheListSettings) -> int:
    from f2vbench.cli.cache import list_sets

    print(list_sets(settings))
    return 0


def _cache_verify(settings: CacheSettings) -> int:
    from f2vbench.cli.cache import verify_sets
    from f2vbench.utils.progress import for_this_terminal

    text, sound = verify_sets(settings, for_this_terminal())
    print(text)
    return 0 if sound else 2


def _cache_pack(settings: CacheSettings) -> int:
    from f2vbench.cli.cache import pack_sets
    from f2vbench.utils.progress import for_this_terminal

    print(pack_sets(settings, for_this_terminal()))
    return 0


def _cache_prune(settings: PruneSettings) -> int:
    from f2vbench.cli.cache import prune

    print(prune(settings))
    return 0


def _cache_import(settings: ImportSettings) -> int:
    from f2vbench.cli.cache_files import import_file
    from f2vbench.utils.progress import for_this_terminal

    print(import_file(settings, for_this_terminal()))
    return 0


def _cache_export(settings: ExportSettings) -> int:
    from f2vbench.cli.cache_files import export_file
    from f2vbench.utils.progress import for_this_terminal

    print(export_file(settings, for_this_terminal()))
    return 0


CACHE = VerbWithVerbs(
    "list, verify, pack, remove, import and export stored features:  f2vbench cache list",
    {
        "list": Verb(
            "models, photographs, size and last use of the stored features:  f2vbench cache list",
            "f2vbench.cli.cache_settings:CacheListSettings",
            _cache_list,
        ),
        "verify": Verb(
            "verify the checksum of every entry:  f2vbench cache verify model=retfound",
            "f2vbench.cli.cache_settings:CacheSettings",
            _cache_verify,
        ),
        "pack": Verb(
            "merge small files, and pack features of f2vbench 0.1.0:  f2vbench cache pack",
            "f2vbench.cli.cache_settings:CacheSettings",
            _cache_pack,
        ),
        "prune": Verb(
            "remove features, listed first:  f2vbench cache prune unused=30d to=50GB delete=yes",
            "f2vbench.cli.cache_settings:PruneSettings",
            _cache_prune,
        ),
        "import": Verb(
            "import embeddings of another framework:  f2vbench cache import vectors.npz name=mine task=odir",
            "f2vbench.cli.cache_settings:ImportSettings",
            _cache_import,
        ),
        "export": Verb(
            "write stored embeddings to a file:  f2vbench cache export vectors.npz model=timm:resnet18 task=odir",
            "f2vbench.cli.cache_settings:ExportSettings",
            _cache_export,
        ),
    },
)
"""The verb and its inner verbs, in the order of the help text."""
