"""All that can be found out about a data set before anything is run on it, told rather than refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pandas import DataFrame, Series

from f2vbench.data.file_facts import add_file_facts
from f2vbench.data.index import survey_index
from f2vbench.data.label_classes import SEPARATOR
from f2vbench.data.near_duplicates import near_duplicate_pairs
from f2vbench.data.splits import assign_splits, read_split, resolve_split
from f2vbench.data.task_cards import TaskCard
from f2vbench.errors import DataError
from f2vbench.utils.progress import Progress

Weight = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Finding:
    """One thing found.

    Attributes:
        weight: an error keeps the task from being run, a warning deserves a look, a note tells an assumption.
        kind: missing, extra, label, unlabelled, unreadable, duplicate, alike, patient, class, count or assumption.
        image: id, "" where no single image is meant; several are joined by ";".
        detail: the sentence for the user.
    """

    weight: Weight
    kind: str
    image: str
    detail: str


@dataclass(frozen=True)
class Survey:
    """A data set as found.

    Attributes:
        index: described as `f2vbench.data.file_facts.describe` does.
        parts: part of every image by id where the set is divided or can be, else None.
        drawn: whether the parts were drawn, not given.
    """

    card: TaskCard
    folder: Path
    index: DataFrame
    findings: list[Finding]
    parts: Series | None
    drawn: bool

    @property
    def sound(self) -> bool:
        """Whether nothing keeps the task from being run."""
        return not any(finding.weight == "error" for finding in self.findings)


def survey(
    card: TaskCard,
    folder: Path,
    *,
    split: Path | None = None,
    seed: int = 0,
    alike: float = 0.95,
    progress: Progress | None = None,
) -> Survey:
    """Read all of a data set and collect what is wrong, missing, doubled or unexpected.

    Args:
        split: a file to take the parts from, in place of the card's split.
        seed: of the split that is drawn where none is given.
        alike: correlation above which photographs are told as alike; 1 leaves this out.

    Raises:
        DataError, SettingsError: nothing of the layout is in the folder, or a table or the split can't be read.
    """
    index, problems = survey_index(card, folder)
    if index.empty:
        raise DataError(f"{folder}: no image of {card.name} is there")
    index = add_file_facts(index, progress)
    findings = [*_of_the_index(index, problems, card), *_unreadable(index)]
    given = resolve_split(card, index).split == "official"
    if split is not None:
        index = index.assign(split=index["image"].map(read_split(split, index, card.name)))
        given = True
    findings += [*_duplicates(index, card, given), *_divided_patients(index, given)]
    findings += _alike(index, alike)
    parts = None
    if card.family == "classification":
        chosen = card.model_copy(update={"split": "official"}) if split is not None else card
        try:
            parts = assign_splits(index, chosen, seed)
        except DataError as error:
            findings += [Finding("error", "patient", "", problem) for problem in error.problems]
    findings += [*_counts(index, card), *_unbalanced_parts(index, parts)]
    order = {"error": 0, "warning": 1, "note": 2}
    findings.sort(key=lambda finding: order[finding.weight])
    return Survey(card, folder, index, findings, parts, drawn=not given)


def classes_of(survey: Survey) -> list[str]:
    """Names of the classes in the card's order, or as found."""
    if survey.card.classes:
        return [one.name for one in survey.card.classes]
    return sorted({one for label in survey.index["label"] for one in label.split(SEPARATOR)} - {""})


def has_class(labels: Series, name: str) -> Series:
    """Which labels are, or contain, a class; bool."""
    return labels.map({label: name in label.split(SEPARATOR) for label in labels.unique()}).astype(bool)


def _of_the_index(index: DataFrame, problems: list[str], card: TaskCard) -> Iterator[Finding]:
    for sentence in index.attrs.get("missing", []):
        yield Finding("error" if card.absent == "refuse" else "warning", "missing", "", sentence)
    for problem in problems:
        if "listed images are not there" not in problem:  # told one by one above
            yield Finding("error", "label", "", problem)
    for path in index.attrs.get("extra", []):
        yield Finding("warning", "extra", "", f"{path}: no label file lists this image")
    refused = card.unlabelled == "refuse"
    for image in index.attrs.get("unlabelled", []):
        yield Finding("error" if refused else "note", "unlabelled", image, f"{image} has no label")
    for note in index.attrs.get("notes", []):
        yield Finding("note", "assumption", "", note)


def _unreadable(index: DataFrame) -> Iterator[Finding]:
    for row in index[index["problem"] != ""].itertuples():
        yield Finding("error", "unreadable", str(row.image), str(row.problem))


def _duplicates(index: DataFrame, card: TaskCard, given: bool) -> Iterator[Finding]:
    readable = index[index["sha256"] != ""]
    for _, same in readable[readable.duplicated("sha256", keep=False)].groupby("sha256", sort=False):
        told = ["of different patients"] if same["patient"].nunique() > 1 else []
        told += ["in different parts"] if given and same["split"].nunique() > 1 else []
        serious = bool(told) and card.copies == "refuse"
        if "label" in same and same["label"].nunique() > 1:
            told.append(f"with different labels ({', '.join(sorted(set(same['label'])))})")
        detail = f"the same picture {len(same)} times{', ' if told else ''}{', '.join(told)}: {', '.join(same['path'])}"
        yield Finding("error" if serious else "warning", "duplicate", ";".join(same["image"]), detail)


def _divided_patients(index: DataFrame, given: bool) -> Iterator[Finding]:
    if not given:
        return
    divided = index[index["split"] != ""]
    parts = divided.groupby("patient")["split"].nunique()
    for patient, images in divided[divided["patient"].isin(parts[parts > 1].index)].groupby("patient"):
        names = ", ".join(f"{row.image} ({row.split})" for row in images.itertuples())
        yield Finding("error", "patient", ";".join(images["image"]), f"patient {patient} is in several parts: {names}")


def _alike(index: DataFrame, threshold: float) -> Iterator[Finding]:
    """Pairs that look the same and are not the same pixels (those are duplicates already)."""
    if threshold >= 1:
        return
    # Of identical pictures one is enough.
    single = index[~index.duplicated("sha256") & (index["modality"] == "CF")].to_dict("records")
    for one, other, likeness in near_duplicate_pairs([row["appearance"] for row in single], threshold):
        first, second = single[one], single[other]
        told = "" if first["patient"] == second["patient"] else ", of different patients"
        told += "" if first["split"] == second["split"] else f", in {first['split']} and {second['split']}"
        if first.get("label", "") != second.get("label", ""):
            told += f", labelled {first['label']} and {second['label']}"
        detail = f"alike (correlation {likeness:.3f}){told}: {first['path']}, {second['path']}"
        yield Finding("warning", "alike", f"{first['image']};{second['image']}", detail)


def _counts(index: DataFrame, card: TaskCard) -> Iterator[Finding]:
    """Numbers other than the card's, by class and by part."""
    owner = index.attrs.get("variant", "owner") == "owner"
    for one in card.classes:
        here = has_class(index["label"], one.name)
        found = int(np.count_nonzero(here))
        expected = one.expected()
        if not found:
            yield Finding("error", "count", "", f"class {one.name} has no image")
        elif expected is not None and owner and found != expected:
            yield Finding("warning", "count", "", f"class {one.name} has {found} images, expected {expected}")
        for part in sorted(one.images) if isinstance(one.images, dict) and owner else ():
            there = int(np.count_nonzero(here & (index["split"] == part)))
            if there != one.expected(part):
                sentence = f"class {one.name} has {there} {part} images, expected {one.expected(part)}"
                yield Finding("warning", "count", "", sentence)
    for part, expected in card.parts.get(str(index.attrs.get("variant", "owner")), {}).items():
        there = int(np.count_nonzero(index["split"] == part))
        if there != expected:
            yield Finding("warning", "count", "", f"the {part} part has {there} images, expected {expected}")


def _unbalanced_parts(index: DataFrame, parts: Series | None) -> Iterator[Finding]:
    """Classes that a part has none of: not to be learnt, not to be chosen by, or not to be scored."""
    if parts is None:
        return
    place = index["image"].map(parts)
    consequence = {
        "train": "nothing can be learnt of it, and units other than zero-shot are refused",
        "val": "the best epoch is chosen without it",
        "test": "its scores are missing values",
    }
    for name in sorted({one for label in index["label"].unique() for one in label.split(SEPARATOR)} - {""}):
        here = set(place[has_class(index["label"], name)])
        for part, what in consequence.items():
            if part not in here and (part != "train" or "test" in here):
                yield Finding("warning", "class", "", f"class {name} is not in the {part} part: {what}")


def shortlist(findings: list[Finding], most: int = 3) -> list[tuple[str, str, str]]:
    """(weight, kind, sentence) for a terminal: at most so many of a kind, then how many more there are.

    Notes on single images are left out: an assumption tells of all of them.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for finding in findings:
        if finding.weight == "note" and finding.image:
            continue
        groups.setdefault((finding.weight, finding.kind), []).append(finding.detail)
    told = []
    for (weight, kind), details in groups.items():
        told += [(weight, kind, detail) for detail in details[:most]]
        if len(details) > most:
            told.append((weight, kind, f"… and {len(details) - most} more"))
    return told
