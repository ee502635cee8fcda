"""Classification data sets in their published structures, with files that are empty or tiny photographs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from openpyxl import Workbook

from tests.helpers.small_eyes import photograph, save


def touch(path: Path) -> Path:
    """Create an empty file; an index needs names only."""
    try:
        path.touch()
    except FileNotFoundError:
        path.parent.mkdir(parents=True)
        path.touch()
    return path


def write_split_folders(folder: Path, counts: Mapping[str, Mapping[str, int]], pictures: bool = False) -> Path:
    """Write RETFound's folders: split → class folder → number of images; all pictures differ."""
    seed = 0
    for split, classes in counts.items():
        for name, number in classes.items():
            for _ in range(number):
                path, seed = folder / split / name / f"{split}{seed}.png", seed + 1
                save(path, photograph(seed)) if pictures else touch(path)
    return folder


def write_table(path: Path, rows: Sequence[Sequence[str]], separator: str = ",") -> Path:
    """Write a CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(separator.join(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_sheet(path: Path, rows: Sequence[Sequence[Any]], title: str = "data") -> Path:
    """Write an Excel file with one sheet; None is an empty cell."""
    workbook = Workbook()
    workbook.active.title = title
    for row in rows:
        workbook.active.append(list(row))
    path.parent.mkdir(parents=True, exist_ok=True)
    workbook.save(path)
    return path
