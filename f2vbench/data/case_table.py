"""Cases in the table of the released Fundus2Video code: one row a frame.

Columns: orgid (patient), pid_eye (case), Phase, level_1 (time, whose order the frames of a phase stand in), co_rigid
and fa_rigid (files of the photograph and of the frame registered to it, absolute or from the table's folder).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from pathlib import Path

import pandas as pd

from f2vbench.data.cases import PHASES, Case, FoundCases, Frame, in_order, limit_problems
from f2vbench.data.folder_scan import read_csv
from f2vbench.errors import DataError, did_you_mean

COLUMNS = ("orgid", "pid_eye", "Phase", "level_1", "co_rigid", "fa_rigid")

_PHASE_WORDS = {
    **dict.fromkeys(("arterial", "artery", "vascular", "early"), "arterial"),
    **dict.fromkeys(("venous", "vein", "mid", "middle"), "venous"),
    "late": "late",
}


def read_table(file: Path) -> FoundCases:
    """The cases of a table.

    Where a case has several photographs, the one with the most frames is taken (the first of equals) and the others
    are left out with their frames; a frame listed twice counts once. Both are said in the notes, as is a case whose
    phases overlap in time: its frames then stand by phase first, by time within it.

    Raises:
        DataError: missing columns, no rows, unusable values or missing files, with the row and the path; the first
            ten are listed.
    """
    table = _read(file)
    problems: list[str] = []
    there: dict[Path, bool] = {}
    rows: dict[str, list[tuple[str, Path, Frame]]] = defaultdict(list)
    for position, row in enumerate(table.to_dict("records")):
        where = f"{file}, row {position + 2}"
        found = _row_problems(row)
        photograph, frame = (_place(file, row[column]) for column in ("co_rigid", "fa_rigid"))
        for column, path in (("co_rigid", photograph), ("fa_rigid", frame)):
            if row[column] and not there.setdefault(path, path.is_file()):
                found.append(f"{column}: there is no file {path}")
        if found:
            problems += [f"{where}: {problem}" for problem in found]
            continue
        phase = _PHASE_WORDS[str(row["phase"]).lower()]
        rows[row["pid_eye"]].append((row["orgid"], photograph, Frame(frame, phase, float(row["level_1"]))))
    for name, listed in rows.items():
        patients = sorted({patient for patient, *_ in listed})
        if len(patients) > 1:
            problems.append(f"{file}: the case '{name}' belongs to several patients (orgid): {', '.join(patients)}")
    if problems:
        raise DataError(limit_problems(problems))
    notes: list[str] = []
    cases = tuple(_case(name, rows[name], notes) for name in sorted(rows))
    return FoundCases(cases, tuple(notes))


def _read(file: Path) -> pd.DataFrame:
    table = read_csv(file, ())
    wanted = {column.lower(): column for column in COLUMNS}
    spare = [str(column) for column in table.columns if column not in wanted]
    there = ", ".join(map(str, table.columns))
    missing = [
        f"{file}: no column '{column}' among {there}{did_you_mean(column.lower(), spare)}"
        for lower, column in wanted.items()
        if lower not in table
    ]
    if missing:
        raise DataError(missing)
    if table.empty:
        raise DataError(f"{file}: no rows below the header: one row a frame is needed")
    return table


def _row_problems(row: dict[str, str]) -> list[str]:
    found = [f"no {column}" for column in ("orgid", "pid_eye", "co_rigid", "fa_rigid") if not row[column]]
    if row["phase"].lower() not in _PHASE_WORDS:
        hint = did_you_mean(row["phase"].lower(), _PHASE_WORDS)
        found.append(f"Phase '{row['phase']}' must be one of {', '.join(PHASES)}{hint}")
    try:
        finite = math.isfinite(float(row["level_1"]))
    except ValueError:
        finite = False
    if not finite:
        found.append(f"level_1 '{row['level_1']}' must be a number, the time of the frame")
    return found


def _place(file: Path, name: str) -> Path:
    return (file.parent / Path(name).expanduser()).absolute()


def _case(name: str, rows: list[tuple[str, Path, Frame]], notes: list[str]) -> Case:
    photographs = Counter(photograph for _, photograph, _ in rows)
    photograph, count = photographs.most_common(1)[0]
    if len(photographs) > 1:
        others = f"{len(photographs) - 1} other photographs with {len(rows) - count} frames"
        notes.append(f"{name}: {photograph.name} is used with its {count} frames; {others} are left out")
    frames = {frame.path: frame for _, taken, frame in reversed(rows) if taken == photograph}
    if len(frames) < count:
        notes.append(f"{name}: {count - len(frames)} frames are listed more than once and count once")
    ordered = in_order(frames.values())
    if [frame.seconds for frame in ordered] != sorted(frame.seconds for frame in ordered):
        notes.append(f"{name}: its phases overlap in time: frames stand by phase first, by time within it")
    return Case(name, rows[0][0], photograph, ordered)
