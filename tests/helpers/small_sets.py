"""Classification data sets in their published structures, with files that are empty or tiny photographs."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

from tests.helpers.small_eyes import photograph, save


def touch(path: Path) -> Path:
    """An empty file; an index is built from names alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def write_parts(folder: Path, counts: Mapping[str, Mapping[str, int]], pictures: bool = False) -> Path:
    """RETFound's folders: part → class folder → number of images; pictures are all different."""
    seed = 0
    for part, classes in counts.items():
        for name, number in classes.items():
            for _ in range(number):
                path, seed = folder / part / name / f"{part}{seed}.png", seed + 1
                save(path, photograph(seed)) if pictures else touch(path)
    return folder


def write_table(path: Path, rows: Sequence[Sequence[str]], separator: str = ",") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(separator.join(row) + "\n" for row in rows), encoding="utf-8")
    return path


def write_sheet(path: Path, rows: Sequence[Sequence[str | int | float | None]]) -> Path:
    """An .xlsx file of one sheet as spreadsheet programs write it: shared strings, numbers, gaps for empty cells."""
    texts = list(dict.fromkeys(cell for row in rows for cell in row if isinstance(cell, str)))
    lines = []
    for number, row in enumerate(rows, start=1):
        cells = [
            f'<c r="{_letters(column)}{number}" t="s"><v>{texts.index(cell)}</v></c>'
            if isinstance(cell, str)
            else f'<c r="{_letters(column)}{number}"><v>{cell}</v></c>'
            for column, cell in enumerate(row)
            if cell is not None
        ]
        lines.append(f'<row r="{number}">{"".join(cells)}</row>')
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    strings = "".join(f'<si><t xml:space="preserve">{escape(text)}</t></si>' for text in texts)
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets>'
            '<sheet name="data" sheetId="1" r:id="rId7"/></sheets></workbook>',
        )
        archive.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{package}"><Relationship Id="rId1" Type="styles" Target="styles.xml"/>'
            '<Relationship Id="rId7" Type="worksheet" Target="worksheets/sheet3.xml"/></Relationships>',
        )
        archive.writestr("xl/sharedStrings.xml", f'<sst xmlns="{main}">{strings}</sst>')
        archive.writestr(
            "xl/worksheets/sheet3.xml",
            f'<worksheet xmlns="{main}"><sheetData>{"".join(lines)}</sheetData></worksheet>',
        )
    return path


def _letters(column: int) -> str:
    return chr(65 + column) if column < 26 else chr(64 + column // 26) + chr(65 + column % 26)
