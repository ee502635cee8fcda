"""Coverage of confidence intervals and rejection rates of tests, by simulation.

    python -m benchmarks.stats_calibration [--repeats 2000] [--only delong] [--seconds 300]

Each row repeats a study of `stats_studies.py`, in which the truth is known and the null hypothesis holds, and counts
how often a 95 % interval contains the truth and how often p < 0.05. Nominal are 93–97 % and 4–6 %; "–" means that the
method has no interval or no test. The output is a Markdown table. The numbers of a row depend only on its name and the
number of repeats.
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
    """Coverage and rejection rate over repeated studies.

    Attributes:
        coverage: Percentage of intervals that contain the truth; None where the method has no interval.
        rejection: Percentage of tests with p < 0.05; None where the method has no test.
        repeats: Number of studies.
    """

    coverage: float | None
    rejection: float | None
    repeats: int

    def are_nominal(self) -> bool:
        """Whether the rates are 93–97 % and 4–6 %, within two standard errors of the simulation."""
        tolerance = 2 * 100 * math.sqrt(0.05 * 0.95 / self.repeats)
        covers = self.coverage is None or 93 - tolerance <= self.coverage <= 97 + tolerance
        return covers and (self.rejection is None or 4 - tolerance <= self.rejection <= 6 + tolerance)


def simulate(study: Study, repeats: int) -> Rates:
    """Repeat a study, a share of ``repeats`` times but at least 20 times."""
    count = max(20, round(repeats * study.share))
    draw = np.random.default_rng([zlib.crc32(study.stream.encode()), count])
    outcomes = [study.run(draw) for _ in range(count)]
    covered = [outcome.covers for outcome in outcomes if outcome.covers is not None]
    rejected = [outcome.rejects for outcome in outcomes if outcome.rejects is not None]
    return Rates(_percentage(covered), _percentage(rejected), count)


def _percentage(decisions: list[bool]) -> float | None:
    return 100 * float(np.mean(decisions)) if decisions else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=2_000)
    parser.add_argument("--only", default="", help="run only rows whose name contains this text")
    parser.add_argument("--seconds", type=float, default=math.inf, help="start no further row after this time")
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
        cells = ["–" if rate is None else f"{rate:.1f}" for rate in (rates.coverage, rates.rejection)]
        mark = "" if rates.are_nominal() else "off"
        print(
            f"| {study.method} | {study.situation} | {cells[0]} | {cells[1]} | {rates.repeats} | {mark} |", flush=True
        )


if __name__ == "__main__":
    main()
