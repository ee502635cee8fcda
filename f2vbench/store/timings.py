"""How long things took, remembered in the cache so that the next plan can say how long they will take."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from typing import Any

from f2vbench.utils.files import cache_folder, canonical_json, sha256

Rates = dict[str, float]


def remember_rates(what: Mapping[str, Any], rates: Mapping[str, float]) -> None:
    """Append rates of a kind of work; an unwritable cache is no error, only a worse estimate."""
    line = canonical_json({"what": sha256(canonical_json(what)), "rates": dict(rates)}) + b"\n"
    path = cache_folder() / "timings.jsonl"
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as lines:
            lines.write(line)


def remembered_rates() -> dict[str, Rates]:
    """Mean rates by kind of work; damaged lines are ignored."""
    sums: dict[str, tuple[int, Rates]] = {}
    with contextlib.suppress(OSError):
        for line in (cache_folder() / "timings.jsonl").read_bytes().splitlines():
            with contextlib.suppress(ValueError, KeyError, TypeError):
                held = json.loads(line)
                count, rates = sums.get(held["what"], (0, {}))
                added = {name: rates.get(name, 0.0) + float(value) for name, value in held["rates"].items()}
                sums[held["what"]] = (count + 1, {**rates, **added})
    return {what: {name: total / count for name, total in rates.items()} for what, (count, rates) in sums.items()}


def kind_of_work(what: Mapping[str, Any]) -> str:
    """The name under which `remembered_rates` lists what `remember_rates` was given."""
    return sha256(canonical_json(what))
