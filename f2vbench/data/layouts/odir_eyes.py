"""ODIR-5K as pairs of eyes: the relevant image for a query is the other eye of the same person.

full_df.csv or ODIR-5K_Training_Annotations….csv: columns ID, Left-Fundus, Right-Fundus (file names)
preprocessed_images/, ODIR-5K_Training_Images/ or Training Images/ beside it
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import find_root, image_folder, images_in
from f2vbench.data.index_rows import Row, index_from_rows, safe_id
from f2vbench.data.layouts.odir import IMAGES, TABLES, read_rows, table_in
from f2vbench.data.layouts.options import read_options
from f2vbench.errors import DataError
from f2vbench.utils.text import plural

_COLUMNS = {"left": "left-fundus", "right": "right-fundus"}


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index of patients with photographs of both eyes; a note counts the others, which are left out.

    Args:
        folder: The data set, or a folder around it.
        options: ``mirror``: none (default) or left (left eyes are mirrored, so that all optic discs are on one side).
    """
    mirror = read_options(options, {"mirror": ("none", "left")})["mirror"]
    root = find_root(folder, lambda place: table_in(place) is not None, " or ".join(TABLES))
    table = table_in(root) or root
    images = images_in(image_folder(root, *IMAGES))
    if not images:
        raise DataError(f"{root}: no photographs beside {table.name}; expected {' or '.join(IMAGES)}")
    patients: dict[str, dict[str, Path]] = {}
    for row in read_rows(table, ("id", *_COLUMNS.values())):
        eyes = {eye: images.get(Path(row[column]).stem) for eye, column in _COLUMNS.items()}
        patients.setdefault(row["id"], {}).update({eye: path for eye, path in eyes.items() if path is not None})
    rows = [
        Row(safe_id(path.stem), path, patient=patient, eye=eye, part="mirrored" if eye == mirror else "")
        for patient, eyes in patients.items()
        if len(eyes) == 2
        for eye, path in eyes.items()
    ]
    incomplete = sum(len(eyes) < 2 for eyes in patients.values())
    notes = [f"{plural(incomplete, 'patient')} without photographs of both eyes left out"] if incomplete else []
    return index_from_rows(rows, notes)
