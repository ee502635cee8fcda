"""The verb `f2vbench data`: which data sets there are, where to get them, whether a copy is usable, and its split."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from f2vbench.data.field_drawings import draw_fields
from f2vbench.data.index import find_folder
from f2vbench.data.settings import DataSettings
from f2vbench.data.simulated_data import ensure_simulated
from f2vbench.data.splits import DIVIDED, SPLIT_COLUMNS, SPLIT_NAMES, SPLITS, write_split
from f2vbench.data.survey import Survey, summarize_findings, survey
from f2vbench.data.task_cards import TaskCard, all_cards, load_card
from f2vbench.data.task_data import open_task
from f2vbench.errors import F2VBenchError, SettingsError, did_you_mean
from f2vbench.utils.existing_outputs import check_output_file, has_first_line
from f2vbench.utils.files import write_atomically
from f2vbench.utils.progress import Progress
from f2vbench.utils.text import layout, plural

_FORMATS = (".csv", ".json")
_WRAP = 96
_COLUMNS = ("task", "weight", "kind", "image", "detail")
"""Columns of a file of findings; ``weight`` is the severity."""

_ORIGINS = {
    "official": "official split",
    "random": "random split by patient, stratified by class",
    "file": "split from the file",
}


def answer(verb: str, settings: DataSettings, progress: Progress) -> tuple[str, bool]:
    """Run `f2vbench data <verb>`.

    Args:
        verb: list, where, check or split.
        settings: The settings of the verb.
        progress: Receives messages while data is simulated or read.

    Returns:
        The text to print, and whether all checked data sets are usable.

    Raises:
        SettingsError: The settings do not fit the verb.
        DataError: A data set is missing or unusable.
        StoreError: The output file is not writable.
    """
    if verb == "list":
        return list_text(settings), True
    if verb == "where":
        return where_text(settings), True
    if verb == "split":
        return split(settings, progress), True
    surveys = check(settings, progress)
    written = f"\n\nwritten: {settings.out}" if settings.out is not None else ""
    return "\n\n".join(map(survey_text, surveys)) + written, all(found.is_usable for found in surveys)


def list_text(settings: DataSettings) -> str:
    """A table of the tasks' data sets: family, number of images and classes, and folder."""
    rows = []
    cards = {name: card for name, card in all_cards().items() if settings.task is None or name in settings.task}
    if settings.format == "json":
        return json.dumps([_card_entry(name, card, settings) for name, card in cards.items()], indent=1)
    for name, card in cards.items():
        if isinstance(card, F2VBenchError):
            rows.append([name, "–", "–", "–", f"invalid card: {card}"])
            continue
        kind = "multi-label" if card.label_kind == "multilabel" else card.label_kind
        classes = f"{len(card.classes)} {kind}" if card.classes else card.unit or "–"
        classes = f"{len(card.mask_classes)}" if card.mask_classes else classes
        rows.append([name, card.family, _number(card.images), classes, _location(card, settings)])
    table = layout(["task", "family", "images", "classes", "folder"], rows)
    return f"{table}\nterms and download of a data set: f2vbench data where task=<task>"


def where_text(settings: DataSettings) -> str:
    """Source, terms, citation and download of the tasks' data sets, and their folders."""
    cards = [load_card(name) for name in _tasks(settings, "where")]
    if settings.format == "json":
        return json.dumps([_card_entry(card.name, card, settings) for card in cards], indent=1, ensure_ascii=False)
    return "\n\n".join(_card_text(card, settings) for card in cards)


def check(settings: DataSettings, progress: Progress) -> list[Survey]:
    """Survey the tasks' data sets, and write all findings to ``out``.

    Args:
        settings: The settings of the verb.
        progress: Receives messages while data is simulated or read.

    Raises:
        SettingsError: No task, an unknown task, or ``out`` has another suffix than .csv and .json.
        DataError: A data set is missing, or lacks the files of its layout.
    """
    names = _tasks(settings, "check")
    if settings.out is not None and settings.out.suffix.lower() not in _FORMATS:
        raise SettingsError(f"out={settings.out}: use the suffix {' or '.join(_FORMATS)}")
    if settings.out is not None:
        is_own = _is_findings if settings.out.suffix.lower() == ".json" else has_first_line(",".join(_COLUMNS))
        check_output_file(settings.out, "out", is_own)
    if settings.split is not None and len(names) > 1:
        raise SettingsError("split: a split file belongs to one task; check one task at a time")
    surveys = []
    for name in names:
        card = load_card(name)
        folder = _folder(card, settings, progress)
        surveys.append(
            survey(card, folder, split=settings.split, seed=settings.seed, alike=settings.alike, progress=progress)
        )
    if settings.out is not None:
        write_findings(settings.out, surveys)
    if settings.fields is not None:
        for found in surveys:
            draw_fields(found.index, settings.fields / found.card.name if len(surveys) > 1 else settings.fields)
    return surveys


def split(settings: DataSettings, progress: Progress) -> str:
    """Write the split of one task to a file, and return a summary.

    Args:
        settings: The settings of the verb.
        progress: Receives messages while data is simulated or read.

    Raises:
        SettingsError: No task or several tasks, no ``out``, or a task without a split.
        DataError: The data set is unusable.
    """
    names = _tasks(settings, "split")
    if len(names) != 1 or settings.out is None:
        raise SettingsError("data split needs one task and a file: f2vbench data split task=idrid out=split.csv")
    if settings.out.suffix.lower() != ".csv":
        raise SettingsError(f"out={settings.out}: use the suffix .csv")
    check_output_file(settings.out, "out", has_first_line(",".join(SPLIT_COLUMNS)))
    task = open_task(names[0], _data_of(settings, names[0]), progress, split=settings.split)
    if task.card.family not in DIVIDED:
        raise SettingsError(
            f"task={names[0]}: only {', '.join(DIVIDED)} have a split; {task.card.family} draws test images in each "
            "unit"
        )
    splits = task.splits(settings.seed)
    write_split(settings.out, task.index, splits)
    counts = ", ".join(f"{int((splits == name).sum()):,} {SPLIT_NAMES[name]}" for name in SPLITS)
    if settings.split is not None:
        origin = f"read from {settings.split}"
    elif task.card.split == "official":
        origin = _ORIGINS["official"]
    else:
        origin = f"{_ORIGINS['random']}, seed {settings.seed}"
    return f"{settings.out}: {counts} images ({origin}); use it with split={settings.out}"


def survey_text(found: Survey) -> str:
    """A survey as text: number of images by class and split, then the findings."""
    index = found.index
    structure = "" if found.is_owner_structure else " (RETFound folders)"
    blocks = [
        f"{found.card.name} · {found.card.title}\n{found.folder}{structure}: "
        f"{_images_of(len(index), found.card.images)}, {plural(index['patient'].nunique(), 'patient')}"
    ]
    if found.card.family in DIVIDED:
        blocks.append(_counts_text(found))
    findings = summarize_findings(found.findings)
    if findings:
        blocks.append(layout(["severity", "kind", "finding"], findings, wrap=_WRAP))
    errors = sum(finding.severity == "error" for finding in found.findings)
    them = "it" if errors == 1 else "them"
    blocks.append(f"{plural(errors, 'error')}: correct {them} before a run" if errors else "no errors: ready to run")
    return "\n\n".join(blocks)


def write_findings(path: Path, surveys: list[Survey]) -> None:
    """Write all findings of several surveys.

    Args:
        path: A .csv file (columns task, weight, kind, image, detail), or a .json file (also with the counts).
        surveys: The surveys.

    Raises:
        StoreError: The file is not writable.
    """
    rows = [
        dict(
            zip(
                _COLUMNS,
                (found.card.name, finding.severity, finding.kind, finding.image, finding.detail),
                strict=True,
            )
        )
        for found in surveys
        for finding in found.findings
    ]
    if path.suffix.lower() == ".json":
        content = {"findings": rows, "counts": {found.card.name: found.counts() for found in surveys}}
        write_atomically(path, json.dumps(content, indent=1, ensure_ascii=False).encode())
        return
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomically(path, text.getvalue().encode())


def _is_findings(file: Path) -> bool:
    """Whether a JSON file holds findings of `data check`."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        return False
    return isinstance(content, dict) and content.keys() == {"findings", "counts"}


def _counts_text(found: Survey) -> str:
    """Images by class and split, each with the number that the card expects."""
    by_name = {label_class.name: label_class for label_class in found.card.classes}
    split_totals = found.card.parts.get("owner" if found.is_owner_structure else "retfound", {})
    splits = SPLITS if found.splits is not None else ()
    rows = []
    for name, numbers in found.counts().items():
        label_class = by_name.get(name) if found.is_owner_structure else None
        expected: dict[str, int | None] = {"all": label_class.expected() if label_class else None}
        if name == "all classes":
            expected = {"all": found.card.images, **split_totals}
        elif label_class is not None:
            expected |= {split_name: label_class.expected(split_name) for split_name in splits}
        if found.split_origin != "official":
            expected = {"all": expected["all"]}
        rows.append([name, *(_of_expected(numbers[column], expected.get(column)) for column in ("all", *splits))])
    table = layout(["class", "images", *splits], rows)
    legend = "; found/expected number of images" if "/" in table else ""
    return f"{table}\n{_ORIGINS[found.split_origin]}{legend}"


def _card_entry(name: str, card: TaskCard | F2VBenchError, settings: DataSettings) -> dict[str, Any]:
    """Keys of a card and the folder of its data, JSON-serialisable; or why the card is invalid."""
    if isinstance(card, F2VBenchError):
        return {"name": name, "problem": str(card)}
    return card.model_dump(mode="json") | {"folder": _location(card, settings)}


def _card_text(card: TaskCard, settings: DataSettings) -> str:
    rows = [
        ("source", card.source),
        ("terms", card.terms),
        ("citation", card.citation),
        ("how to get it", card.obtain),
        ("labels", card.labels),
        ("patients", card.patients or "–"),
        ("images", _number(card.images)),
        *([("unit", card.unit)] if card.unit else []),
        *((f"class {entry.name}", _meaning(entry.meaning, entry.expected())) for entry in card.classes),
        *((f"class {entry.name}", entry.meaning or "–") for entry in card.mask_classes),
        ("folder names", " or ".join(card.folders) or "–"),
        ("folder", _location(card, settings)),
    ]
    return layout([card.name, card.title], rows, wrap=_WRAP)


def _meaning(meaning: str, expected: int | None) -> str:
    return meaning if expected is None else f"{meaning} ({plural(expected, 'image')})"


def _tasks(settings: DataSettings, verb: str) -> list[str]:
    known = [name for name, card in all_cards().items() if isinstance(card, TaskCard)]
    if not settings.task:
        raise SettingsError(f"task: required; f2vbench data {verb} task={known[0]}, or any of {', '.join(known)}")
    if isinstance(settings.data, str) and len(settings.task) > 1:
        raise SettingsError("data: one folder for several tasks; set data.<task>=folder for each")
    for name in settings.data if isinstance(settings.data, dict) else ():
        if name not in settings.task:
            raise SettingsError(f"data.{name}: not among the tasks of this command{did_you_mean(name, settings.task)}")
    return settings.task


def _data_of(settings: DataSettings, task: str) -> str | None:
    return settings.data.get(task) if isinstance(settings.data, dict) else settings.data


def _folder(card: TaskCard, settings: DataSettings, progress: Progress) -> Path:
    data = _data_of(settings, card.name)
    if card.phantom is not None and data is None:
        ensure_simulated(card, progress)
    return find_folder(card, data)


def _location(card: TaskCard, settings: DataSettings) -> str:
    """The folder of a data set, or why there is none."""
    try:
        return str(find_folder(card, _data_of(settings, card.name) if settings.task else None))
    except F2VBenchError:
        if card.phantom is not None:
            return "simulated on first use"
        return "not found" if card.folders else "set data=<folder>"


def _images_of(found: int, expected: int | None) -> str:
    return plural(found, "image") if expected is None else f"{found:,} of {plural(expected, 'image')}"


def _of_expected(found: int, expected: int | None) -> str:
    return f"{found}" if expected is None else f"{found}/{expected}"


def _number(number: int | None) -> str:
    return "–" if number is None else str(number)
