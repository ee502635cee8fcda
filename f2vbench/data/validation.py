"""Checks that refuse a data set whose scores would be meaningless; all problems are in one error."""

from __future__ import annotations

from pandas import DataFrame

from f2vbench.data.duplicates import exact_duplicates
from f2vbench.data.index import without_label
from f2vbench.data.label_classes import SEPARATOR
from f2vbench.data.numeric_labels import problems_of_labels
from f2vbench.data.splits import divided_patients
from f2vbench.data.task_cards import TaskCard
from f2vbench.errors import DataError
from f2vbench.utils.text import plural, shortened


def check(index: DataFrame, card: TaskCard) -> None:
    """Check a data set before a run.

    Args:
        index: The index with the columns of `f2vbench.data.file_facts.add_file_facts`.
        card: The task card.

    Raises:
        DataError: Unreadable files, masks of another size, empty masks, images without a label, classes without an
            image, the same picture for two patients or in two splits of an official split, patients in several splits
            of an official split. All problems are listed.
    """
    official = card.split == "official"
    problems = [
        *(str(problem) for problem in index["problem"] if problem),
        *_unlabelled_images(index, card),
        *_absent_classes(index, card),
        *_duplicates(index, official),
        *(_divided_patients(index) if official else []),
    ]
    if problems:
        raise DataError([f"{card.name}: {problem}" for problem in problems])


def _unlabelled_images(index: DataFrame, card: TaskCard) -> list[str]:
    paths = index.loc[without_label(index, card), "path"]
    if paths.empty:
        return []
    return [
        f"{plural(len(paths), 'photograph')} without a label: {shortened(paths.tolist())}: add the labels, or leave "
        "these images out with `unlabelled: leave-out` in the task card"
    ]


def _absent_classes(index: DataFrame, card: TaskCard) -> list[str]:
    """Classes of the card without an image: means over classes are not comparable. Numbers that are all equal."""
    classes = [each.name for each in (card.classes or card.mask_classes)]
    if not classes:
        return problems_of_labels(index)
    labels = index["label" if card.classes else "present"].unique()
    found = {name for label in labels for name in label.split(SEPARATOR)}
    absent = [name for name in classes if name not in found]
    if not absent:
        return []
    return [
        f"no image of the class {shortened(absent)}: the data has {len(classes) - len(absent)} of the "
        f"{len(classes)} classes of the task: add images, or write a task card with these classes only"
    ]


def _duplicates(index: DataFrame, official: bool) -> list[str]:
    """Pictures that a draw could put into both the support and the test set."""
    problems = []
    for rows in exact_duplicates(index):
        across_patients = rows["patient"].nunique() > 1
        across_splits = official and rows["split"].nunique() > 1
        if across_patients or across_splits:
            where = "for different patients" if across_patients else "in different splits"
            problems.append(
                f"the same picture occurs {len(rows)} times {where}: {', '.join(rows['path'])}: keep one of them, "
                "assign all to one patient and one split, or set `copies: join` in the task card"
            )
    return problems


def _divided_patients(index: DataFrame) -> list[str]:
    problems = []
    for patient, rows in divided_patients(index):
        images = ", ".join(f"{row.image} ({row.split})" for row in rows.itertuples())
        problems.append(
            f"patient {patient} is in several splits of the official split: {images}: move these images to one split, "
            "or set `split: random` in the card"
        )
    return problems
