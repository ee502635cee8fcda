"""Rejection rates of the test of the gap between the best and the worst of equal subgroups, by simulation.

    python -m benchmarks.subgroup_calibration [--repeats 1000]

The output is a Markdown table: how often p < 0.05 without and with the adjustment for the choice of the pair.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from f2vbench import Results
from tests.helpers.stored_runs import unit_record

SITUATIONS = {
    "2 subgroups of 50 patients": (2, 50),
    "4 subgroups of 25 patients": (4, 25),
    "6 subgroups of 15 patients": (6, 15),
}


def study(seed: int, groups: int, patients: int) -> tuple[float, float]:
    """p of the gap of one study without and with the adjustment, all subgroups being equal; three seeds."""
    draw = np.random.default_rng(seed)
    count = groups * patients
    common = draw.normal(0.7, 0.1, count)
    records: list[Any] = []
    for number in range(3):
        values = common + draw.normal(0, 0.05, count)
        images = {f"image{i:03}": {"auroc": float(value)} for i, value in enumerate(values)}
        record = unit_record("model", seed=number, images=images, shots=None, protocol="supervised")
        record["result"]["episode"]["columns"] = {"site": [f"site{i % groups}" for i in range(count)]}
        records.append(record)
    gap = Results(records).subgroups("site", ["auroc"]).gaps.iloc[0]
    return float(gap.p), float(gap.p_selected)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=1000)
    repeats = parser.parse_args().repeats
    print("| situation | p < 0.05, % | adjusted for the pair, % | studies |\n|---|---|---|---|")
    for name, (groups, patients) in SITUATIONS.items():
        p = np.array([study(seed, groups, patients) for seed in range(repeats)])
        raw, selected = 100 * (p < 0.05).mean(axis=0)
        print(f"| {name} | {raw:.1f} | {selected:.1f} | {repeats:,} |", flush=True)


if __name__ == "__main__":
    main()
