"""Mean score of each encoder on each task, for comparisons by ranks over tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import pandas as pd

from f2vbench.analysis.frames import CONDITION
from f2vbench.metrics import regression, survival

MAIN_METRICS = {"segmentation": ("auroc", "dice"), "classification": ("auroc", "average_precision")}
"""Metrics that figures and ranks show for a task family, the main one first."""
NUMERIC_METRICS = {"regression": ("mae", "spearman"), "survival": ("uno_c", "integrated_brier")}
"""As `MAIN_METRICS`, of families whose values have the unit of their task and are drawn apart."""
RANKED_METRICS = {family: metrics[0] for family, metrics in (MAIN_METRICS | NUMERIC_METRICS).items()}
"""Metric by which models are ranked within a task, by family."""
LOWER_IS_BETTER = (*regression.LOWER_IS_BETTER, *survival.LOWER_IS_BETTER)
"""Of these metrics, those of which lower values are better."""
_WITH_LABELS = ("few-shot", "supervised", "probe")


def compute_task_scores(frame: pd.DataFrame, families: Mapping[str, str], encoders: Iterable[str]) -> pd.DataFrame:
    """Average the main metric of each task over seeds, and over the conditions that all encoders share.

    Errors are negated, so that a higher score is better in every task; scores of different families are comparable by
    their ranks alone. Only conditions with labelled training count. Encoders without results on one of the tasks are
    left out, because ranks need every encoder on every task.

    Args:
        frame: Tidy frame, as `Results.frame`.
        families: Task → family.
        encoders: Names of the encoders, in the order of the columns.

    Returns:
        Table of (tasks, encoders).
    """
    main = {task: RANKED_METRICS[family] for task, family in families.items() if family in RANKED_METRICS}
    in_main_metric = frame.metric == frame.task.map(main)
    rows = frame[frame.protocol.isin(_WITH_LABELS) & in_main_metric & frame.value.notna()]
    tasks = rows.groupby("encoder").task.nunique()
    complete = [name for name in encoders if tasks.get(name) == rows.task.nunique()]
    rows = rows[rows.encoder.isin(complete)]
    rows = rows.assign(value=rows.value.where(~rows.metric.isin(LOWER_IS_BETTER), -rows.value))
    table = rows.pivot_table(index=CONDITION, columns="encoder", values="value", dropna=False)
    return table.dropna().groupby(level="task").mean().reindex(columns=complete)
