"""Content of run folders without what differs between equal runs: timing and provenance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

_COMPARED = ("unit", "family", "fingerprint", "identity", "result", "weights", "floor")


def comparable_records(out: Path) -> dict[str, dict[str, Any]]:
    """Records of a run folder by file name, without timing and provenance."""
    records = {path.name: json.loads(path.read_bytes())["payload"] for path in (out / "units").glob("*.json")}
    return {name: {key: record[key] for key in _COMPARED} for name, record in sorted(records.items())}


def comparable_files(out: Path) -> dict[str, bytes]:
    """Files of a run folder by name: the tidy table, all score maps, and the records as in `comparable_records`."""
    files = {"results.csv": (out / "results.csv").read_bytes()}
    files |= {path.name: path.read_bytes() for path in (out / "maps").rglob("*.png")}
    return files | {name: json.dumps(record).encode() for name, record in comparable_records(out).items()}
