"""Mean score of each encoder on each task, for comparisons by ranks over tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from f2vbench.analysis.frames import CONDITION

MAIN_METRICS = {"segmentation": ("auroc", "dice"), "classification": ("auroc", "average_precision")}
"""Metrics that figures and ranks show for a task family, the main one first."""
NUMERIC_METRICS = {"regression": ("mae", "spearman"), "survival": ("uno_c", "integrated_brier")}
"""As `MAIN_METRICS`, of families whose metrics are not compared with those of other tasks."""
_WITH_LABELS = ("few-shot", "supervised", "probe")


def compute_task_scores(frame: pd.DataFrame, families: Mapping[str, str], encoders: Iterable[str]) -> pd.DataFrame:
    """Average the main metric of each task over seeds, and over the conditions that all encoders share.

    Only conditions with labelled training count. Encoders without results on one of the tasks are left out, because
    ranks need every encoder on every task.

    Args:
        frame: Tidy frame, as `Results.frame`.
        families: Task → family.
        encoders: Names of the encoders, in the order of the columns.

    Returns:
        Table of (tasks, encoders).
    """
    main = {task: MAIN_METRICS[family][0] for task, family in families.items() if family in MAIN_METRICS}
    in_main_metric = frame.metric == frame.task.map(main)
    rows = frame[frame.protocol.isin(_WITH_LABELS) & in_main_metric & frame.value.notna()]
    tasks = rows.groupby("encoder").task.nunique()
    complete = [name for name in encoders if tasks.get(name) == rows.task.nunique()]
    rows = rows[rows.encoder.isin(complete)]
    table = rows.pivot_table(index=CONDITION, columns="encoder", values="value", dropna=False)
    return table.dropna().groupby(level="task").mean().reindex(columns=complete)
