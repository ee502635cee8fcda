"""Measured speed of work, stored in the cache for the estimates of later plans."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from f2vbench.utils.files import cache_folder, canonical_json, sha256

Rates = dict[str, float]
"""Seconds or bytes per step, image or unit, by name."""
_FILE = "timings.jsonl"


def store_rates(work: Mapping[str, Any], rates: Mapping[str, float]) -> None:
    """Append rates of a kind of work; if the cache is not writable, they are lost without an error.

    Args:
        work: Properties of the work that decide its speed; JSON-serialisable.
        rates: The rates.
    """
    line = canonical_json({"what": kind_of_work(work), "rates": dict(rates)}) + b"\n"
    path = cache_folder() / _FILE
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as lines:
            lines.write(line)


def read_rates() -> dict[str, Rates]:
    """Mean rates by `kind_of_work`; damaged lines are ignored."""
    sums: dict[str, tuple[int, Rates]] = {}
    with contextlib.suppress(OSError):
        for line in (cache_folder() / _FILE).read_bytes().splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                entry = json.loads(line)
                count, total = sums.get(entry["what"], (0, {}))
                added = {name: total.get(name, 0.0) + float(value) for name, value in entry["rates"].items()}
                sums[entry["what"]] = (count + 1, {**total, **added})
    return {kind: {name: value / count for name, value in total.items()} for kind, (count, total) in sums.items()}


def kind_of_work(work: Mapping[str, Any]) -> str:
    """Key of a kind of work in `read_rates`: SHA-256 of its properties."""
    return sha256(canonical_json(work))
