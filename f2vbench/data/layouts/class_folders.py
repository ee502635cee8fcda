"""Photographs in one folder per class, as in the downloads of JSIEC, Retina and Glaucoma Fundus; or RETFound's folders.

    0.0.Normal/a.JPG  0.3.DR1/b.JPG  …          (JSIEC)
    1_normal/NL_001.png  2_cataract/…           (Retina)

Patients are read from patients.csv or from file names, see `f2vbench.data.patient_names`; photographs whose names tell
none count as a patient each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import folders_in, images_in
from f2vbench.data.index_rows import Row, index_from_rows, safe_id
from f2vbench.data.layouts.label_tables import read_owner_or_retfound
from f2vbench.data.layouts.options import read_options
from f2vbench.data.patient_names import find_patients

_MIN_CLASSES = 2


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index; labels are the folder names."""
    read_options(options, {})
    return read_owner_or_retfound(folder, _is_root, "a folder of photographs for every class", _read_owner)


def _is_root(folder: Path) -> bool:
    return sum(bool(images_in(place)) for place in folders_in(folder)) >= _MIN_CLASSES


def _read_owner(root: Path) -> DataFrame:
    images = {place: images_in(place) for place in folders_in(root)}
    patients = find_patients(root, [path for files in images.values() for path in files.values()])
    rows: list[Row] = []
    for place, files in images.items():
        for stem, path in files.items():
            image = safe_id(f"{place.name}_{stem}")
            patient, eye = patients.of.get(path, (image, ""))
            columns = patients.columns.get(path, {})
            rows.append(Row(image, path, patient=patient, eye=eye, label=place.name, columns=columns))
    return index_from_rows(rows, patients.notes, warnings=patients.warnings)
