"""Patient and eye in the names of files, by one rule for all layouts whose folders have no table of patients."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from f2vbench.data.dicom import DICOM_SUFFIXES, patient_and_eye_in_dicom
from f2vbench.data.folder_scan import find_file, split_suffix
from f2vbench.data.tables import limit_problems, read_csv
from f2vbench.errors import DataError
from f2vbench.utils.text import plural, shortened

TABLE = "patients.csv"
"""Name of the optional table: columns image (file name, or path below the table's folder) and patient, perhaps eye.

All other columns, such as age and sex, are kept for subgroups.
"""

PatientAndEye = Callable[[str], "tuple[str, str] | None"]
"""Patient and eye from a file name without suffix; None if the name does not contain them."""

EYE_WORDS = "left|right|OD|OS|L|R"
"""The words for an eye as a regular expression, to be matched without regard to case."""

SEPARATORS = "[ _.-]"
"""The characters between patient and eye, as a regular expression."""

_NAME = re.compile(
    rf"(?P<patient>.*[^ _.-]){SEPARATORS}+(?P<eye>{EYE_WORDS})|(?P<number>.*\d)(?P<side>OD|OS|L|R)", re.IGNORECASE
)
_EYES = {"l": "left", "left": "left", "os": "left", "r": "right", "right": "right", "od": "right"}
_REMEDY = f"{TABLE} (columns image, patient) into the folder of the data set"


def eye_of(word: str) -> str | None:
    """The eye that a word names, ignoring case: "left", "right", "" for an empty word, None for another word.

    >>> eye_of("OS"), eye_of("r"), eye_of(""), eye_of("both")
    ('left', 'right', '', None)
    """
    return _EYES.get(word.lower()) if word else ""


def read_eye(row: Mapping[Any, str], where: str, problems: list[str]) -> str:
    """The eye in the column ``eye`` of a table.

    Args:
        row: Row of the table by column; without the column, the eye is unknown.
        where: The table and the row, for messages.
        problems: Receives a sentence if the word names no eye.

    Returns:
        "left", "right", or "" if unknown.
    """
    eye = eye_of(row.get("eye", ""))
    if eye is None:
        problems.append(f"{where}: eye '{row['eye']}' must be left, right (or OS, OD, L, R) or empty")
    return eye or ""


def patient_and_eye(stem: str) -> tuple[str, str] | None:
    """Patient and eye of a file named ``<patient>_left``, ``<patient>-OD``, ``12R`` and so on.

    Separators are spaces, underscores, dots and hyphens; a number needs none. Case is ignored.

    Args:
        stem: File name without suffix.

    Returns:
        Patient and "left" or "right"; None if the name does not end in an eye.
    """
    match = _NAME.fullmatch(stem)
    if match is None:
        return None
    return match["patient"] or match["number"], _EYES[(match["eye"] or match["side"]).lower()]


@dataclass(frozen=True)
class Patients:
    """The patients of a folder's images.

    Attributes:
        of: Patient and eye ("left", "right" or "") by file; files that are not listed have no known patient.
        warnings: What was assumed, for the user; empty if a table names all patients.
        notes: What is known of a published data set without patients.
        columns: Further columns of the table by file, see `f2vbench.data.index_rows.Row`.
    """

    of: Mapping[Path, tuple[str, str]]
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()
    columns: Mapping[Path, Mapping[str, str]] = field(default_factory=dict)


def find_patients(
    root: Path, files: Iterable[Path], from_name: PatientAndEye = patient_and_eye, unknown: str | None = None
) -> Patients:
    """Patients from a table ``patients.csv`` in the root, or else from DICOM files and from the names of other files.

    Args:
        root: Root of the data set.
        files: All image files of the data set, below the root.
        from_name: Patient and eye from a file name without suffix.
        unknown: Note of a published data set if no name contains a patient ("" for none), instead of the warning.

    Raises:
        DataError: The table lacks an image or a patient, lists an image twice or one that does not exist, or names an
            image by a file name that occurs in several folders.
    """
    paths = list(files)
    table = find_file(root, TABLE)
    if table is not None:
        rows = _read_table(table, root, paths)
        own = ("image", "patient", "eye")
        columns = {path: {name: cell for name, cell in row.items() if name not in own} for path, row in rows.items()}
        return Patients({path: (row["patient"], row["eye"]) for path, row in rows.items()}, columns=columns)
    dicom = _in_dicom_files(paths)
    others = [path for path in paths if path not in dicom]
    named = {path: found for path in others if (found := from_name(split_suffix(path.name)[0])) is not None}
    notes = [f"patients of {plural(len(dicom), 'DICOM file')} are read from the files"] if dicom else []
    if unknown is not None and not named:
        return Patients(dicom, notes=[*notes, unknown] if unknown and others else notes)
    return Patients({**dicom, **named}, [_assumption(others, named)] if others else [], notes)


def _in_dicom_files(paths: Iterable[Path]) -> dict[Path, tuple[str, str]]:
    """Patient and eye of the DICOM files that name a patient."""
    found = {path: patient_and_eye_in_dicom(path) for path in paths if path.suffix.lower() in DICOM_SUFFIXES}
    return {path: (patient, eye) for path, (patient, eye) in found.items() if patient}


def _assumption(paths: list[Path], named: Mapping[Path, tuple[str, str]]) -> str:
    remedy = f"if patients have several images, write {_REMEDY}"
    if not named:
        return f"patients are unknown: every image counts as its own patient; {remedy}"
    patients = Counter(patient for patient, _ in named.values())
    both = sum(count > 1 for count in patients.values())
    example = next(iter(named))
    others = len(paths) - len(named)
    rest = f"; the other {plural(others, 'image')} count as a patient each" if others else ""
    return (
        f"patients are read from {plural(len(named), 'file name')} such as {example.name} (patient "
        f"{named[example][0]}, {named[example][1]} eye): {plural(len(patients), 'patient')}, {both} with several "
        f"images{rest}; if this is wrong, write {_REMEDY}"
    )


def _read_table(table: Path, root: Path, paths: list[Path]) -> dict[Path, dict[str, str]]:
    """The row of each file, with "left", "right" or "" in the column eye."""
    by_name: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        relative = path.relative_to(root).as_posix()
        for name in {path.name, split_suffix(path.name)[0], relative, split_suffix(relative)[0]}:
            by_name[name].append(path)
    found: dict[Path, dict[str, str]] = {}
    problems: list[str] = []
    for position, row in enumerate(read_csv(table, ("image", "patient")).to_dict("records")):
        where = f"{table}, row {position + 2}"
        files = by_name.get(row["image"], [])
        if len(files) != 1:
            several = f"is the name of {len(files)} files; write its path" if files else "not found"
            problems.append(f"{where}: image '{row['image']}' {several}")
        elif files[0] in found:
            problems.append(f"{where}: image '{row['image']}' is listed twice")
        elif not row["patient"]:
            problems.append(f"{where}: image '{row['image']}' has no patient")
        else:
            found[files[0]] = {str(name): cell for name, cell in row.items()} | {"eye": read_eye(row, where, problems)}
    missing = [path.relative_to(root).as_posix() for path in paths if path not in found]
    if missing and not problems:
        problems.append(f"{table}: images without a row: {shortened(missing)}")
    if problems:
        raise DataError(limit_problems(problems))
    return found
