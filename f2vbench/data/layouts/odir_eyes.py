"""ODIR-5K as pairs of eyes: the other eye of the same person is what is looked for.

full_df.csv or ODIR-5K_Training_Annotations….csv: columns ID, Left-Fundus, Right-Fundus (file names)
preprocessed_images/, ODIR-5K_Training_Images/ or Training Images/ beside it
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import Row, find_root, images_in, index_from_rows, read_options, safe_id, subfolder
from f2vbench.data.layouts.odir import IMAGES, TABLES, rows_of, table_in
from f2vbench.errors import DataError

_COLUMNS = {"left": "left-fundus", "right": "right-fundus"}


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index of the people whose two photographs are there; others are left out, with their number.

    Args:
        options: ``mirror``: left (left eyes are mirrored, so that discs lie on one side) or none.
    """
    mirror = read_options(options, {"mirror": ("none", "left")})["mirror"]
    root = find_root(folder, lambda place: table_in(place) is not None, " or ".join(TABLES))
    table = table_in(root) or root
    images = images_in(subfolder(root, *IMAGES))
    if not images:
        raise DataError(f"{root}: no photographs beside {table.name}: they are expected in {' or '.join(IMAGES)}")
    people: dict[str, dict[str, Path]] = {}
    for row in rows_of(table, ("id", *_COLUMNS.values())):
        eyes = {eye: images.get(Path(row[column]).stem) for eye, column in _COLUMNS.items()}
        people.setdefault(row["id"], {}).update({eye: path for eye, path in eyes.items() if path is not None})
    rows = [
        Row(safe_id(path.stem), path, patient=person, eye=eye, part="mirrored" if eye == mirror else "")
        for person, eyes in people.items()
        if len(eyes) == 2
        for eye, path in eyes.items()
    ]
    alone = sum(len(eyes) < 2 for eyes in people.values())
    notes = [f"{alone} people of whom one photograph or none is here are left out"] if alone else []
    return index_from_rows(rows, notes)
