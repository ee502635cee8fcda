"""The verb `f2vbench data`: what data sets there are, where to get them, whether a copy is sound, how it is divided."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from f2vbench.data.index import find_folder
from f2vbench.data.settings import DataSettings
from f2vbench.data.simulated_data import ensure_simulated
from f2vbench.data.splits import SPLITS, write_split
from f2vbench.data.survey import Finding, Survey, classes_of, has_class, shortlist, survey
from f2vbench.data.task_cards import TaskCard, all_cards, load_card
from f2vbench.data.task_data import open_task
from f2vbench.errors import F2VBenchError, SettingsError, did_you_mean
from f2vbench.utils.files import write_atomically
from f2vbench.utils.progress import Progress
from f2vbench.utils.text import layout

_FORMATS = (".csv", ".json")
_WRAP = 96


def answer(verb: str, settings: DataSettings, progress: Progress) -> tuple[str, bool]:
    """What `f2vbench data <verb>` prints, and whether all that was checked can be run.

    Raises:
        SettingsError, DataError, StoreError: as the functions below.
    """
    if verb == "list":
        return list_text(settings), True
    if verb == "where":
        return where_text(settings), True
    if verb == "split":
        return split(settings, progress), True
    surveys = check(settings, progress)
    written = f"\n\nwritten: {settings.out}" if settings.out is not None else ""
    return "\n\n".join(map(survey_text, surveys)) + written, all(one.sound for one in surveys)


def list_text(settings: DataSettings) -> str:
    """Every task's data set: what it is, how large, how many classes, and where it lies."""
    rows = []
    for name, card in all_cards().items():
        if settings.task is not None and name not in settings.task:
            continue
        if isinstance(card, F2VBenchError):
            rows.append([name, "–", "–", "–", f"damaged card: {card}"])
            continue
        classes = f"{len(card.classes)} {card.label_kind}" if card.classes else "–"
        rows.append([name, card.family, _text(card.images), classes, _place(card, settings)])
    return layout(["task", "family", "images", "classes", "folder"], rows)


def where_text(settings: DataSettings) -> str:
    """Source, terms, citation and way to get the tasks' data, and the folder where they are here."""
    return "\n\n".join(_card_text(load_card(name), settings) for name in _tasks(settings, "where"))


def check(settings: DataSettings, progress: Progress) -> list[Survey]:
    """Survey the tasks' data sets; ``out`` gets every finding.

    Raises:
        SettingsError: no task, an unknown one, or ``out`` is no .csv or .json.
        DataError: a data set is not there, or nothing of its layout is.
    """
    names = _tasks(settings, "check")
    if settings.out is not None and settings.out.suffix.lower() not in _FORMATS:
        raise SettingsError(f"out={settings.out}: findings are written as {' or '.join(_FORMATS)}")
    if settings.split is not None and len(names) > 1:
        raise SettingsError("split: one file for several tasks; check one task at a time")
    surveys = []
    for name in names:
        card = load_card(name)
        folder = _folder(card, settings, progress)
        surveys.append(
            survey(card, folder, split=settings.split, seed=settings.seed, alike=settings.alike, progress=progress)
        )
    if settings.out is not None:
        write_findings(settings.out, surveys)
    return surveys


def split(settings: DataSettings, progress: Progress) -> str:
    """Write the split of one task; a sentence on what was written.

    Raises:
        SettingsError: not one task, or no ``out``.
        DataError: the data can't be used or divided.
    """
    names = _tasks(settings, "split")
    if len(names) != 1 or settings.out is None:
        raise SettingsError("data split writes the split of one task: f2vbench data split task=idrid out=split.csv")
    if settings.out.suffix.lower() != ".csv":
        raise SettingsError(f"out={settings.out}: a split is written as .csv")
    task = open_task(names[0], _given(settings, names[0]), progress, split=settings.split)
    if task.card.family != "classification":
        raise SettingsError(
            f"task={names[0]}: {task.card.family} draws its test images with every unit, not by a split"
        )
    parts = task.parts(settings.seed)
    write_split(settings.out, task.index, parts)
    counts = ", ".join(f"{int((parts == part).sum())} {part}" for part in SPLITS)
    how = "as given" if task.card.split == "official" else f"drawn by patient and class with seed {settings.seed}"
    return f"{settings.out}: {counts} images, {how}; read it with split={settings.out}"


def survey_text(found: Survey) -> str:
    """A survey for the terminal: numbers by class and part, then the findings."""
    index, variant = found.index, found.index.attrs.get("variant", "owner")
    head = (
        f"{found.card.name} · {found.card.title}\n{found.folder}"
        f"{' (RETFound folders)' if variant == 'retfound' else ''}: {_of(len(index), found.card.images)} images of "
        f"{index['patient'].nunique()} patients"
    )
    blocks = [head]
    if found.card.family == "classification":
        blocks.append(_counts_text(found))
    told = shortlist(found.findings)
    if told:
        blocks.append(layout(["", "what", "found"], told, wrap=_WRAP))
    errors = sum(finding.weight == "error" for finding in found.findings)
    blocks.append(f"{errors} errors: mend them before a run" if errors else "no errors: ready to run")
    return "\n\n".join(blocks)


def write_findings(path: Path, surveys: list[Survey]) -> None:
    """Every finding of several surveys as CSV (task, weight, kind, image, detail) or JSON (the same, with counts).

    Raises:
        StoreError: the file can't be written.
    """
    rows = [{"task": one.card.name, **asdict(finding)} for one in surveys for finding in one.findings]
    if path.suffix.lower() == ".json":
        held = {"findings": rows, "counts": {one.card.name: _counts(one) for one in surveys}}
        write_atomically(path, json.dumps(held, indent=1, ensure_ascii=False).encode())
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, ["task", *Finding.__dataclass_fields__], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())


def _counts(found: Survey) -> dict[str, dict[str, int]]:
    """Images by class and part (``all`` for the whole), and of every part in all."""
    index = found.index
    parts = {"all": np.ones(len(index), bool)}
    if found.parts is not None:
        parts |= {part: (index["image"].map(found.parts) == part).to_numpy() for part in SPLITS}
    if found.card.family != "classification":
        return {"all classes": {part: int(there.sum()) for part, there in parts.items()}}
    return {
        name: {part: int((held & there).sum()) for part, there in parts.items()}
        for name, held in [(name, has_class(index["label"], name).to_numpy()) for name in classes_of(found)]
    } | {"all classes": {part: int(there.sum()) for part, there in parts.items()}}


def _counts_text(found: Survey) -> str:
    counts, owner = _counts(found), found.index.attrs.get("variant", "owner") == "owner"
    expected = {one.name: one for one in found.card.classes} if owner else {}
    totals = found.card.parts.get("owner" if owner else "retfound", {})
    rows = []
    for name, numbers in counts.items():
        one = expected.get(name)
        cells = [name, _of(numbers["all"], one.expected() if one else found.card.images if "all " in name else None)]
        for part in SPLITS if found.parts is not None else ():
            given = totals.get(part) if name == "all classes" else one.expected(part) if one else None
            cells.append(_of(numbers[part], None if found.drawn else given))
        rows.append(cells)
    columns = ["class", "images", *(SPLITS if found.parts is not None else ())]
    how = "parts drawn by patient and class" if found.drawn else "parts as given"
    return f"{layout(columns, rows)}\n{how}; found/expected where the card tells a number"


def _card_text(card: TaskCard, settings: DataSettings) -> str:
    rows = [
        ("source", card.source),
        ("terms", card.terms),
        ("citation", card.citation),
        ("to get it", card.obtain),
        ("labels", card.labels),
        ("patients", card.patients or "–"),
        ("images", _text(card.images)),
        *((f"class {one.name}", _meaning(one.meaning, one.expected())) for one in card.classes),
        ("folder names", " or ".join(card.folders) or "–"),
        ("here", _place(card, settings)),
    ]
    return layout([card.name, card.title], rows, wrap=_WRAP)


def _meaning(meaning: str, expected: int | None) -> str:
    return meaning if expected is None else f"{meaning} ({expected} images)"


def _tasks(settings: DataSettings, verb: str) -> list[str]:
    known = [name for name, card in all_cards().items() if isinstance(card, TaskCard)]
    if not settings.task:
        raise SettingsError(f"task: required; f2vbench data {verb} task={known[0]}, or any of {', '.join(known)}")
    if isinstance(settings.data, str) and len(settings.task) > 1:
        raise SettingsError("data: one folder for several tasks; write data.<task>=folder for each")
    for name in settings.data if isinstance(settings.data, dict) else ():
        if name not in settings.task:
            raise SettingsError(f"data.{name}: no such task in this call{did_you_mean(name, settings.task)}")
    return settings.task


def _given(settings: DataSettings, name: str) -> str | None:
    return settings.data.get(name) if isinstance(settings.data, dict) else settings.data


def _folder(card: TaskCard, settings: DataSettings, progress: Progress) -> Path:
    given = _given(settings, card.name)
    if card.phantom is not None and given is None:
        ensure_simulated(card, progress)
    return find_folder(card, given)


def _place(card: TaskCard, settings: DataSettings) -> str:
    try:
        return str(find_folder(card, _given(settings, card.name) if settings.task else None))
    except F2VBenchError:
        return "made on first use" if card.phantom is not None else "not here: f2vbench data where task=" + card.name


def _of(found: int, expected: int | None) -> str:
    return f"{found}" if expected is None else f"{found}/{expected}"


def _text(number: int | None) -> str:
    return "–" if number is None else str(number)
