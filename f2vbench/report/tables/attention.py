"""Table of the weights that soft-attention fusions give to their encoders."""

from __future__ import annotations

import pandas as pd

from f2vbench.analysis.frames import CONDITION, Condition
from f2vbench.report.tables.table import Cell, Column, Table, text_columns
from f2vbench.report.text.wording import TaskNames


def attention_table(attention: pd.DataFrame, names: TaskNames) -> Table:
    """Make a table with a row per condition, fusion, class and encoder.

    Args:
        attention: `Results.attention` with at least one row.
        names: Names of tasks and conditions.

    Returns:
        The table.
    """
    rows = []
    keys = [*CONDITION, "encoder", "class", "part"]
    for (task, protocol, shots, *texts), group in attention.groupby(keys, dropna=False, sort=False):
        mean, spread = group.weight.mean(), f"± {group.weight.std():.3f}" if len(group) > 1 else ""
        condition = names.condition(Condition.from_values(task, protocol, shots))
        rows.append([Cell(condition), *(Cell(str(text)) for text in texts), Cell(f"{mean:.3f}", float(mean), spread)])
    seeds = sorted(set(attention.groupby(keys, dropna=False).size()))
    count = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return Table(
        "attention",
        "Attention weights of fusions",
        "Weight of each fused encoder, mean over the test images of a class and over seeds, ± standard deviation over "
        f"seeds (n − 1). The weights of a fusion sum to 1. Seeds: {count}.",
        [*text_columns("condition", "fusion", "class", "encoder"), Column("weight")],
        rows,
    )
