"""Photographs with systemic outcomes in a table.

    systemic.csv: columns image (path below the table's folder), patient, one column of 0 and 1 for each outcome and,
    if known, eye (left or right, OS or OD, L or R) and split (train, val or test)

With the option ``value``, the label is a number of any column (regression); with ``time`` and ``event``, a time and
whether the event was observed then (survival). Images with an empty label have none. Further columns, such as age and
sex, are kept for subgroups.
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
from f2vbench.errors import DataError, SettingsError

_SPLITS = ("", "train", "val", "test")
_OWN_COLUMNS = {"image", "patient", "eye", "split"}


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index; classes are "0" and "1".

    Args:
        folder: The folder of the table, or a folder around it.
        options: ``table``: file name of the table (default systemic.csv); ``outcome``: the column with the class
            (default stroke); ``value``: the column with the number to predict; ``time`` and ``event``: the columns with
            the time and with 0 or 1.
    """
    name, columns = _read_columns(options)
    table_file = find_root(folder, lambda place: (place / name).is_file(), f"the table {name}") / name
    table = read_csv(table_file, ("image", "patient", *columns.values()))
    further = [name for name in map(str, table.columns) if name not in {*_OWN_COLUMNS, *columns.values()}]
    rows: list[Row] = []
    problems: list[str] = []
    for position, row in enumerate(table.to_dict("records")):
        where = f"{table_file}, row {position + 2}"
        path = find_listed_image(table_file, position, row["image"], problems)
        labels = {field: row[column] for field, column in columns.items()}
        if labels.get("label", "") not in ("0", "1", ""):
            problems.append(f"{where}: {columns['label']} '{labels['label']}' must be 0, 1 or empty")
        if not row["patient"]:
            problems.append(f"{where}: image '{row['image']}' has no patient")
        if row.get("split", "") not in _SPLITS:
            problems.append(f"{where}: split '{row['split']}' must be train, val, test or empty")
        if path is not None:
            image = safe_id(Path(row["image"]).with_suffix("").as_posix())
            eye, split = read_eye(row, where, problems), row.get("split", "")
            kept = {name: row[name] for name in further}
            rows.append(Row(image, path, patient=row["patient"], eye=eye, split=split, columns=kept, **labels))
    if problems:
        raise DataError(limit_problems(problems))
    return index_from_rows(rows)


def _read_columns(options: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """File name of the table, and the column of each field of `Row` that holds the label."""
    allowed = {"table": ("systemic.csv", str), "outcome": ("stroke", str)}
    chosen = read_options(options, allowed | dict.fromkeys(("value", "time", "event"), ("", str)))
    numbers = {key: chosen[key].lower() for key in ("value", "time", "event") if chosen[key]}
    if not numbers:
        return chosen["table"], {"label": chosen["outcome"].lower()}
    if set(numbers) not in ({"value"}, {"time", "event"}) or "outcome" in options:
        raise SettingsError(
            f"options: {', '.join(key for key in options if key != 'table')}: name the columns of one label: outcome "
            "(classes), value (a number), or time and event"
        )
    return chosen["table"], numbers
