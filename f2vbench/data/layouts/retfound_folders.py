"""RETFound's folders: photographs by split and class, as its authors publish and read data sets.

    train/anodr/a.png  train/bmilddr/b.png  …  val/anodr/…  test/anodr/…

Classes are the folder names, in alphabetical order. Patients are read from patients.csv or from file names, see
`f2vbench.data.patient_names`; a file whose name tells none counts as its own patient. Age and sex of simulated patients
are read from the simulator's table eyes.csv.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import find_root, folders_in, images_in, split_suffix, subfolder
from f2vbench.data.index_rows import Row, index_from_rows, safe_id
from f2vbench.data.layouts.options import read_options
from f2vbench.data.patient_names import PatientAndEye, Patients, find_patients, patient_and_eye
from f2vbench.data.tables import read_csv

EXPECTED = "train/, val/ and test/, each with a folder of photographs for every class"

EYES, SIMULATED = "eyes.csv", "phantom.json"
"""Table with the age and sex of each patient, and a file that marks the folder as simulated data."""

_PERSON = ("age", "sex")
# RETFound's name first; the others occur in copies and in owners' archives.
_SPLITS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index; labels are the folder names.

    Args:
        folder: The data set, or a folder around it.
        options: ``folder``: name of the folder inside ``folder`` to read, if there are several.
    """
    name = read_options(options, {"folder": ("", str)})["folder"]
    people = _read_people(folder / EYES) if (folder / SIMULATED).is_file() else {}
    return read_split_folders(find_root(subfolder(folder, name) or folder, has_split_folders, EXPECTED), people=people)


def _read_people(table: Path) -> dict[str, dict[str, str]]:
    """Age and sex of each simulated patient."""
    rows = read_csv(table, ("patient", *_PERSON))
    return {str(row["patient"]): {name: str(row[name]) for name in _PERSON} for row in rows.to_dict("records")}


def has_split_folders(folder: Path) -> bool:
    """Whether the folder contains a split with a folder of images for each class."""
    splits = (subfolder(folder, *names) for names in _SPLITS.values())
    return any(images_in(place) for split in splits if split is not None for place in folders_in(split))


def read_split_folders(
    root: Path, from_name: PatientAndEye = patient_and_eye, people: Mapping[str, Mapping[str, str]] | None = None
) -> DataFrame:
    """The raw index of the folder that contains the splits.

    Args:
        root: The folder with train/, val/ and test/.
        from_name: Patient and eye from a file name.
        people: Patient → further columns of all their images, such as age and sex.
    """
    notes: list[str] = []
    images: list[tuple[str, str, Path]] = []
    for split, names in _SPLITS.items():
        place = subfolder(root, *names)
        if place is None:
            notes.append(f"{root} has no {split}/")
            continue
        for class_folder in folders_in(place):
            images += [(split, class_folder.name, path) for path in images_in(class_folder).values()]
    patients = find_patients(root, [path for *_, path in images], from_name)
    rows = [_row(split, label, path, patients, people or {}) for split, label, path in images]
    return index_from_rows(rows, [*notes, *patients.notes], warnings=patients.warnings, variant="retfound")


def _row(split: str, label: str, path: Path, patients: Patients, people: Mapping[str, Mapping[str, str]]) -> Row:
    image = safe_id(f"{split}_{label}_{split_suffix(path.name)[0]}")
    patient, eye = patients.of.get(path, (image, ""))
    columns = {**people.get(patient, {}), **patients.columns.get(path, {})}
    return Row(image, path, patient=patient, eye=eye, split=split, label=label, columns=columns)
