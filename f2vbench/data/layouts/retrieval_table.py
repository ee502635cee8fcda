"""Images of several modalities and views in a table.

retrieval.csv: columns image (path below the table's folder), patient, modality (CF, FFA, ICG, RF, AF) and, if known,
eye (left or right, OS or OD, L or R) and view (macula or disc)
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import find_root
from f2vbench.data.index_rows import Row, index_from_rows, safe_id
from f2vbench.data.layouts.options import read_options
from f2vbench.data.patient_names import read_eye
from f2vbench.data.tables import find_listed_image, limit_problems, read_csv
from f2vbench.errors import DataError


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index of the images in the table.

    Args:
        folder: The folder of the table, or a folder around it.
        options: ``table``: file name of the table (default retrieval.csv).
    """
    name = read_options(options, {"table": ("retrieval.csv", str)})["table"]
    table_file = find_root(folder, lambda place: (place / name).is_file(), f"the table {name}") / name
    rows: list[Row] = []
    problems: list[str] = []
    for position, row in enumerate(read_csv(table_file, ("image", "patient", "modality")).to_dict("records")):
        where = f"{table_file}, row {position + 2}"
        path = find_listed_image(table_file, position, row["image"], problems)
        for column in ("patient", "modality"):
            if not row[column]:
                problems.append(f"{where}: image '{row['image']}' has no {column}")
        if path is not None:
            image = safe_id(Path(row["image"]).with_suffix("").as_posix())
            eye, view = read_eye(row, where, problems), row.get("view", "")
            rows.append(Row(image, path, patient=row["patient"], eye=eye, modality=row["modality"], view=view))
    if problems:
        raise DataError(limit_problems(problems))
    return index_from_rows(rows)
