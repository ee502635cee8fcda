"""Cases in the table of the released Fundus2Video code: one row per frame.

Columns: orgid (patient), pid_eye (case), Phase, level_1 (time, which orders the frames of a phase), co_rigid and
fa_rigid (files of the photograph and of the frame registered to it, absolute or relative to the table's folder).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

from pandas import DataFrame

from f2vbench.data.cases import PHASES, Case, FoundCases, Frame, sort_frames
from f2vbench.data.tables import limit_problems, read_csv
from f2vbench.errors import DataError, did_you_mean
from f2vbench.utils.text import plural

COLUMNS = ("orgid", "pid_eye", "Phase", "level_1", "co_rigid", "fa_rigid")

_PHASE_NAMES = {
    **dict.fromkeys(("arterial", "artery", "vascular", "early"), "arterial"),
    **dict.fromkeys(("venous", "vein", "mid", "middle"), "venous"),
    "late": "late",
}


class _TableRow(NamedTuple):
    patient: str
    photograph: Path
    frame: Frame


def read_table(file: Path) -> FoundCases:
    """Read the cases of a table.

    Of several photographs of a case, the one with the most frames is used (the first of equals); the others are left
    out with their frames. A frame that is listed twice counts once. The notes name these cases, and the cases whose
    phases overlap in time: their frames are sorted by phase first, and by time within a phase.

    Raises:
        DataError: Missing columns, no rows, invalid values or missing files, with row and path; the first ten are
            listed.
    """
    table = _read(file)
    problems: list[str] = []
    exists: dict[Path, bool] = {}
    cases: dict[str, list[_TableRow]] = defaultdict(list)
    for position, row in enumerate(table.to_dict("records")):
        where = f"{file}, row {position + 2}"
        row_problems = _row_problems(row)
        photograph, frame = (_resolve(file, row[column]) for column in ("co_rigid", "fa_rigid"))
        for column, path in (("co_rigid", photograph), ("fa_rigid", frame)):
            if row[column] and not exists.setdefault(path, path.is_file()):
                row_problems.append(f"{column}: file {path} not found")
        if row_problems:
            problems += [f"{where}: {problem}" for problem in row_problems]
            continue
        phase = _PHASE_NAMES[str(row["phase"]).lower()]
        cases[row["pid_eye"]].append(_TableRow(row["orgid"], photograph, Frame(frame, phase, float(row["level_1"]))))
    for name, rows in cases.items():
        patients = sorted({row.patient for row in rows})
        if len(patients) > 1:
            problems.append(f"{file}: case '{name}' has several patients (orgid): {', '.join(patients)}")
    if problems:
        raise DataError(limit_problems(problems))
    notes: list[str] = []
    return FoundCases(tuple(_build_case(name, cases[name], notes) for name in sorted(cases)), tuple(notes))


def _read(file: Path) -> DataFrame:
    table = read_csv(file)
    names = {column.lower(): column for column in COLUMNS}
    others = [str(column) for column in table.columns if column not in names]
    columns = ", ".join(map(str, table.columns))
    missing = [
        f"{file}: column '{column}' not found{did_you_mean(column.lower(), others)}; columns are {columns}"
        for lower, column in names.items()
        if lower not in table
    ]
    if missing:
        raise DataError(missing)
    if table.empty:
        raise DataError(f"{file}: the table has no rows; expected one row per frame")
    return table


def _row_problems(row: dict[str, str]) -> list[str]:
    found = [f"no {column}" for column in ("orgid", "pid_eye", "co_rigid", "fa_rigid") if not row[column]]
    if row["phase"].lower() not in _PHASE_NAMES:
        hint = did_you_mean(row["phase"].lower(), _PHASE_NAMES)
        found.append(f"Phase '{row['phase']}' must be one of {', '.join(PHASES)}{hint}")
    try:
        is_finite = math.isfinite(float(row["level_1"]))
    except ValueError:
        is_finite = False
    if not is_finite:
        found.append(f"level_1 '{row['level_1']}' must be a number, the time of the frame")
    return found


def _resolve(file: Path, name: str) -> Path:
    return (file.parent / Path(name).expanduser()).absolute()


def _build_case(name: str, rows: list[_TableRow], notes: list[str]) -> Case:
    photographs = Counter(row.photograph for row in rows)
    photograph, count = photographs.most_common(1)[0]
    if len(photographs) > 1:
        others = f"{plural(len(photographs) - 1, 'other photograph')} with {plural(len(rows) - count, 'frame')}"
        notes.append(f"{name}: {photograph.name} is used with its {plural(count, 'frame')}; left out: {others}")
    frames = {row.frame.path: row.frame for row in reversed(rows) if row.photograph == photograph}
    if len(frames) < count:
        notes.append(f"{name}: {plural(count - len(frames), 'repeated row')} of the same frame ignored")
    ordered = sort_frames(frames.values())
    if [frame.seconds for frame in ordered] != sorted(frame.seconds for frame in ordered):
        notes.append(f"{name}: phases overlap in time; frames are sorted by phase first, then by time")
    return Case(name, rows[0].patient, photograph, ordered)
