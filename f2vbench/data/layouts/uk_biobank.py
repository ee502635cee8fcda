"""UK Biobank: right-eye photographs (field 21016) and the user's own table of outcomes.

    any folders below/1000123_21016_0_0.png      <participant>_21016_<visit>_<number>.png, as delivered
    outcomes.csv: columns eid, age (at that visit, years) and one column of 0, 1 or nothing for each outcome

One photograph per participant: the first one of the first visit that has one. Controls are drawn so that every
five-year age band has as many controls as cases (as many cases as controls where controls are fewer). The draw depends
on participant and outcome only. Participants without a photograph or without an outcome are left out. All other columns
of the table, such as age and sex, are kept for subgroups.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pandas import DataFrame

from f2vbench.data.folder_scan import find_root
from f2vbench.data.index_rows import Row, index_from_rows
from f2vbench.data.layouts.options import read_options
from f2vbench.data.tables import limit_problems, read_csv
from f2vbench.errors import DataError
from f2vbench.utils.files import canonical_json, sha256
from f2vbench.utils.text import plural

_NAME = re.compile(r"(\d+)_21016_(\d+)_(\d+)\.(?:png|jpe?g|tiff?)", re.IGNORECASE)
_BAND_YEARS = 5


class _Participant(NamedTuple):
    label: str
    age: float
    columns: dict[str, str]


class _Photograph(NamedTuple):
    """Compared by visit, then by number."""

    visit: int
    number: int
    path: Path


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index of the photographs below the folder of the table; labels are "0" and "1".

    Args:
        folder: The folder of the table, or a folder around it.
        options: ``table`` (default outcomes.csv), ``outcome``: its column (default stroke), ``visit``: first (default)
            or the number of a visit, ``balance``: age (default) or none.
    """
    allowed = {"table": ("outcomes.csv", str), "outcome": ("stroke", str), "visit": ("first", 0, 1, 2, 3)}
    chosen = read_options(options, {**allowed, "balance": ("age", "none")})
    name, outcome = chosen["table"], chosen["outcome"].lower()
    expected = f"the table {name} beside (or above) photographs named <participant>_21016_<visit>_<number>.png"
    root = find_root(folder, lambda place: (place / name).is_file(), expected)
    participants = _read_participants(root / name, outcome, needs_age=chosen["balance"] == "age")
    photographs = _find_photographs(root, chosen["visit"])
    if not photographs:
        raise DataError(f"{root}: expected {expected}; found only the table")
    usable = sorted(photographs.keys() & participants.keys())
    kept = _balance_by_age(usable, participants, outcome) if chosen["balance"] == "age" else usable
    rows = [
        Row(
            f"{eid}_{photographs[eid].visit}_{photographs[eid].number}",
            photographs[eid].path,
            patient=eid,
            eye="right",
            label=participants[eid].label,
            columns=participants[eid].columns,
        )
        for eid in kept
    ]
    cases = sum(participants[eid].label == "1" for eid in usable)
    notes = [
        f"{plural(len(photographs), 'participant')} with a right-eye photograph, {len(usable):,} with an outcome "
        f"({plural(cases, 'case')})"
    ]
    if len(kept) < len(usable):
        notes.append(f"balanced in age bands of {_BAND_YEARS} years: {plural(len(kept), 'participant')} used")
    return index_from_rows(rows, notes)


def _read_participants(table: Path, outcome: str, needs_age: bool) -> dict[str, _Participant]:
    """Participants with an outcome, by number.

    Raises:
        DataError: Missing columns, repeated participants, outcomes other than 0 and 1, invalid ages.
    """
    frame = read_csv(table, ("eid", outcome, *(["age"] if needs_age else [])))
    found: dict[str, _Participant] = {}
    problems: list[str] = []
    for position, row in enumerate(frame.to_dict("records")):
        where, eid, label = f"{table}, row {position + 2}", row["eid"], re.sub(r"^([01])\.0$", r"\1", row[outcome])
        age = _age(row.get("age", ""))
        if eid in found:
            problems.append(f"{where}: participant {eid} is listed twice")
        elif label not in ("0", "1", ""):
            problems.append(f"{where}: {outcome} '{row[outcome]}' must be 0, 1 or empty")
        elif label and needs_age and age is None:
            problems.append(f"{where}: age '{row['age']}' must be in years; without ages set options `balance: none`")
        elif label:
            columns = {str(name): cell for name, cell in row.items() if name not in ("eid", outcome)}
            found[eid] = _Participant(label, age or 0.0, columns)
    if problems:
        raise DataError(limit_problems(problems))
    return found


def _age(text: str) -> float | None:
    try:
        age = float(text)
    except ValueError:
        return None
    return age if 0 < age < 130 else None


def _find_photographs(root: Path, visit: str | int) -> dict[str, _Photograph]:
    """The photograph of each participant."""
    found: dict[str, _Photograph] = {}
    for path in root.rglob("*_21016_*"):
        name = _NAME.fullmatch(path.name)
        if name and visit in ("first", int(name[2])):
            photograph = _Photograph(int(name[2]), int(name[3]), path)
            found[name[1]] = min(found.get(name[1], photograph), photograph)
    return found


def _balance_by_age(usable: Iterable[str], participants: Mapping[str, _Participant], outcome: str) -> list[str]:
    """As many participants with the outcome as without it in every age band."""
    groups: dict[tuple[int, str], list[str]] = defaultdict(list)
    for eid in usable:
        groups[int(participants[eid].age // _BAND_YEARS), participants[eid].label].append(eid)
    kept = []
    for band in sorted({band for band, _ in groups}):
        sides = [sorted(groups[band, label], key=lambda eid: _order(outcome, eid)) for label in ("0", "1")]
        size = min(map(len, sides))
        kept += [eid for side in sides for eid in side[:size]]
    return sorted(kept)


def _order(outcome: str, eid: str) -> str:
    return sha256(canonical_json(["uk_biobank", outcome, eid]))
