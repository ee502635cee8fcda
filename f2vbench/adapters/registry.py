"""The task families that can be run, by the name that task cards use; adapters are imported when first asked for."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from f2vbench.adapters.base import Family

FAMILIES = {
    "segmentation": "f2vbench.adapters.segmentation:VesselSegmentation",
    "classification": "f2vbench.adapters.classification:Classification",
    "generation": "f2vbench.adapters.generation:Generation",
    "retrieval": "f2vbench.adapters.retrieval:Retrieval",
}
"""Family → where its `Family` stands, ``module:class``."""


@cache
def family_named(name: str) -> Family:
    """The family of a task card.

    Raises:
        KeyError: it has no adapter; `FAMILIES` holds those that have.
    """
    module, _, attribute = FAMILIES[name].partition(":")
    return getattr(import_module(module), attribute)()
