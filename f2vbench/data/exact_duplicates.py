"""Pictures that a data set holds several times: made one patient, so that no division puts them on both sides."""

from __future__ import annotations

from collections import defaultdict

from pandas import DataFrame

from f2vbench.utils.text import shortened


def join_copies(described: DataFrame, official: bool) -> DataFrame:
    """The index with the patients of identical pictures made one (pixel for pixel, by ``sha256``).

    Chains count: where A's picture is one of B's, and another of B's is one of C's, all three are one patient, called
    by the name that comes first. With an official split, copies of a test image outside the test part are left out,
    and so are copies of a validation image in the training part. Copies with different labels stay, as they are part
    of the data set. What was done is in ``attrs["notes"]``.
    """
    patients = _joined(described)
    joined = described.assign(patient=described["patient"].map(patients))
    copies = joined[(joined["sha256"] != "") & joined.duplicated("sha256", keep=False)]
    if copies.empty:
        return described
    notes = [*described.attrs.get("notes", []), f"{len(copies)} images are copies of each other, joined as patients"]
    if "label" in copies:
        differing = copies.groupby("sha256")["label"].nunique()
        if (differing > 1).any():
            notes.append(f"of these pictures {(differing > 1).sum()} have copies with different labels")
    if official:
        outside = _outside(copies)
        if outside:
            notes.append(f"left out, copies of test or validation images: {shortened(outside)}")
        joined = joined[~joined["image"].isin(outside)].reset_index(drop=True)
    joined.attrs = {**described.attrs, "notes": notes}
    return joined


def _joined(described: DataFrame) -> dict[str, str]:
    """Patient → the first name of all that share a picture with them, directly or through others."""
    leader = {patient: patient for patient in described["patient"]}

    def first(patient: str) -> str:
        while leader[patient] != patient:
            leader[patient] = leader[leader[patient]]
            patient = leader[patient]
        return patient

    holders: dict[str, list[str]] = defaultdict(list)
    for picture, patient in zip(described["sha256"], described["patient"], strict=True):
        if picture:
            holders[picture].append(patient)
    for patients in holders.values():
        for patient in patients[1:]:
            one, other = sorted((first(patients[0]), first(patient)))
            leader[other] = one
    return {patient: first(patient) for patient in leader}


def _outside(copies: DataFrame) -> list[str]:
    """Ids of copies in a part that learns, of pictures in a part that judges."""
    rank = copies["split"].map({"test": 2, "val": 1}).fillna(0)
    judged = rank.groupby(copies["sha256"]).transform("max")
    return sorted(copies.loc[rank < judged, "image"])
