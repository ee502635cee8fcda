"""What there is: tasks, models and runs, as tables for the terminal."""

from __future__ import annotations

import time

from f2vbench.data.cards import all_cards
from f2vbench.data.index import find_folder
from f2vbench.encoders.registry import known_families, model_cards
from f2vbench.errors import F2VBenchError
from f2vbench.report.tables import layout
from f2vbench.settings import ListSettings
from f2vbench.store.runs import runs_below


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
    return layout(["task", "family", "data set", "folder"], rows)


def models(_: ListSettings) -> str:
    """Model families with the weights that they have when none are given, cards of weights, and floors."""
    cards = model_cards()
    own = {card.default_of: card.name for card in reversed(cards) if card.default_of}
    rows = [[name, what, own.get(name, "")] for name, what in known_families().items()]
    rows += [[card.name, card.title, card.name] for card in cards]
    return layout(["model", "what it is", "own weights"], rows)


def runs(settings: ListSettings) -> str:
    """Run folders, the latest first."""
    rows = [
        [str(folder), str(units), time.strftime("%Y-%m-%d %H:%M", time.localtime(changed))]
        for folder, units, changed in runs_below(settings.root)
    ]
    return layout(["run", "units", "last change"], rows) if rows else f"no run below {settings.root}"


KINDS = {"tasks": tasks, "models": models, "runs": runs}
