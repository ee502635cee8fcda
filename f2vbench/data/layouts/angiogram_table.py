"""Photographs with angiogram frames registered to them, in the table of the released Fundus2Video code.

video.csv: columns orgid (patient), pid_eye (examination), Phase (arterial, venous or late), level_1 (seconds
after injection, in whose order the frames of an examination stand), co_rigid and fa_rigid (paths of photograph
and frame, below the table's folder)
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.layouts.listing import Row, find_root, index_of, listed_image, read_csv, read_options, safe_id
from f2vbench.errors import DataError

_COLUMNS = ("orgid", "pid_eye", "phase", "level_1", "co_rigid", "fa_rigid")
_PHASES = ("arterial", "venous", "late")
_NUMBER = re.compile(r"\d+(\.\d*)?(e[+-]?\d+)?")


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index of the table below ``folder``: one row a photograph (CF) and one a frame (FFA).

    Args:
        options: ``table``: its file name (video.csv).
    """
    name = read_options(options, {"table": ("video.csv", str)})["table"]
    table_file = find_root(folder, lambda place: (place / name).is_file(), f"the table {name}") / name
    photographs: dict[tuple[str, Path], Row] = {}
    frames: list[Row] = []
    problems: list[str] = []
    for position, row in enumerate(read_csv(table_file, _COLUMNS).to_dict("records")):
        problems += [f"{table_file}, row {position + 2}: {problem}" for problem in _problems(row)]
        photograph = listed_image(table_file, position, row["co_rigid"], problems)
        frame = listed_image(table_file, position, row["fa_rigid"], problems)
        if photograph is None or frame is None:
            continue
        who = {"patient": row["orgid"], "eye": _eye(row["pid_eye"]), "case": row["pid_eye"]}
        photographs.setdefault((row["pid_eye"], photograph), Row(_id(row["co_rigid"]), photograph, **who))
        when = {"phase": row["phase"].lower(), "seconds": row["level_1"]}
        frames.append(Row(_id(row["fa_rigid"]), frame, **who, **when, modality="FFA"))
    if problems:
        raise DataError(problems)
    return index_of([*photographs.values(), *frames])


def _problems(row: dict[Any, str]) -> list[str]:
    found = [f"no {column}" for column in ("orgid", "pid_eye") if not row[column]]
    if row["phase"].lower() not in _PHASES:
        found.append(f"Phase '{row['phase']}' must be one of {', '.join(_PHASES)}")
    if not _NUMBER.fullmatch(row["level_1"]):
        found.append(f"level_1 '{row['level_1']}' must be a number of seconds")
    return found


def _eye(case: str) -> str:
    """The eye that an examination's name ends on: ``…_right``, ``…_OD``, ``…_R`` and the like."""
    end = re.split(r"[_\- ]", case)[-1].lower()
    return {"right": "right", "r": "right", "od": "right", "left": "left", "l": "left", "os": "left"}.get(end, "")


def _id(name: str) -> str:
    return safe_id(Path(name).with_suffix("").as_posix())
