"""Where the numbers come from: weights, data and software of the runs in a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from f2vbench.report.tables.table import Cell, Column, Table
from f2vbench.report.text.methods import card_of, software_text
from f2vbench.report.text.wording import NONE, kind_of
from f2vbench.store.record_schema import CallRecord, UnitRecord

_SHOWN = 16


def provenance_tables(
    records: Sequence[UnitRecord], sources: Sequence[Path], calls: Sequence[CallRecord]
) -> list[Table]:
    """Models with the hash of their tensors, data with their fingerprint, and the software that computed them."""
    return [_models(records), _data(records, calls), _software(records, sources)]


def _models(records: Sequence[UnitRecord]) -> Table:
    found: dict[tuple[str, ...], int] = Counter()
    for record in records:
        made = record["provenance"]
        about = kind_of(record["floor"], record["weights"]), made.get("weights_sha256") or NONE
        where = str(made.get("device", NONE)), str(made.get("precision", NONE))
        key = record["unit"]["encoder"], *about, *where
        found[key] += 1
    columns = [
        Column(title, numeric=False) for title in ("model", "weights", "SHA-256 of the tensors", "device", "precision")
    ]
    rows = [[*map(Cell, key), Cell(f"{count:,}", count)] for key, count in sorted(found.items())]
    return Table("models", "Models", "SHA-256 over the tensors as loaded.", [*columns, Column("units")], rows)


def _data(records: Sequence[UnitRecord], calls: Sequence[CallRecord]) -> Table:
    columns = [Column("task", numeric=False), Column("data set", numeric=False), Column("images"), Column("patients")]
    columns += [Column("fingerprint of the data", numeric=False), Column("terms", numeric=False)]
    rows = []
    for task in dict.fromkeys(record["unit"]["task"] for record in records):
        held = card_of(task, calls)
        card = held.get("card", {})
        prints = dict.fromkeys(
            str(record["identity"].get("data", NONE)) for record in records if record["unit"]["task"] == task
        )
        counts = [held.get(name) for name in ("images", "patients")]
        rows.append(
            [
                Cell(task),
                Cell(str(card.get("title", NONE))),
                *(Cell(NONE if count is None else f"{count:,}", count) for count in counts),
                Cell(", ".join(one[:_SHOWN] for one in prints)),
                Cell(" ".join(str(card.get("terms", NONE)).split())),
            ]
        )
    return Table(
        "data", "Data", "Fingerprints are over ids, patients, splits and contents of all images.", columns, rows
    )


def _software(records: Sequence[UnitRecord], sources: Sequence[Path]) -> Table:
    found: dict[tuple[str, str, str], int] = Counter()
    places = [str(path) for path in sources] or [NONE] * len(records)
    for record, place in zip(records, places, strict=True):
        machine = record["provenance"].get("machine", {})
        what = ", ".join(str(machine[name]) for name in ("processor", "system") if machine.get(name))
        found[Path(place).name or place, software_text(record["provenance"]["software"]), what or NONE] += 1
    columns = [Column(title, numeric=False) for title in ("run", "software", "machine")]
    rows = [[*map(Cell, key), Cell(f"{count:,}", count)] for key, count in sorted(found.items())]
    return Table("software", "Software and machines", "As recorded with each unit.", [*columns, Column("units")], rows)
