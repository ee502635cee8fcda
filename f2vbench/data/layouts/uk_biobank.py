"""UK Biobank: right-eye photographs (field 21016) and the user's own table of outcomes.

    any folders below/1000123_21016_0_0.png      <participant>_21016_<visit>_<number>.png, as delivered
    outcomes.csv: columns eid, age (at that visit, years) and one of 0, 1 or nothing for each outcome

One photograph a participant: of the first visit that has one, and of it the first. Controls are drawn so that every
band of five years of age has as many as it has cases, and cases where controls are the fewer; which ones depends on
participant and outcome alone. Participants without a photograph or without an outcome are left out.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.folder_scan import Row, find_root, index_from_rows, read_csv, read_options
from f2vbench.errors import DataError
from f2vbench.utils.files import canonical_json, sha256

_NAME = re.compile(r"(\d+)_21016_(\d+)_(\d+)\.(?:png|jpe?g|tiff?)", re.IGNORECASE)
_BAND = 5
_MOST_TOLD = 20


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index of the photographs below the folder that holds the table; labels are "0" and "1".

    Args:
        options: ``table`` (outcomes.csv), ``outcome``: its column (stroke), ``visit``: first, or one visit's number,
            ``balance``: age or none.
    """
    allowed = {"table": ("outcomes.csv", str), "outcome": ("stroke", str), "visit": ("first", 0, 1, 2, 3)}
    chosen = read_options(options, {**allowed, "balance": ("age", "none")})
    name, outcome = chosen["table"], chosen["outcome"].lower()
    expected = f"the table {name} beside (or above) photographs named <participant>_21016_<visit>_<number>.png"
    root = find_root(folder, lambda place: (place / name).is_file(), expected)
    people = _people(root / name, outcome, needs_age=chosen["balance"] == "age")
    photographs = _photographs(root, chosen["visit"])
    if not photographs:
        raise DataError(f"{root}: expected {expected}; found the table alone")
    usable = sorted(photographs.keys() & people.keys())
    kept = _balanced(usable, people, outcome) if chosen["balance"] == "age" else usable
    notes = _notes(people, photographs, usable, kept)
    rows = [
        Row(f"{eid}_{visit}_{number}", path, patient=eid, eye="right", label=people[eid][0])
        for eid in kept
        for visit, number, path in [photographs[eid]]
    ]
    return index_from_rows(rows, notes)


def _people(table: Path, outcome: str, needs_age: bool) -> dict[str, tuple[str, float]]:
    """(outcome, age) of the participants that have one, by number.

    Raises:
        DataError: columns missing, participants twice, outcomes other than 0 and 1, ages that are none.
    """
    frame = read_csv(table, ("eid", outcome, *(["age"] if needs_age else [])))
    found: dict[str, tuple[str, float]] = {}
    problems: list[str] = []
    for position, row in enumerate(frame.to_dict("records")):
        where, eid, label = f"{table}, row {position + 2}", row["eid"], re.sub(r"^([01])\.0$", r"\1", row[outcome])
        age = _age(row.get("age", ""))
        if eid in found:
            problems.append(f"{where}: participant {eid} is listed twice")
        elif label not in ("0", "1", ""):
            problems.append(f"{where}: {outcome} is '{row[outcome]}': write 0, 1 or nothing")
        elif label and needs_age and age is None:
            problems.append(f"{where}: age is '{row['age']}': write years, or set options `balance: none`")
        elif label:
            found[eid] = (label, age or 0.0)
    if problems:
        more = [f"… and {len(problems) - _MOST_TOLD} more rows"] if len(problems) > _MOST_TOLD else []
        raise DataError(problems[:_MOST_TOLD] + more)
    return found


def _age(text: str) -> float | None:
    try:
        age = float(text)
    except ValueError:
        return None
    return age if 0 < age < 130 else None


def _photographs(root: Path, visit: str | int) -> dict[str, tuple[int, int, Path]]:
    """(visit, number, file) of the one photograph of each participant."""
    found: dict[str, tuple[int, int, Path]] = {}
    for path in root.rglob("*_21016_*"):
        name = _NAME.fullmatch(path.name)
        if name and visit in ("first", int(name[2])):
            one = (int(name[2]), int(name[3]), path)
            found[name[1]] = min(found.get(name[1], one), one)
    return found


def _balanced(usable: Iterable[str], people: dict[str, tuple[str, float]], outcome: str) -> list[str]:
    """As many with the outcome as without it in every band of age."""
    bands: dict[tuple[int, str], list[str]] = defaultdict(list)
    for eid in usable:
        label, age = people[eid]
        bands[int(age // _BAND), label].append(eid)
    kept = []
    for band in sorted({band for band, _ in bands}):
        sides = [sorted(bands[band, label], key=lambda eid: _order(outcome, eid)) for label in ("0", "1")]
        fewest = min(map(len, sides))
        kept += [eid for side in sides for eid in side[:fewest]]
    return sorted(kept)


def _order(outcome: str, eid: str) -> str:
    return sha256(canonical_json(["uk_biobank", outcome, eid]))


def _notes(
    people: dict[str, tuple[str, float]],
    photographs: dict[str, tuple[int, int, Path]],
    usable: list[str],
    kept: list[str],
) -> list[str]:
    cases = sum(people[eid][0] == "1" for eid in usable)
    notes = [
        f"{len(photographs)} participants have a right-eye photograph, {len(usable)} of them an outcome ({cases} 1)"
    ]
    if len(kept) < len(usable):
        notes.append(f"balanced by age in bands of {_BAND} years: {len(kept)} participants are used")
    return notes
