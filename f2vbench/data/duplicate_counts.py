"""How many pictures a task holds twice, or as good as twice, and how many of these its episodes set on both sides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from pandas import DataFrame

from f2vbench.data.episodes import Episode
from f2vbench.data.near_duplicates import alike_pairs


@dataclass(frozen=True)
class Doubles:
    """Counts.

    Attributes:
        pictures: that are there several times, pixel for pixel, as ``images`` images.
        labels: of these pictures, how many have copies with different labels.
        pictures_across: how many have a copy among the support and another among the test images of an episode.
        alike: pairs of photographs that look the same (correlation above `near_duplicates.ALIKE`) and are no
            copies; ``alike_patients`` of them are of different patients.
        alike_across: how many of the pairs an episode sets on both sides.
    """

    pictures: int
    images: int
    labels: int
    pictures_across: int
    alike: int
    alike_patients: int
    alike_across: int

    def as_record(self) -> dict[str, int]:
        return asdict(self)


def doubles_of(index: DataFrame, episodes: Iterable[Episode]) -> Doubles:
    """Count in a described index.

    Args:
        episodes: that are run; by support and test images.
    """
    readable = index[index["sha256"] != ""]
    copies = [same for _, same in readable[readable.duplicated("sha256", keep=False)].groupby("sha256", sort=False)]
    single = readable[~readable.duplicated("sha256") & (readable["modality"] == "CF")]
    images, patients = list(single["image"]), list(single["patient"])
    pairs = [(one, other) for one, other, _ in alike_pairs(list(single["appearance"]))]
    sides = [(frozenset(episode.support), frozenset(episode.test)) for episode in episodes]

    def across(groups: Iterable[Sequence[str]]) -> int:
        return sum(any(set(group) & support and set(group) & test for support, test in sides) for group in groups)

    return Doubles(
        pictures=len(copies),
        images=sum(map(len, copies)),
        labels=sum("label" in same and same["label"].nunique() > 1 for same in copies),
        pictures_across=across([list(same["image"]) for same in copies]),
        alike=len(pairs),
        alike_patients=sum(patients[one] != patients[other] for one, other in pairs),
        alike_across=across([(images[one], images[other]) for one, other in pairs]),
    )
