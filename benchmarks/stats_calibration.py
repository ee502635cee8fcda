"""Do intervals cover as often as they say, and do tests reject as rarely? By simulation, failures included.

    python -m benchmarks.stats_calibration [--repeats 2000] [--only delong] [--seconds 300]

Every row is a study of `stats_studies.py`, in which the truth is known and the null hypothesis holds, repeated; counted
is how often a 95 % interval holds the truth and how often p < 0.05. Right are 93–97 % and 4–6 %; "–" stands for what a
method does not give. Prints a Markdown table; the numbers of a row depend on its name and the repeats alone.
"""

from __future__ import annotations

import argparse
import math
import time
import zlib
from dataclasses import dataclass

import numpy as np

from benchmarks.stats_studies import STUDIES, Study


@dataclass(frozen=True)
class Rates:
    """Percentages over ``runs`` studies; None where the method gives none."""

    covers: float | None
    rejects: float | None
    runs: int

    def right(self) -> bool:
        """Within 93–97 % and 4–6 %, allowing for two standard errors of the simulation."""
        slack = 2 * 100 * math.sqrt(0.05 * 0.95 / self.runs)
        covers = self.covers is None or 93 - slack <= self.covers <= 97 + slack
        return covers and (self.rejects is None or 4 - slack <= self.rejects <= 6 + slack)


def simulate(study: Study, repeats: int) -> Rates:
    runs = max(20, round(repeats * study.share))
    draw = np.random.default_rng([zlib.crc32(study.name.encode()), runs])
    found = [study.run(draw) for _ in range(runs)]
    rates = []
    for kind in (0, 1):
        held = [one[kind] for one in found if one[kind] is not None]
        rates.append(100 * float(np.mean(held)) if held else None)
    return Rates(rates[0], rates[1], runs)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=2_000)
    parser.add_argument("--only", default="", help="rows whose name holds this")
    parser.add_argument("--seconds", type=float, default=math.inf, help="start no row after that time")
    arguments = parser.parse_args()
    started = time.monotonic()
    print("| method | situation | covers % | rejects % | studies | |\n|---|---|---|---|---|---|")
    for study in STUDIES:
        if arguments.only.lower() not in study.name.lower():
            continue
        if time.monotonic() - started > arguments.seconds:
            print(f"| {study.method} | {study.situation} | not run: out of time | | | |")
            continue
        rates = simulate(study, arguments.repeats)
        shown = ["–" if rate is None else f"{rate:.1f}" for rate in (rates.covers, rates.rejects)]
        mark = "" if rates.right() else "off"
        print(f"| {study.method} | {study.situation} | {shown[0]} | {shown[1]} | {rates.runs} | {mark} |", flush=True)


if __name__ == "__main__":
    main()
