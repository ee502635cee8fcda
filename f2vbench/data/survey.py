"""Survey of a data set before a run: all findings are collected, none raises an error."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pandas import DataFrame, Series

from f2vbench.data.duplicates import exact_duplicates
from f2vbench.data.file_facts import add_file_facts
from f2vbench.data.index import survey_index
from f2vbench.data.label_classes import SEPARATOR
from f2vbench.data.near_duplicates import MIN_CORRELATION, near_duplicate_pairs
from f2vbench.data.numeric_labels import problems_of_labels, strata
from f2vbench.data.splits import (
    DIVIDED,
    SPLIT_NAMES,
    SPLIT_WORDS,
    SPLITS,
    apply_split_word,
    assign_splits,
    divided_patients,
    read_split,
    resolve_split,
)
from f2vbench.data.task_cards import TaskCard
from f2vbench.errors import DataError
from f2vbench.utils.progress import Progress
from f2vbench.utils.text import plural

Severity = Literal["error", "warning", "note"]
SplitOrigin = Literal["official", "random", "file"]
_ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}

# What follows if a split has no image of a class.
_CONSEQUENCES = {
    "train": "models can't learn it, and only zero-shot units can run",
    "val": "the best epoch is selected without it",
    "test": "its scores are missing values",
}


@dataclass(frozen=True)
class Finding:
    """One finding of a survey.

    Attributes:
        severity: An error prevents a run, a warning should be checked, a note states an assumption.
        kind: missing, extra, label, unlabelled, file, duplicate, near-duplicate, patient, class, count or assumption.
        image: Image id, or "" if the finding is not about single images; several ids are joined by ";".
        detail: The sentence for the user.
    """

    severity: Severity
    kind: str
    image: str
    detail: str


@dataclass(frozen=True)
class Survey:
    """A data set with its findings.

    Attributes:
        card: The task card.
        folder: The folder of the data set.
        index: One row per image with the columns of `f2vbench.data.file_facts.add_file_facts`.
        findings: Errors first, then warnings and notes.
        splits: The split of every image by id, if the data set has or needs one, else None.
        split_origin: Whether the split is official, random (drawn), or read from a file.
    """

    card: TaskCard
    folder: Path
    index: DataFrame
    findings: list[Finding]
    splits: Series | None
    split_origin: SplitOrigin

    @property
    def is_usable(self) -> bool:
        """Whether no error prevents a run."""
        return not any(finding.severity == "error" for finding in self.findings)

    @property
    def is_owner_structure(self) -> bool:
        """Whether the folder has the owner's structure, not RETFound's."""
        return bool(self.index.attrs.get("variant", "owner") == "owner")

    @property
    def classes(self) -> list[str]:
        """Class names in the order of the card; without classes on the card, those in the data (of numbers, ranges)."""
        if self.card.classes or self.card.mask_classes:
            return [each.name for each in (self.card.classes or self.card.mask_classes)]
        return sorted(_classes_in(strata(self.index)))

    def counts(self) -> dict[str, dict[str, int]]:
        """Number of images by class (and ``all classes``), then by split (and ``all``)."""
        in_split: dict[str, np.ndarray] = {"all": np.ones(len(self.index), bool)}
        if self.splits is not None:
            image_splits = self.index["image"].map(self.splits)
            in_split |= {split: (image_splits == split).to_numpy() for split in SPLITS}
        in_class: dict[str, np.ndarray] = {}
        if self.card.family in DIVIDED:
            labels = strata(self.index)
            in_class = {name: _has_class(labels, name) for name in self.classes}
        if self.card.mask_classes:
            in_class = {name: _has_class(self.index["present"], name) for name in self.classes}
        in_class["all classes"] = in_split["all"]
        return {
            name: {split: int(np.count_nonzero(rows & selected)) for split, selected in in_split.items()}
            for name, rows in in_class.items()
        }


def survey(
    card: TaskCard,
    folder: Path,
    *,
    split: Path | None = None,
    seed: int = 0,
    alike: float = MIN_CORRELATION,
    progress: Progress | None = None,
) -> Survey:
    """Read a data set and collect everything that is wrong, missing, duplicated or unexpected.

    Args:
        card: The task card.
        folder: The folder of the data set.
        split: A split file that replaces the card's split, or "official" or "random".
        seed: Seed index of a random split.
        alike: Correlation above which photographs are near-duplicates; 1 skips the search.
        progress: Receives the files that are read, if there are many.

    Raises:
        DataError: The folder lacks the files of the layout, or a table or the split file is unreadable.
        SettingsError: The card has options that the layout does not have.
    """
    index, problems = survey_index(card, folder)
    if index.empty:
        raise DataError(f"{folder}: no image of {card.name} found")
    index = add_file_facts(index, progress)
    findings = [*_index_findings(index, problems, card), *_file_problems(index)]
    if split is not None and str(split) in SPLIT_WORDS:
        card, index = apply_split_word(card, index, str(split))
        split = None
    resolved = resolve_split(card, index)
    origin: SplitOrigin = "official" if resolved.split == "official" else "random"
    if split is not None:
        index = index.assign(split=index["image"].map(read_split(split, index, card.name)))
        resolved, origin = card.model_copy(update={"split": "official"}), "file"
    findings += _duplicates(index, card, origin)
    if origin != "random":
        findings += _divided_patients(index)
    findings += _near_duplicates(index, alike)
    splits = None
    if card.family in DIVIDED:
        findings += [Finding("error", "label", "", problem) for problem in problems_of_labels(index)]
        try:
            splits = assign_splits(index, resolved, seed)
        except DataError as error:
            findings += [Finding("error", "patient", "", problem) for problem in error.problems]
    findings += _unexpected_counts(index, card)
    if splits is not None and card.family == "classification":
        findings += _absent_classes(index, splits)
    findings.sort(key=lambda finding: _ORDER[finding.severity])
    return Survey(card, folder, index, findings, splits, origin)


def summarize_findings(findings: list[Finding], most: int = 3) -> list[tuple[str, str, str]]:
    """Findings for a terminal: (severity, kind, sentence).

    Notes on single images are left out, because another note summarizes them.

    Args:
        findings: All findings.
        most: Number of findings of each severity and kind; the others are counted in one more row.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for finding in findings:
        if finding.severity == "note" and finding.image:
            continue
        groups.setdefault((finding.severity, finding.kind), []).append(finding.detail)
    rows = []
    for (severity, kind), details in groups.items():
        rows += [(severity, kind, detail) for detail in details[:most]]
        if len(details) > most:
            rows.append((severity, kind, f"… and {len(details) - most} more"))
    return rows


def _has_class(labels: Series, name: str) -> np.ndarray:
    """Whether each label is, or contains, a class; bool (n,)."""
    contains: Mapping[str, bool] = {label: name in label.split(SEPARATOR) for label in labels.unique()}
    selected: np.ndarray = labels.map(contains).to_numpy(bool)
    return selected


def _classes_in(labels: Series) -> set[str]:
    return {name for label in labels.unique() for name in label.split(SEPARATOR)} - {""}


def _index_findings(index: DataFrame, problems: list[str], card: TaskCard) -> Iterator[Finding]:
    for sentence in index.attrs.get("missing", []):
        yield Finding("error" if card.absent == "refuse" else "warning", "missing", "", sentence)
    for problem in problems:
        yield Finding("error", "label", "", problem)
    for path in index.attrs.get("extra", []):
        yield Finding("warning", "extra", "", f"{path}: no label file lists this image")
    for image in index.attrs.get("unlabelled", []):
        yield Finding(
            "error" if card.unlabelled == "refuse" else "note", "unlabelled", image, f"image {image} has no label"
        )
    warnings = index.attrs.get("warnings", [])
    for note in index.attrs.get("notes", []):
        yield Finding("warning" if note in warnings else "note", "assumption", "", note)


def _file_problems(index: DataFrame) -> Iterator[Finding]:
    for row in index[index["problem"] != ""].itertuples():
        yield Finding("error", "file", str(row.image), str(row.problem))
    for row in index[index["warning"] != ""].itertuples():
        yield Finding("warning", "file", str(row.image), str(row.warning))


def _duplicates(index: DataFrame, card: TaskCard, origin: SplitOrigin) -> Iterator[Finding]:
    for rows in exact_duplicates(index):
        conflicts = ["of different patients"] if rows["patient"].nunique() > 1 else []
        conflicts += ["in different splits"] if origin != "random" and rows["split"].nunique() > 1 else []
        is_error = bool(conflicts) and card.copies == "refuse"
        if "label" in rows and rows["label"].nunique() > 1:
            conflicts.append(f"with different labels ({', '.join(sorted(set(rows['label'])))})")
        detail = ", ".join([f"exact duplicates ({len(rows)} images)", *conflicts]) + f": {', '.join(rows['path'])}"
        yield Finding("error" if is_error else "warning", "duplicate", ";".join(rows["image"]), detail)


def _divided_patients(index: DataFrame) -> Iterator[Finding]:
    for patient, rows in divided_patients(index):
        images = ", ".join(f"{row.image} ({row.split})" for row in rows.itertuples())
        yield Finding("error", "patient", ";".join(rows["image"]), f"patient {patient} is in several splits: {images}")


def _near_duplicates(index: DataFrame, threshold: float) -> Iterator[Finding]:
    """Pairs of colour photographs that are near-duplicates and not exact duplicates."""
    if threshold >= 1:
        return
    rows = index[(index["modality"] == "CF") & ~index.duplicated("sha256")].to_dict("records")
    for pair in near_duplicate_pairs([row["appearance"] for row in rows], threshold):
        first, second = rows[pair.first], rows[pair.second]
        conflicts = f", the second {pair.relation()}" if pair.relation() else ""
        conflicts += ", of different patients" if first["patient"] != second["patient"] else ""
        conflicts += "" if first["split"] == second["split"] else f", in {first['split']} and {second['split']}"
        if first.get("label", "") != second.get("label", ""):
            conflicts += f", with labels {first['label'] or 'none'} and {second['label'] or 'none'}"
        detail = f"near-duplicates (correlation {pair.correlation:.3f}){conflicts}: {first['path']}, {second['path']}"
        yield Finding("warning", "near-duplicate", f"{first['image']};{second['image']}", detail)


def _unexpected_counts(index: DataFrame, card: TaskCard) -> Iterator[Finding]:
    """Numbers of images that differ from the card's, by class and by split."""
    variant = str(index.attrs.get("variant", "owner"))
    for label_class in card.classes:
        in_class = _has_class(index["label"], label_class.name)
        found, expected = int(np.count_nonzero(in_class)), label_class.expected()
        if not found:
            yield Finding("error", "count", "", f"class {label_class.name} has no image")
        elif expected is not None and variant == "owner" and found != expected:
            detail = f"class {label_class.name} has {plural(found, 'image')}, expected {expected}"
            yield Finding("warning", "count", "", detail)
        for split in sorted(label_class.images) if isinstance(label_class.images, dict) and variant == "owner" else ():
            found, expected = int(np.count_nonzero(in_class & (index["split"] == split))), label_class.expected(split)
            if found != expected:
                detail = (
                    f"class {label_class.name} has {plural(found, f'{SPLIT_NAMES[split]} image')}, expected {expected}"
                )
                yield Finding("warning", "count", "", detail)
    for split, expected in card.parts.get(variant, {}).items():
        found = int(np.count_nonzero(index["split"] == split))
        if found != expected:
            detail = f"the {SPLIT_NAMES.get(split, split)} split has {plural(found, 'image')}, expected {expected}"
            yield Finding("warning", "count", "", detail)


def _absent_classes(index: DataFrame, splits: Series) -> Iterator[Finding]:
    """Classes without an image in one of the splits."""
    image_splits = index["image"].map(splits)
    for name in sorted(_classes_in(index["label"])):
        found = set(image_splits[_has_class(index["label"], name)])
        for split, consequence in _CONSEQUENCES.items():
            if split not in found and (split != "train" or "test" in found):
                detail = f"class {name} is not in the {SPLIT_NAMES[split]} split: {consequence}"
                yield Finding("warning", "class", "", detail)
