"""`f2vbench list`: tasks, models and runs, as a summary and a table for the terminal, or as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from f2vbench.adapters.registry import ADAPTERS, adapter_for
from f2vbench.cli.settings import ListSettings
from f2vbench.data.index import find_folder
from f2vbench.data.task_cards import all_cards
from f2vbench.encoders.generator_weights import embedding_width
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.model_family import ModelFamily
from f2vbench.encoders.model_options import POOLINGS
from f2vbench.encoders.registry import known_families
from f2vbench.errors import F2VBenchError, WeightsError
from f2vbench.pretrained.weights_cards import WeightsCard, default_card, model_cards, weights_card
from f2vbench.pretrained.weights_files import is_available
from f2vbench.store.runs import runs_below
from f2vbench.utils.text import layout, plural

_WRAP = 56  # characters of the last column; tables stay below 120
_LINE = 138  # characters of a line of variants


@dataclass(frozen=True)
class Listing:
    """A listing of items.

    Attributes:
        summary: How many there are, in a line or two.
        items: One mapping per item, with the same keys; JSON-serialisable.
        columns: Keys of the items in the table, and their headings.
        notes: Lines below the table.
    """

    summary: str
    items: Sequence[Mapping[str, Any]]
    columns: Mapping[str, str]
    notes: Sequence[str] = ()

    def text(self) -> str:
        """Summary, table and notes."""
        rows = [[_cell(item[key]) for key in self.columns] for item in self.items]
        table = layout(list(self.columns.values()), rows, wrap=_WRAP) if rows else ""
        return "\n".join(filter(None, [self.summary, "\n" + table if table else "", *self.notes]))

    def json(self) -> str:
        """The items as a JSON list."""
        return json.dumps(list(self.items), indent=1, ensure_ascii=False)


def tasks(_: ListSettings) -> Listing:
    """Task cards with the folder of their data, and the protocols of each task family."""
    items: list[dict[str, Any]] = []
    for name, card in all_cards().items():
        if isinstance(card, F2VBenchError):
            items.append(_task_item(name, None, f"damaged card: {card}", None, is_simulated=False))
            continue
        try:
            folder = str(find_folder(card, None))
        except F2VBenchError:
            folder = None
        items.append(_task_item(name, card.family, card.title, folder, is_simulated=card.phantom is not None))
    found = sum(item["folder"] is not None for item in items)
    simulated = sum(item["simulated"] and item["folder"] is None for item in items)
    missing = len(items) - found - simulated
    return Listing(
        f"{plural(len(items), 'task')}: data of {found} found, {simulated} simulated on first use, {missing} not found "
        "(give data=<folder>; `f2vbench data where task=<task>` says how to get it)",
        items,
        {"task": "task", "family": "family", "title": "data set", "status": "folder"},
        ["", "protocols of each task family:"]
        + [f"  {name}: {', '.join(adapter_for(name).protocols)}" for name in ADAPTERS],
    )


def models(_: ListSettings) -> Listing:
    """Model families with embedding width and default weights, baselines and weights cards."""
    known = known_families()
    families = known.values()
    items = [_family_item(family) for family in families]
    items += [_card_item(card, known.get((card.family or "").partition(":")[0])) for card in model_cards()]
    items.sort(key=lambda item: item["kind"] == "baseline")
    count = {
        kind: sum(item["kind"] == kind for item in items) for kind in ("encoder", "generator", "baseline", "weights")
    }
    ready = [item["model"] for item in items if item["kind"] == "encoder" and item["weights_here"]]
    variants = [
        line
        for family in families
        if len(family.variants) > 1
        for line in wrap(
            ", ".join(f"{family.name}:{variant}" for variant in family.variants),
            _LINE,
            initial_indent="  ",
            subsequent_indent="    ",
            break_on_hyphens=False,
        )
    ]
    return Listing(
        f"{plural(count['encoder'], 'encoder')}, {plural(count['generator'], 'generator')} without features, "
        f"{plural(count['weights'], 'weights card')} and "
        f"{plural(count['baseline'], 'baseline')}; default weights on this machine:\n{', '.join(ready) or 'none'}",
        items,
        {"model": "model", "width": "width", "weights": "default weights", "description": "description"},
        [
            "",
            "variants, the default first:",
            *variants,
            "other weights: <model>:<weights file>, <model>:hf://owner/name, or <model>:untrained",
        ],
    )


def _width(family: ModelFamily | None, card: str = "") -> int | None:
    """Length of an embedding: of a generator that of the weights, which decide its shape, or of the published shape.

    Args:
        family: The family; None where the package that adds it is not installed.
        card: Name of a weights card of the family; by default its default weights.
    """
    if family is None or family.generator is None:
        return None if family is None or card else family.width
    try:
        return embedding_width(parse_model(card or family.name))
    except WeightsError:  # of a card whose file is absent or damaged, or of a family without a card
        return None if card else family.generator.embedding_width(POOLINGS[0])


def runs(settings: ListSettings) -> Listing:
    """Run folders, the latest first."""
    items = [
        {"run": str(folder), "units": units, "changed": time.strftime("%Y-%m-%d %H:%M", time.localtime(changed))}
        for folder, units, changed in runs_below(settings.root)
    ]
    columns = {"run": "run", "units": "units", "changed": "last change"}
    summary = f"{plural(len(items), 'run')} in {settings.root}" if items else f"no run in {settings.root}"
    return Listing(summary, items, columns)


def listing_text(kind: str, settings: ListSettings) -> str:
    """The listing of a kind of `KINDS` in the format of the settings."""
    listing = KINDS[kind](settings)
    return listing.json() if settings.format == "json" else listing.text()


def _task_item(name: str, family: str | None, title: str, folder: str | None, *, is_simulated: bool) -> dict[str, Any]:
    status = folder or ("simulated on first use" if is_simulated else "not found")
    return {
        "task": name,
        "family": family,
        "title": title,
        "folder": folder,
        "simulated": is_simulated,
        "status": status if family else "",
    }


def _family_item(family: ModelFamily) -> dict[str, Any]:
    weights, here = _default_weights(family)
    kind = "generator" if family.kind in ("generator", "video") else "encoder"
    return {
        "model": family.name,
        "kind": "baseline" if family.is_baseline else kind,
        "width": _width(family),
        "weights": weights,
        "weights_here": here,
        "description": family.description,
    }


def _card_item(card: WeightsCard, family: ModelFamily | None) -> dict[str, Any]:
    return {
        "model": card.name,
        "kind": "weights",
        "width": _width(family, card.name),
        "weights": card.file,
        "weights_here": is_available(card),
        "description": card.title,
    }


def _default_weights(family: ModelFamily) -> tuple[str, bool]:
    """Weights that are used when the model argument names none, or where they are; and whether they are here."""
    if family.default_weights == "hub":
        return "Hugging Face Hub", False
    if family.default_weights == "installed":
        installed = weights_card(family.name)
        here = is_available(installed)
        command = f'pip install "f2vbench[{installed.extra}]"'
        return command if installed.extra is not None and not here else installed.file, here
    if family.is_baseline:
        return "none needed", True
    try:
        if family.default_weights == "released":
            name = family.card_of(family.variants[0])
            return name, is_available(weights_card(name))
        card = default_card(family.name)
    except WeightsError as error:
        return str(error), False
    return (card.name, is_available(card)) if card is not None else ("", False)


def _cell(value: object) -> str:
    return "–" if value is None else str(value)


KINDS: dict[str, Callable[[ListSettings], Listing]] = {"tasks": tasks, "models": models, "runs": runs}
"""Functions of `f2vbench list <kind>`."""
