"""Cells of the first sheet of an .xlsx file, for label tables whose owners publish nothing else.

An .xlsx file is a zip archive of XML (ECMA-376, SpreadsheetML); values are read, nothing is computed. Sizes are
bounded before anything is unpacked, and declarations of entities are refused.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from xml.etree import ElementTree

from f2vbench.errors import DataError

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_MOST_BYTES = 200_000_000


def read_sheet(path: Path) -> list[list[str]]:
    """Rows of stripped strings, all of one length; empty cells are "" and rows without any cell are left out.

    Numbers come as the file writes them ("2", "0.5"); dates are the numbers that spreadsheets keep them as.

    Raises:
        DataError: no .xlsx file, damaged, or unreasonably large.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            texts = _shared_texts(archive)
            rows = [_cells(row, texts) for row in _parse(archive, _first_sheet(archive)).iter(f"{_MAIN}row")]
    except (OSError, ValueError, KeyError, IndexError, zipfile.BadZipFile, ElementTree.ParseError) as error:
        raise DataError(f"{path}: can't be read as .xlsx ({error}): download it again, or save it as CSV") from None
    rows = [row for row in rows if row]
    width = max((max(row) for row in rows), default=-1) + 1
    return [[row.get(column, "") for column in range(width)] for row in rows]


def _first_sheet(archive: zipfile.ZipFile) -> str:
    """Name inside the archive of the sheet that is listed first."""
    sheet = next(_parse(archive, "xl/workbook.xml").iter(f"{_MAIN}sheet"))
    wanted = sheet.attrib[_RELATION]
    for relation in _parse(archive, "xl/_rels/workbook.xml.rels"):
        if relation.attrib["Id"] == wanted:
            target = relation.attrib["Target"]
            return target.lstrip("/") if target.startswith("/") else f"xl/{target}"
    raise KeyError(f"no sheet {wanted}")


def _shared_texts(archive: zipfile.ZipFile) -> list[str]:
    if "xl/sharedStrings.xml" not in archive.namelist():
        return []
    return [_text(item) for item in _parse(archive, "xl/sharedStrings.xml").iter(f"{_MAIN}si")]


def _text(item: ElementTree.Element) -> str:
    """Text of a string item: its runs, without the phonetic ones that East Asian files add."""
    runs = [item, *item.findall(f"{_MAIN}r")]
    return "".join(part.text or "" for run in runs for part in run.findall(f"{_MAIN}t"))


def _cells(row: ElementTree.Element, texts: list[str]) -> dict[int, str]:
    """Values by column from 0."""
    found: dict[int, str] = {}
    for position, cell in enumerate(row.findall(f"{_MAIN}c")):
        column = _column(cell.attrib["r"]) if "r" in cell.attrib else position
        value = cell.find(f"{_MAIN}v")
        held = cell.find(f"{_MAIN}is")
        if held is not None:
            text = _text(held)
        elif value is None or value.text is None:
            continue
        else:
            text = texts[int(value.text)] if cell.get("t") == "s" else value.text
        if text.strip():
            found[column] = text.strip()
    return found


def _column(reference: str) -> int:
    """``"A1"`` → 0, ``"AB12"`` → 27."""
    letters = re.match(r"[A-Z]+", reference)
    if letters is None:
        raise ValueError(f"'{reference}' is no cell")
    number = 0
    for letter in letters[0]:
        number = 26 * number + ord(letter) - 64
    return number - 1


def _parse(archive: zipfile.ZipFile, name: str) -> ElementTree.Element:
    if archive.getinfo(name).file_size > _MOST_BYTES:
        raise ValueError(f"{name} is larger than any label table")
    content = archive.read(name)
    if b"<!ENTITY" in content or b"<!DOCTYPE" in content:
        raise ValueError(f"{name} declares entities")
    return ElementTree.fromstring(content)
