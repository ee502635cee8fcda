"""Photographs with angiogram frames registered to them, as `f2vbench train` reads them.

The table of the released Fundus2Video code (`f2vbench.data.case_table`; video.csv below the folder, or the table
itself), or a folder a case with a photograph and frames (`f2vbench.data.cases`).
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.case_table import read_table
from f2vbench.data.cases import FRAMES_PER_PHASE, FoundCases, drop_incomplete_cases, read_folder
from f2vbench.data.folder_scan import Row, find_root, folders_in, index_from_rows, read_options, safe_id


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index: one row a photograph (CF) and one a frame (FFA); cases without a frame of each phase are left out.

    Args:
        folder: the folder of the table or of the cases, or the table itself.
        options: ``table``: its file name (video.csv).
    """
    table = read_options(options, {"table": ("video.csv", str)})["table"]
    listed, root = _listed(folder, table)
    found = drop_incomplete_cases(listed, FRAMES_PER_PHASE, minimum=1)
    rows: list[Row] = []
    for case in found.cases:
        eye = Row(
            _id(case.photograph, root, case.name),
            case.photograph,
            patient=case.patient,
            eye=_eye(case.name),
            case=case.name,
        )
        rows.append(eye)
        for frame in case.frames:
            when = f"{frame.seconds:.10g}"
            name = _id(frame.path, root, case.name)
            rows.append(replace(eye, image=name, path=frame.path, modality="FFA", phase=frame.phase, seconds=when))
    return index_from_rows(rows, found.notes)


def _listed(folder: Path, name: str) -> tuple[FoundCases, Path]:
    """The cases, and the folder that their files' names are told from."""
    if folder.is_file():
        return read_table(folder), folder.parent
    if not (folder / name).is_file() and any((place / "frames").is_dir() for place in folders_in(folder)):
        return read_folder(folder), folder
    root = find_root(
        folder,
        lambda place: (place / name).is_file(),
        f"the table {name}, or a folder a case with photograph.png and frames/",
    )
    return read_table(root / name), root


def _eye(case: str) -> str:
    """The eye that an examination's name ends on: ``…_right``, ``…_OD``, ``…_R`` and the like."""
    end = re.split(r"[_\- ]", case)[-1].lower()
    return {"right": "right", "r": "right", "od": "right", "left": "left", "l": "left", "os": "left"}.get(end, "")


def _id(path: Path, root: Path, case: str) -> str:
    """The path below the table's folder; files from elsewhere are called by their case."""
    try:
        name = path.relative_to(root.absolute()).with_suffix("").as_posix()
    except ValueError:
        name = f"{case}-{path.stem}"
    return safe_id(name)
