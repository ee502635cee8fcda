"""`f2vbench list`: tasks, models and runs as tables for the terminal."""

from __future__ import annotations

import time

from f2vbench.adapters.registry import ADAPTERS, adapter_for
from f2vbench.cli.settings import ListSettings
from f2vbench.data.index import find_folder
from f2vbench.data.task_cards import all_cards
from f2vbench.encoders.generator_weights import embedding_width
from f2vbench.encoders.model_argument import POOLINGS, parse_model
from f2vbench.encoders.model_family import ModelFamily
from f2vbench.encoders.registry import known_families
from f2vbench.errors import F2VBenchError, WeightsError
from f2vbench.pretrained.weights_cards import default_card, model_cards
from f2vbench.store.runs import runs_below
from f2vbench.utils.text import layout


def tasks(_: ListSettings) -> str:
    """Table of task cards with the folder of their data, and the protocols of each task family."""
    rows = []
    for name, card in all_cards().items():
        if isinstance(card, F2VBenchError):
            rows.append([name, "–", f"damaged card: {card}", ""])
            continue
        try:
            folder = str(find_folder(card, None))
        except F2VBenchError:
            folder = "not found: give data=<folder>" if card.phantom is None else "simulated on first use"
        rows.append([name, card.family, card.title, folder])
    protocols = [f"  {name}: {', '.join(adapter_for(name).protocols)}" for name in ADAPTERS]
    table = layout(["task", "family", "data set", "folder"], rows)
    return "\n".join([table, "", "protocols of each task family:", *protocols])


def models(_: ListSettings) -> str:
    """Table of model families with embedding width and default weights, then weights cards; variants below it."""
    known = known_families()
    families = known.values()
    rows = [[family.name, family.description, _width(family), _default_weights(family)] for family in families]
    rows += [
        [card.name, card.title, _width(known.get((card.family or "").partition(":")[0]), card.name), card.file]
        for card in model_cards()
    ]
    variants = [
        f"  {', '.join(f'{family.name}:{variant}' for variant in family.variants)}"
        for family in families
        if len(family.variants) > 1
    ]
    return "\n".join(
        [
            layout(["model", "description", "width", "default weights"], rows),
            "",
            "variants, the default first:",
            *variants,
            "other weights: <model>:<weights file>, <model>:hf://owner/name, or <model>:untrained",
        ]
    )


def _width(family: ModelFamily | None, card: str = "") -> str:
    """Length of an embedding: of a generator that of the weights, which decide its shape, or of the published shape.

    Args:
        family: The family; None where the package that adds it is not installed.
        card: Name of a weights card of the family; by default its default weights.
    """
    if family is None or family.generator is None:
        return "–" if family is None or card else str(family.width or "–")
    try:
        return str(embedding_width(parse_model(card or family.name)))
    except WeightsError:  # of a card whose file is absent or damaged, or of a family without a card
        return "–" if card else str(family.generator.embedding_width(POOLINGS[0]))


def _default_weights(family: ModelFamily) -> str:
    """Name of the weights card that is used when the model argument names no weights, or where the weights are."""
    if family.default_weights == "released":
        return family.card_of(family.variants[0])
    if family.default_weights == "hub":
        return "Hugging Face Hub"
    try:
        card = default_card(family.name)
    except WeightsError as error:
        return str(error)
    return card.name if card is not None else ""


def runs(settings: ListSettings) -> str:
    """Table of run folders, the latest first."""
    rows = [
        [str(folder), str(units), time.strftime("%Y-%m-%d %H:%M", time.localtime(changed))]
        for folder, units, changed in runs_below(settings.root)
    ]
    return layout(["run", "units", "last change"], rows) if rows else f"no run in {settings.root}"


KINDS = {"tasks": tasks, "models": models, "runs": runs}
"""Functions of `f2vbench list <kind>`."""
