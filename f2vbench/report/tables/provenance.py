"""Tables of provenance: weights, data and software of the reported runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from f2vbench.report.tables.table import Cell, Column, Table, count_cell, text_columns
from f2vbench.report.text.methods import software_text, task_record
from f2vbench.report.text.wording import NONE, weights_label
from f2vbench.store.record_schema import CallRecord, UnitRecord

_HASH_DIGITS = 16


def provenance_tables(
    records: Sequence[UnitRecord], sources: Sequence[Path], calls: Sequence[CallRecord]
) -> list[Table]:
    """Make the tables of models with their weights, of data sets, and of software and hardware.

    Args:
        records: Unit records.
        sources: Run folder of each record; empty where unknown.
        calls: Call records, the newest first.

    Returns:
        Three tables.
    """
    return [_models(records), _data(records, calls), _software(records, sources)]


def _models(records: Sequence[UnitRecord]) -> Table:
    counts: Counter[tuple[str, ...]] = Counter()
    for record in records:
        provenance = record["provenance"]
        counts[
            record["unit"]["encoder"],
            weights_label(record["floor"], record["weights"]),
            provenance.get("weights_sha256") or NONE,
            str(provenance.get("device", NONE)),
            str(provenance.get("precision", NONE)),
        ] += 1
    columns = text_columns("model", "weights", "SHA-256 of the tensors", "device", "precision")
    caption = "The SHA-256 is over the tensors as loaded."
    return Table("models", "Models", caption, [*columns, Column("units")], _counted_rows(counts))


def _data(records: Sequence[UnitRecord], calls: Sequence[CallRecord]) -> Table:
    columns = [*text_columns("task", "data set"), Column("images"), Column("patients")]
    columns += text_columns("fingerprint of the data", "terms")
    rows = []
    for task in dict.fromkeys(record["unit"]["task"] for record in records):
        recorded = task_record(task, calls)
        card = recorded["card"] if recorded else {}
        fingerprints = dict.fromkeys(
            str(record["identity"].get("data", NONE)) for record in records if record["unit"]["task"] == task
        )
        rows.append(
            [
                Cell(task),
                Cell(str(card.get("title", NONE))),
                count_cell(recorded["images"] if recorded else None),
                count_cell(recorded["patients"] if recorded else None),
                Cell(", ".join(fingerprint[:_HASH_DIGITS] for fingerprint in fingerprints)),
                Cell(" ".join(str(card.get("terms", NONE)).split())),
            ]
        )
    caption = "Fingerprints are over the ids, patients, splits and contents of all images."
    return Table("data", "Data", caption, columns, rows)


def _software(records: Sequence[UnitRecord], sources: Sequence[Path]) -> Table:
    counts: Counter[tuple[str, ...]] = Counter()
    folders = [path.name or str(path) for path in sources] or [NONE] * len(records)
    for record, folder in zip(records, folders, strict=True):
        machine = record["provenance"].get("machine")
        hardware = [str(machine[name]) for name in ("processor", "system") if machine.get(name)] if machine else []
        counts[folder, software_text(record["provenance"]["software"]), ", ".join(hardware) or NONE] += 1
    columns = [*text_columns("run", "software", "hardware"), Column("units")]
    return Table("software", "Software and hardware", "As recorded with each unit.", columns, _counted_rows(counts))


def _counted_rows(counts: Counter[tuple[str, ...]]) -> list[list[Cell]]:
    return [[*map(Cell, key), count_cell(count)] for key, count in sorted(counts.items())]
