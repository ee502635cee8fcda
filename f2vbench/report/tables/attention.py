"""How fusions weigh their encoders, as a table."""

from __future__ import annotations

import pandas as pd

from f2vbench.analysis.frames import PLACE
from f2vbench.report.tables.table import Cell, Column, Table
from f2vbench.report.text.wording import Names


def attention_table(attention: pd.DataFrame, names: Names) -> Table:
    """A row a place, fusion, class and encoder.

    Args:
        attention: of `Results.attention`, with at least one row.
    """
    columns = [Column(title, numeric=False) for title in ("place", "fusion", "class", "encoder")]
    rows = []
    keys = [*PLACE, "encoder", "class", "part"]
    for key, group in attention.groupby(keys, dropna=False, sort=False):
        task, protocol, shots, fusion, kind, part = key
        weights = group.weight
        spread = f"± {weights.std():.3f}" if len(weights) > 1 else ""
        rows.append(
            [
                Cell(names.place(task, protocol, None if pd.isna(shots) else int(shots))),
                *(Cell(str(text)) for text in (fusion, kind, part)),
                Cell(f"{weights.mean():.3f}", float(weights.mean()), spread),
            ]
        )
    seeds = sorted(set(attention.groupby(keys, dropna=False).size()))
    told = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return Table(
        "attention",
        "How fusions weigh their encoders",
        "Weight of each joined encoder, mean over the test images of a class and over seeds, ± standard deviation over "
        f"seeds (n − 1); the weights of a fusion add up to 1. Seeds: {told}.",
        [*columns, Column("weight")],
        rows,
    )
