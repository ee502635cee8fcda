"""Photographs with registered angiogram frames, as `f2vbench train` reads them.

Either the table of the released Fundus2Video code (`f2vbench.data.case_table`; video.csv below the folder, or the
table itself), or one folder per case with a photograph and frames (`f2vbench.data.cases`).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.case_table import read_table
from f2vbench.data.cases import EXPECTED_FOLDERS, FRAMES_PER_PHASE, FoundCases, drop_incomplete_cases, read_folder
from f2vbench.data.folder_scan import find_root, folders_in
from f2vbench.data.index_rows import Row, index_from_rows, safe_id
from f2vbench.data.layouts.options import read_options
from f2vbench.data.patient_names import eye_of, patient_and_eye


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index, with one row per photograph (CF) and one per frame (FFA).

    Cases without a frame of each phase are left out.

    Args:
        folder: The folder of the table or of the cases, or the table itself.
        options: ``table``: file name of the table (default video.csv).
    """
    table = read_options(options, {"table": ("video.csv", str)})["table"]
    listed, root = _find_cases(folder, table)
    found = drop_incomplete_cases(listed, FRAMES_PER_PHASE, minimum=1)
    rows: list[Row] = []
    for case in found.cases:
        photograph = Row(
            _id(case.photograph, root, case.name),
            case.photograph,
            patient=case.patient,
            eye=_eye(case.name),
            case=case.name,
        )
        rows.append(photograph)
        for frame in case.frames:
            seconds = f"{frame.seconds:.10g}"
            name = _id(frame.path, root, case.name)
            rows.append(
                replace(photograph, image=name, path=frame.path, modality="FFA", phase=frame.phase, seconds=seconds)
            )
    return index_from_rows(rows, found.notes)


def _find_cases(folder: Path, name: str) -> tuple[FoundCases, Path]:
    """The cases, and the folder that image ids are relative to."""
    if folder.is_file():
        return read_table(folder), folder.parent
    if not (folder / name).is_file() and any((place / "frames").is_dir() for place in folders_in(folder)):
        return read_folder(folder), folder
    root = find_root(folder, lambda place: (place / name).is_file(), f"the table {name}, or {EXPECTED_FOLDERS}")
    return read_table(root / name), root


def _eye(case: str) -> str:
    """The eye at the end of a case name, such as ``…_right``, ``…_OD`` or ``…_R``; "" if there is none."""
    found = patient_and_eye(case)
    return found[1] if found else eye_of(case) or ""


def _id(path: Path, root: Path, case: str) -> str:
    """The path relative to the root; ids of files outside it start with the case name."""
    try:
        name = path.relative_to(root.absolute()).with_suffix("").as_posix()
    except ValueError:
        name = f"{case}-{path.stem}"
    return safe_id(name)
