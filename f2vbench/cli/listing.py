"""What there is: tasks, models and runs, as tables for the terminal."""

from __future__ import annotations

import time

from f2vbench.adapters.registry import ADAPTERS, adapter_for
from f2vbench.cli.settings import ListSettings
from f2vbench.data.index import find_folder
from f2vbench.data.task_cards import all_cards
from f2vbench.encoders.registry import known_families
from f2vbench.errors import F2VBenchError, WeightsError
from f2vbench.pretrained.weights_cards import default_card, model_cards
from f2vbench.store.runs import runs_below
from f2vbench.utils.text import layout


def tasks(_: ListSettings) -> str:
    """Task cards, with the folder of their data."""
    rows = []
    for name, card in all_cards().items():
        if isinstance(card, F2VBenchError):
            rows.append([name, "–", f"damaged card: {card}", ""])
            continue
        try:
            where = str(find_folder(card, None))
        except F2VBenchError:
            where = "no data: give data=folder" if card.phantom is None else "made on first use"
        rows.append([name, card.family, card.title, where])
    run = [f"  {name}: {', '.join(adapter_for(name).protocols)}" for name in ADAPTERS]
    return "\n".join([layout(["task", "family", "data set", "folder"], rows), "", "what runs, by family:", *run])


def models(_: ListSettings) -> str:
    """Model families with the weights that they have when none are given, cards of weights, and baselines."""
    rows = [[family.name, family.description, _own_weights(family.name)] for family in known_families().values()]
    rows += [[card.name, card.title, card.file] for card in model_cards()]
    return layout(["model", "what it is", "own weights"], rows)


def _own_weights(family: str) -> str:
    try:
        card = default_card(family)
    except WeightsError as error:
        return str(error)
    return card.name if card is not None else ""


def runs(settings: ListSettings) -> str:
    """Run folders, the latest first."""
    rows = [
        [str(folder), str(units), time.strftime("%Y-%m-%d %H:%M", time.localtime(changed))]
        for folder, units, changed in runs_below(settings.root)
    ]
    return layout(["run", "units", "last change"], rows) if rows else f"no run below {settings.root}"


KINDS = {"tasks": tasks, "models": models, "runs": runs}
