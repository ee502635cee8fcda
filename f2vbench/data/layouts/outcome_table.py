"""Photographs with systemic outcomes in a table.

    systemic.csv: columns image (path below the table's folder), patient, one column of 0 and 1 for each outcome and,
    if known, eye (left or right, OS or OD, L or R) and split (train, val or test)

Images with an empty outcome have no label. Further columns, such as age and sex, are kept for subgroups.
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

_SPLITS = ("", "train", "val", "test")
_OWN_COLUMNS = {"image", "patient", "eye", "split"}


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index; labels are "0" and "1".

    Args:
        folder: The folder of the table, or a folder around it.
        options: ``table``: file name of the table (default systemic.csv); ``outcome``: the column with the label
            (default stroke).
    """
    chosen = read_options(options, {"table": ("systemic.csv", str), "outcome": ("stroke", str)})
    name, outcome = chosen["table"], chosen["outcome"].lower()
    table_file = find_root(folder, lambda place: (place / name).is_file(), f"the table {name}") / name
    table = read_csv(table_file, ("image", "patient", outcome))
    further = [name for name in map(str, table.columns) if name not in {*_OWN_COLUMNS, outcome}]
    rows: list[Row] = []
    problems: list[str] = []
    for position, row in enumerate(table.to_dict("records")):
        where = f"{table_file}, row {position + 2}"
        path = find_listed_image(table_file, position, row["image"], problems)
        if row[outcome] not in ("0", "1", ""):
            problems.append(f"{where}: {outcome} '{row[outcome]}' must be 0, 1 or empty")
        if not row["patient"]:
            problems.append(f"{where}: image '{row['image']}' has no patient")
        if row.get("split", "") not in _SPLITS:
            problems.append(f"{where}: split '{row['split']}' must be train, val, test or empty")
        if path is not None:
            image = safe_id(Path(row["image"]).with_suffix("").as_posix())
            eye, split = read_eye(row, where, problems), row.get("split", "")
            columns = {name: row[name] for name in further}
            rows.append(
                Row(image, path, patient=row["patient"], eye=eye, split=split, label=row[outcome], columns=columns)
            )
    if problems:
        raise DataError(limit_problems(problems))
    return index_from_rows(rows)
