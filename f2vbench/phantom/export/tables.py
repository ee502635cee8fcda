"""Tables, splits, folders of links, and the README of a data set, written when all eyes are complete."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from f2vbench.errors import StoreError
from f2vbench.phantom.anatomy.quantities import QUANTITIES
from f2vbench.phantom.cohort import Cohort
from f2vbench.phantom.export.readme import readme
from f2vbench.phantom.follow_up import draw_follow_up
from f2vbench.phantom.outcomes import OUTCOMES
from f2vbench.phantom.patients import generator
from f2vbench.utils.files import write_atomically, write_problem

PARTS = ("vessels", "dr", "glaucoma", "disease", "systemic", "retrieval", "video", "survival")
"""Parts of a data set. Append new ones at the end: folders are identified by the parts in this order."""

DEFAULT_PARTS = PARTS[:7]
"""Parts that `f2vbench phantom` writes unless others are named: those of the first version, so that a folder of an
earlier version continues."""

# Class names of RETFound's folders for APTOS-2019 and Glaucoma Fundus; their alphabetical order is that of the grades.
DR_CLASSES = ("anodr", "bmilddr", "cmoderatedr", "dseveredr", "eproliferativedr")
GLAUCOMA_CLASSES = ("anormal_control", "bearly_glaucoma", "cadvanced_glaucoma")
VIDEO_COLUMNS = ("orgid", "pid_eye", "Phase", "level_1", "co_rigid", "fa_rigid")
_VIEWS = {  # images in the retrieval table: file name → modality, view
    "macula": ("CF", "macula"),
    "disc": ("CF", "disc"),
    "icg": ("ICG", "macula"),
    "red_free": ("RF", "macula"),
    "autofluorescence": ("AF", "macula"),
}
# Splits of twenty consecutive patients: 11 train, 3 val, 6 test; the first three patients are one of each.
_SPLIT_PATTERN = [{"T": "train", "V": "val", "S": "test"}[letter] for letter in "TSVTTSTTSTVTSTTSTVTS"]


def write_tables(out: Path, cohort: Cohort, records: Iterable[Mapping[str, Any]], parts: Sequence[str]) -> None:
    """Write tables, links and README for eyes whose images are in ``out``.

    Args:
        out: Folder of the data set.
        cohort: The cohort.
        records: One record per eye, in order, see `f2vbench.phantom.export.eye_files.read_record`.
        parts: Parts of the data set, of `PARTS`.

    Raises:
        StoreError: The folder is not writable.
    """
    splits = draw_splits(cohort)
    tables = {"eyes.csv": _Table(_eye_columns())}
    for part, file, columns in (
        ("survival", "survival.csv", ("image", "patient", "eye", "age", "sex", "years", "event", "split")),
        ("systemic", "systemic.csv", ("image", "patient", "eye", "age", "sex", *OUTCOMES, "split")),
        ("retrieval", "retrieval.csv", ("image", "patient", "eye", "modality", "view")),
        ("video", "video.csv", VIDEO_COLUMNS),
    ):
        if part in parts:
            tables[file] = _Table(columns)
    for record in records:
        split = splits[record["number"]]
        for file, row in _rows(record, split, cohort):
            if file in tables:
                tables[file].add(row)
        for stored, link in _links(record, split, parts):
            _link(out / stored, out / link)
    tables["quantities.csv"] = _quantities()
    for file, table in tables.items():
        write_atomically(out / file, table.content())
    write_atomically(out / "README.txt", readme(cohort, parts).encode())


def draw_splits(cohort: Cohort) -> list[str]:
    """Draw the split of each patient, ``train``, ``val`` or ``test`` (55 : 15 : 30), stratified.

    Patients are sorted by disease, severity and outcomes, in random order within each group, and assigned to splits in
    a repeating pattern. Each group therefore has about the same share in each split.
    """
    order = []
    for number in range(cohort.patients):
        patient = cohort.patient(number)
        severity, disease = max(zip(patient.severities, patient.diseases, strict=True))
        shuffled = generator(cohort.seed, "split", number).random()
        order.append((disease, severity, tuple(patient.outcomes.values()), shuffled, number))
    splits = [""] * cohort.patients
    for rank, (*_, number) in enumerate(sorted(order)):
        splits[number] = _SPLIT_PATTERN[rank % len(_SPLIT_PATTERN)]
    return splits


class _Table:
    """Rows of a CSV file."""

    def __init__(self, columns: Sequence[str]):
        self._text = io.StringIO()
        self._writer = csv.DictWriter(self._text, columns, lineterminator="\n", extrasaction="raise")
        self._writer.writeheader()

    def add(self, row: Mapping[str, Any]) -> None:
        self._writer.writerow(
            {key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()}
        )

    def content(self) -> bytes:
        return self._text.getvalue().encode()


def _eye_columns() -> list[str]:
    labels = ["age", "sex", "disease", "severity", "dr_grade", "glaucoma_stage"]
    return ["image", "patient", "eye", "split", *labels, *OUTCOMES, *QUANTITIES]


def _quantities() -> _Table:
    table = _Table(["quantity", "unit", "mean", "sd", "low", "high", "shared_by_both_eyes", "source"])
    for each in QUANTITIES.values():
        values = {"mean": each.mean, "sd": each.sd, "low": each.low, "high": each.high}
        names = {"quantity": each.name, "unit": each.unit, "source": each.source}
        table.add({**names, **values, "shared_by_both_eyes": each.shared})
    return table


def _rows(record: Mapping[str, Any], split: str, cohort: Cohort) -> Iterable[tuple[str, dict[str, Any]]]:
    """Yield (table, row) of one eye."""
    labels, photograph = record["labels"], f"images/{record['name']}_macula.png"
    identity = {"patient": record["patient"], "eye": record["eye"]}
    outcomes = {name: int(labels["outcomes"][name]) for name in OUTCOMES}
    person = {"age": labels["age"], "sex": labels["sex"]}
    graded = {key: labels[key] for key in ("disease", "severity", "dr_grade", "glaucoma_stage")}
    values = {name: float(labels["values"][name]) for name in QUANTITIES}
    systemic = {"image": photograph, **identity, **person, **outcomes, "split": split}
    yield "systemic.csv", systemic
    follow_up = draw_follow_up(
        max(cohort.patient(record["number"]).severities), generator(cohort.seed, "follow-up", record["number"])
    )
    progression = {"years": follow_up.years, "event": int(follow_up.event)}
    yield "survival.csv", {"image": photograph, **identity, **person, **progression, "split": split}
    yield "eyes.csv", {**systemic, **graded, **values}
    for file in record["files"]:
        kind = file.removeprefix(f"images/{record['name']}_").removesuffix(".png")
        if kind in _VIEWS:
            modality, view = _VIEWS[kind]
            yield "retrieval.csv", {"image": file, **identity, "modality": modality, "view": view}
    for frame in record["frames"]:
        if frame["venous"]:
            yield "retrieval.csv", {"image": frame["file"], **identity, "modality": "FFA", "view": "macula"}
        yield (
            "video.csv",
            {
                "orgid": record["patient"],
                "pid_eye": record["name"],
                "Phase": frame["phase"],
                "level_1": frame["seconds"],
                "co_rigid": photograph,
                "fa_rigid": frame["file"],
            },
        )


def _links(record: Mapping[str, Any], split: str, parts: Sequence[str]) -> Iterable[tuple[str, str]]:
    """Yield (stored file, link in a layout) of one eye."""
    name, labels = record["name"], record["labels"]
    photograph = f"images/{name}_macula.png"
    if "vessels" in parts:
        half = "test" if split == "test" else "training"
        yield photograph, f"vessels/AV_groundTruth/{half}/images/{name}.png"
        yield f"masks/vessels/{name}.png", f"vessels/AV_groundTruth/{half}/vessel/{name}.png"
        yield f"masks/arteries_veins/{name}.png", f"vessels/AV_groundTruth/{half}/av/{name}.png"
        yield f"masks/field_of_view/{name}.png", f"vessels/drive_fov/{half}/{name}_mask.png"
    if "dr" in parts and labels["disease"] in ("normal", "diabetic_retinopathy"):
        yield photograph, f"dr/{split}/{DR_CLASSES[labels['dr_grade']]}/{name}.png"
    if "glaucoma" in parts:
        yield photograph, f"glaucoma/{split}/{GLAUCOMA_CLASSES[labels['glaucoma_stage']]}/{name}.png"
    if "disease" in parts:
        yield photograph, f"disease/{split}/{labels['disease']}/{name}.png"


def _link(stored: Path, link: Path) -> None:
    """Create a hard link to a file, or a copy if the file system has no hard links.

    Raises:
        StoreError: Neither is possible.
    """
    try:
        if link.exists() and link.samefile(stored):
            return
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        try:
            os.link(stored, link)
        except OSError:
            shutil.copyfile(stored, link)
    except OSError as error:
        raise StoreError(f"{link}: cannot write: {write_problem(error)}. Completed eyes are stored") from error
