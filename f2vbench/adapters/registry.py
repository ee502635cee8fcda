"""Task adapters by task family. An adapter's module is imported at its first use."""

from __future__ import annotations

from functools import cache
from importlib import import_module

from f2vbench.adapters.base import TaskAdapter
from f2vbench.data.task_cards import TaskCard

ADAPTERS = {
    "segmentation": "f2vbench.adapters.segmentation:Segmentation",
    "classification": "f2vbench.adapters.classification:Classification",
    "regression": "f2vbench.adapters.regression:Regression",
    "survival": "f2vbench.adapters.survival:Survival",
    "generation": "f2vbench.adapters.generation:Generation",
    "retrieval": "f2vbench.adapters.retrieval:Retrieval",
}
"""Task family → import path of its adapter, ``module:class``."""


@cache
def adapter_for(family: str) -> TaskAdapter:
    """Return the adapter of a task family.

    Args:
        family: Family of a task card, a key of `ADAPTERS`.

    Raises:
        KeyError: The family has no adapter.
    """
    module, _, attribute = ADAPTERS[family].partition(":")
    adapter: TaskAdapter = getattr(import_module(module), attribute)()
    return adapter


def adapter_of(card: TaskCard) -> TaskAdapter:
    """Return the adapter of a task.

    Args:
        card: The task card.
    """
    return adapter_for(card.family).for_card(card)
