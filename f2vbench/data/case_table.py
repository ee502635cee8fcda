"""Cases in the table of the released Fundus2Video code: one row per frame.

Columns: orgid (patient), pid_eye (case), Phase, level_1 (time, which orders the frames of a phase), co_rigid and
fa_rigid (files of the photograph and of the frame registered to it, absolute or relative to the table's folder).

The released code leaves out the rows of the phases A and C and reads AV as V; `read_table` does so on request.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from pandas import DataFrame

from f2vbench.data.cases import PHASES, Case, FoundCases, Frame, sort_frames
from f2vbench.data.tables import limit_problems, read_csv
from f2vbench.errors import DataError, did_you_mean
from f2vbench.utils.text import plural

COLUMNS = ("orgid", "pid_eye", "Phase", "level_1", "co_rigid", "fa_rigid")

PhaseReading = Literal["named", "released"]
"""How the phases of a table are read; see `read_table`."""

_PHASE_NAMES = {
    **dict.fromkeys(("arterial", "artery", "vascular", "early", "a"), "arterial"),
    **dict.fromkeys(("venous", "vein", "mid", "middle", "v"), "venous"),
    **dict.fromkeys(("late", "l"), "late"),
}
_LEFT_OUT = ("a", "c")
_RELEASED_NAMES = {**_PHASE_NAMES, "av": "venous"}


class _TableRow(NamedTuple):
    patient: str
    photograph: Path
    frame: Frame


def read_table(file: Path, phases: PhaseReading = "named") -> FoundCases:
    """Read the cases of a table.

    Of several photographs of a case, the one with the most frames is used (the first of equals); the others are left
    out with their frames. A frame that is listed twice counts once. The notes name these cases, and the cases whose
    phases overlap in time: their frames are sorted by phase first, and by time within a phase.

    Args:
        file: The table.
        phases: ``named``: each row has an arterial, venous or late frame (or A, V, L). ``released``: as in the released
            code, rows of the phases A and C are left out, with a note, and AV is V.

    Raises:
        DataError: Missing columns, no rows, invalid values or missing files, with row and path; the first ten are
            listed.
    """
    table = _read(file)
    problems: list[str] = []
    exists: dict[Path, bool] = {}
    cases: dict[str, list[_TableRow]] = defaultdict(list)
    names = _RELEASED_NAMES if phases == "released" else _PHASE_NAMES
    left_out: Counter[str] = Counter()
    for position, row in enumerate(table.to_dict("records")):
        if phases == "released" and row["phase"].lower() in _LEFT_OUT:
            left_out[row["phase"].upper()] += 1
            continue
        where = f"{file}, row {position + 2}"
        row_problems = _row_problems(row, names)
        photograph, frame = (_resolve(file, row[column]) for column in ("co_rigid", "fa_rigid"))
        for column, path in (("co_rigid", photograph), ("fa_rigid", frame)):
            if row[column] and not exists.setdefault(path, path.is_file()):
                row_problems.append(f"{column}: file {path} not found")
        if row_problems:
            problems += [f"{where}: {problem}" for problem in row_problems]
            continue
        phase = names[str(row["phase"]).lower()]
        cases[row["pid_eye"]].append(_TableRow(row["orgid"], photograph, Frame(frame, phase, float(row["level_1"]))))
    for name, rows in cases.items():
        patients = sorted({row.patient for row in rows})
        if len(patients) > 1:
            problems.append(f"{file}: case '{name}' has several patients (orgid): {', '.join(patients)}")
    if problems:
        raise DataError(limit_problems(problems))
    if not cases:
        raise DataError(f"{file}: all rows have the phases A or C, which phases=released leaves out; use phases=named")
    notes = [
        f"{plural(count, 'row')} of phase {name} left out, as in the released code"
        for name, count in sorted(left_out.items())
    ]
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


def _row_problems(row: dict[str, str], names: Mapping[str, str]) -> list[str]:
    found = [f"no {column}" for column in ("orgid", "pid_eye", "co_rigid", "fa_rigid") if not row[column]]
    if row["phase"].lower() not in names:
        hint = did_you_mean(row["phase"].lower(), names)
        if row["phase"].lower() in (*_LEFT_OUT, *_RELEASED_NAMES):
            hint = "; `f2vbench train phases=released` leaves out A and C and reads AV as V, as the released code does"
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
