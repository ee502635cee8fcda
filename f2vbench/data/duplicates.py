"""Exact duplicates: how they are merged into one patient, and how many images a task's episodes share with them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from pandas import DataFrame

from f2vbench.data.episodes import Episode
from f2vbench.data.near_duplicates import near_duplicate_pairs
from f2vbench.utils.text import plural, shortened


@dataclass(frozen=True)
class DuplicateCounts:
    """Exact duplicates and near-duplicates of a task.

    Attributes:
        pictures: Distinct pictures that occur more than once, pixel for pixel.
        images: Images that show one of these pictures.
        label_conflicts: Pictures whose copies have different labels.
        pictures_across: Pictures with one copy in the support set and another in the test set of the same episode.
        pairs: Near-duplicate pairs (correlation above `near_duplicates.MIN_CORRELATION`) that are no exact duplicates.
        pairs_across_patients: Near-duplicate pairs of two patients.
        pairs_across: Near-duplicate pairs with one image in the support set and the other in the test set.
    """

    pictures: int
    images: int
    label_conflicts: int
    pictures_across: int
    pairs: int
    pairs_across_patients: int
    pairs_across: int

    def as_record(self) -> dict[str, int]:
        """The counts by the keys that a run's record uses."""
        return {
            "pictures": self.pictures,
            "images": self.images,
            "labels": self.label_conflicts,
            "pictures_across": self.pictures_across,
            "alike": self.pairs,
            "alike_patients": self.pairs_across_patients,
            "alike_across": self.pairs_across,
        }


def count_duplicates(index: DataFrame, episodes: Iterable[Episode]) -> DuplicateCounts:
    """Count the duplicates of a task, and those that an episode puts on both sides.

    Args:
        index: One row per image, with the columns of `f2vbench.data.file_facts.add_file_facts`.
        episodes: The episodes of the run; their support and test images are compared.

    Returns:
        Numbers of pictures and pairs. Near-duplicates are counted among colour photographs only.
    """
    readable = index[index["sha256"] != ""]
    groups = list(exact_duplicates(index))
    single = readable[~readable.duplicated("sha256") & (readable["modality"] == "CF")]
    images, patients = list(single["image"]), list(single["patient"])
    pairs = [(pair.first, pair.second) for pair in near_duplicate_pairs(list(single["appearance"]))]
    sides = [(frozenset(episode.support), frozenset(episode.test)) for episode in episodes]

    def count_across(image_groups: Iterable[Sequence[str]]) -> int:
        return sum(any(set(group) & support and set(group) & test for support, test in sides) for group in image_groups)

    return DuplicateCounts(
        pictures=len(groups),
        images=sum(map(len, groups)),
        label_conflicts=sum("label" in group and group["label"].nunique() > 1 for group in groups),
        pictures_across=count_across([list(group["image"]) for group in groups]),
        pairs=len(pairs),
        pairs_across_patients=sum(patients[first] != patients[second] for first, second in pairs),
        pairs_across=count_across([(images[first], images[second]) for first, second in pairs]),
    )


def exact_duplicates(index: DataFrame) -> Iterator[DataFrame]:
    """The rows of each picture that occurs more than once, pixel for pixel, in the order of the index."""
    readable = index[index["sha256"] != ""]
    for _, rows in readable[readable.duplicated("sha256", keep=False)].groupby("sha256", sort=False):
        yield rows


def merge_duplicate_patients(index: DataFrame, official: bool) -> DataFrame:
    """Make one patient of all patients that share a picture, so that no split separates its copies.

    Sharing is transitive: if patients A and B share one picture, and B and C another, all three become one patient,
    with the name that sorts first. Copies with different labels stay, as they are part of the data set.

    Args:
        index: One row per image, with the column ``sha256``.
        official: Whether the data set has an official split. If so, copies of a test image outside the test split
            are removed, and copies of a validation image in the training split.

    Returns:
        The index with the new patients. ``attrs["notes"]`` says what was merged and removed. Without duplicates, the
        same index.
    """
    patients = _merged_patients(index)
    merged = index.assign(patient=index["patient"].map(patients))
    copies = merged[(merged["sha256"] != "") & merged.duplicated("sha256", keep=False)]
    if copies.empty:
        return index
    notes = [
        *index.attrs.get("notes", []),
        f"{plural(len(copies), 'image')} are exact duplicates of each other; their patients are merged",
    ]
    if "label" in copies:
        conflicts = int((copies.groupby("sha256")["label"].nunique() > 1).sum())
        if conflicts:
            notes.append(f"duplicates of {plural(conflicts, 'image')} have different labels")
    if official:
        leaked = _copies_in_lower_splits(copies)
        if leaked:
            notes.append(f"left out, duplicates of test or validation images: {shortened(leaked)}")
        merged = merged[~merged["image"].isin(leaked)].reset_index(drop=True)
    merged.attrs = {**index.attrs, "notes": notes}
    return merged


def _merged_patients(index: DataFrame) -> dict[str, str]:
    """Patient → first name of all patients that share a picture with it, directly or through others (union-find)."""
    parent = {patient: patient for patient in index["patient"]}

    def root(patient: str) -> str:
        while parent[patient] != patient:
            parent[patient] = parent[parent[patient]]
            patient = parent[patient]
        return patient

    patients_of: dict[str, list[str]] = defaultdict(list)
    for picture, patient in zip(index["sha256"], index["patient"], strict=True):
        if picture:
            patients_of[picture].append(patient)
    for patients in patients_of.values():
        for patient in patients[1:]:
            first, second = sorted((root(patients[0]), root(patient)))
            parent[second] = first
    return {patient: root(patient) for patient in parent}


def _copies_in_lower_splits(copies: DataFrame) -> list[str]:
    """Ids of copies in a training (validation) split whose picture is also in the validation or test (test) split."""
    rank = copies["split"].map({"test": 2, "val": 1}).fillna(0)
    highest = rank.groupby(copies["sha256"]).transform("max")
    return sorted(copies.loc[rank < highest, "image"])
