"""Croissant metadata of a simulated data set: a JSON-LD description of its files, tables and columns.

Croissant is the vocabulary of MLCommons for machine-learning data sets (https://docs.mlcommons.org/croissant), which
data set search and loaders such as mlcroissant read.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from f2vbench.errors import StoreError
from f2vbench.phantom.cohort import VERSION, Cohort
from f2vbench.phantom.outcomes import OUTCOMES
from f2vbench.utils.files import sha256, write_atomically

NAME = "croissant.json"
_CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
_PNG = "image/png"
_TABLES = {
    "eyes.csv": "One row per eye: patient, eye, split, age, sex, labels, and the drawn quantities.",
    "quantities.csv": "Unit, mean, standard deviation, range and source of each drawn quantity.",
    "systemic.csv": "Four systemic outcomes as 0 and 1, with age, sex and split.",
    "retrieval.csv": "One row per image: patient, eye, modality and view.",
    "video.csv": "One row per angiogram frame: patient, case, phase, seconds after injection, photograph and frame.",
}
_FILE_SETS = {
    "images": ("images/*.png", _PNG, "Photographs and other still images of each eye."),
    "frames": ("frames/*/*.png", _PNG, "Angiogram frames, a folder for each eye."),
    "masks": ("masks/*/*.png", _PNG, "Masks (0 and 255) by kind: vessels, disc, cup and lesions."),
    "trees": ("trees/*.npz", "application/octet-stream", "Vessels as vectors (NumPy archives)."),
}
_PATHS = {"image": "images", "co_rigid": "images", "fa_rigid": "frames"}
"""Columns that contain the path of a file, and the set it belongs to."""
_INTEGERS = {"dr_grade", "glaucoma_stage", *OUTCOMES}


def write_croissant(out: Path, cohort: Cohort) -> Path:
    """Write the metadata of a complete data set into its folder; equal data sets give equal bytes.

    Args:
        out: Folder of the data set.
        cohort: The cohort.

    Returns:
        Path of the file.

    Raises:
        StoreError: The folder is not readable or not writable.
    """
    content = json.dumps(croissant(out, cohort), indent=1, ensure_ascii=False) + "\n"
    write_atomically(out / NAME, content.encode())
    return out / NAME


def croissant(out: Path, cohort: Cohort) -> dict[str, Any]:
    """Metadata of a complete data set as JSON-LD.

    Args:
        out: Folder of the data set.
        cohort: The cohort.

    Raises:
        StoreError: A table is not readable.
    """
    context = json.loads(files(__package__).joinpath("croissant_context.json").read_text(encoding="utf-8"))
    about = f"f2vbench phantom, simulator version {VERSION}, seed {cohort.seed}, {cohort.size} px"
    tables = {name: _read(out / name) for name in _TABLES if (out / name).is_file()}
    sets = [name for name, (pattern, _, _) in _FILE_SETS.items() if any(out.glob(pattern))]
    images = [name for name in sets if _FILE_SETS[name][1] == _PNG]
    return {
        "@context": context,
        "@type": "sc:Dataset",
        "name": f"f2vbench-phantom-{cohort.patients}-{cohort.seed}",
        "description": f"Simulated eyes of {cohort.patients} patients, two eyes each ({about}). No data comes from a "
        "real person.",
        "conformsTo": _CONFORMS_TO,
        "license": "https://opensource.org/license/mit",
        "citeAs": f"{about}; f2vbench {version('f2vbench')}",
        "version": f"{VERSION}.0.0",
        "isLiveDataset": False,
        "distribution": [
            *(_file_object(name, content) for name, content in tables.items()),
            *map(_file_set, sets),
        ],
        "recordSet": [*map(_file_records, images), *(_table_records(*item, sets) for item in tables.items())],
    }


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise StoreError(f"{file}: can't be read ({error.strerror or error})") from error


def _file_object(name: str, content: bytes) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "description": _TABLES[name],
        "contentUrl": name,
        "contentSize": f"{len(content)} B",
        "encodingFormat": "text/csv",
        "sha256": sha256(content),
    }


def _file_set(name: str) -> dict[str, Any]:
    pattern, encoding, description = _FILE_SETS[name]
    return {
        "@type": "cr:FileSet",
        "@id": name,
        "name": name,
        "description": description,
        "encodingFormat": encoding,
        "includes": pattern,
    }


def _file_records(name: str) -> dict[str, Any]:
    """Path and content of each image of a set."""
    fields = [("path", "sc:Text", "fullpath"), ("content", "sc:ImageObject", "content")]
    return {
        "@type": "cr:RecordSet",
        "@id": f"{name}-files",
        "name": f"{name}-files",
        "description": _FILE_SETS[name][2],
        "key": {"@id": f"{name}-files/path"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}-files/{field}",
                "name": field,
                "dataType": data_type,
                "source": {"fileSet": {"@id": name}, "extract": {"fileProperty": source}},
            }
            for field, data_type, source in fields
        ],
    }


def _table_records(name: str, content: bytes, sets: list[str]) -> dict[str, Any]:
    """One field for each column of a table."""
    table = name.removesuffix(".csv")
    return {
        "@type": "cr:RecordSet",
        "@id": table,
        "name": table,
        "description": _TABLES[name],
        "field": [_column(table, name, column, kind, sets) for column, kind in _column_types(content)],
    }


def _column(table: str, name: str, column: str, kind: str, sets: list[str]) -> dict[str, Any]:
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{table}/{column}",
        "name": column,
        "dataType": kind,
        "source": {"fileObject": {"@id": name}, "extract": {"column": column}},
    }
    if _PATHS.get(column) in sets:
        field["references"] = {"field": {"@id": f"{_PATHS[column]}-files/path"}}
    return field


def _column_types(content: bytes) -> Iterator[tuple[str, str]]:
    """Name and data type of each column."""
    rows = list(csv.DictReader(io.StringIO(content.decode())))
    for column in rows[0] if rows else ():
        numeric = all(_is_number(row[column]) for row in rows)
        yield column, "sc:Integer" if column in _INTEGERS else "sc:Float" if numeric else "sc:Text"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text == ""
    return True
