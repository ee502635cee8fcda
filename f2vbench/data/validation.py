"""Whether a data set can be trusted with a benchmark: all that is wrong, in one error."""

from __future__ import annotations

from pandas import DataFrame

from f2vbench.data.index import without_label
from f2vbench.data.label_classes import SEPARATOR
from f2vbench.data.task_cards import TaskCard
from f2vbench.errors import DataError
from f2vbench.utils.text import shortened


def check(described: DataFrame, card: TaskCard) -> None:
    """Refuse a data set whose scores would mean nothing.

    Args:
        described: the index with the columns that `f2vbench.data.file_facts.describe` adds.

    Raises:
        DataError: one error with every problem, by file: files that can't be read, sizes that differ, empty
            labels, images without a label, classes without an image, the same picture under two patients or on both
            sides of an official split, and patients on both sides of an official split.
    """
    problems = [
        *(str(problem) for problem in described["problem"] if problem),
        *_without_label(described, card),
        *_without_image(described, card),
        *_duplicates(described, official=card.split == "official"),
        *(_patients_on_both_sides(described) if card.split == "official" else []),
    ]
    if problems:
        raise DataError([f"{card.name}: {problem}" for problem in problems])


def _without_label(described: DataFrame, card: TaskCard) -> list[str]:
    bare = described.loc[without_label(described, card), "path"]
    if bare.empty:
        return []
    return [
        f"photographs without a label: {shortened(bare.tolist())}: add the labels, or leave these images out with "
        "`unlabelled: leave-out` in the task card"
    ]


def _without_image(described: DataFrame, card: TaskCard) -> list[str]:
    """Classes of the card that are not there: their scores could not be computed, and means would not compare."""
    if not card.classes:
        return []
    found = {one for label in described["label"].unique() for one in label.split(SEPARATOR)}
    absent = [one.name for one in card.classes if one.name not in found]
    if not absent:
        return []
    return [
        f"no image of the class {shortened(absent)}: the task has {len(card.classes)} classes, here are "
        f"{len(card.classes) - len(absent)}; add the images, or make a card of your own with the classes that are there"
    ]


def _duplicates(described: DataFrame, official: bool) -> list[str]:
    """The same pixels under two patients would put one picture on both sides of a draw."""
    problems = []
    readable = described[described["sha256"] != ""]
    for _, same in readable.groupby("sha256", sort=False):
        across_patients = same["patient"].nunique() > 1
        across_halves = official and same["split"].nunique() > 1
        if across_patients or across_halves:
            where = "as different patients" if across_patients else "in both halves of the split"
            problems.append(
                f"the same picture is there {len(same)} times {where}: {', '.join(same['path'])}: keep one, "
                "give all of them one patient and one half, or set `copies: join` in the task card"
            )
    return problems


def _patients_on_both_sides(described: DataFrame) -> list[str]:
    divided = described[described["split"] != ""]
    problems = []
    for patient, images in divided.groupby("patient"):
        if images["split"].nunique() > 1:
            names = ", ".join(f"{row.image} ({row.split})" for row in images.itertuples())
            problems.append(
                f"patient {patient} is in both halves of the official split: {names}: "
                "move them, or set `split: random` in the card"
            )
    return problems
