"""What the intervals of means in tables and figures cover, in words."""

from __future__ import annotations

import pandas as pd

from f2vbench.report.text.wording import as_sentence, join_names, metric_name
from f2vbench.stats.intervals import MeanInterval

INTERVAL_TEXTS: dict[MeanInterval, str] = {
    "crossed": "95 % CI for other patients and other heads",
    "student": "95 % CI over seeds only (Student's t within the range of the metric), too narrow for other patients "
    "and where seeds share images",
    "papers": "the papers' interval over seeds only, mean ± 1.96 standard errors, which covers 88 % at five seeds and "
    "is too narrow for other patients",
}
"""Name of each kind of interval, with what it covers, as a clause."""


def interval_notes(summary: pd.DataFrame) -> list[str]:
    """Sentences on means without an interval, and on intervals that cover less than others or are rough.

    Args:
        summary: Rows of `Results.summary` that a table or figure shows.

    Returns:
        One sentence for each reason, with the metrics and models that it applies to; empty where every interval is as
        `INTERVAL_TEXTS` says.
    """
    rows = summary[summary["mean"].notna()]
    without, alone = rows[rows.interval == ""], rows[rows.interval == "patients"]
    notes = [
        as_sentence(f"no 95 % CI of {_names(own, rows)}: {reason}")
        for reason, own in without.groupby("interval_note", sort=False)
    ]
    one, equal = alone[alone.n == 1], alone[alone.n > 1]
    if len(one):
        notes.append(f"One seed: the 95 % CI of {_names(one, rows)} is for other patients, not for other heads.")
    if len(equal):
        notes.append(f"Equal values at all seeds: the 95 % CI of {_names(equal, rows)} is for other patients alone.")
    limited = rows[(rows.interval != "") & (rows.interval_note != "")]
    return notes + [as_sentence(note) for note in dict.fromkeys(limited.interval_note)]


def _names(own: pd.DataFrame, rows: pd.DataFrame) -> str:
    """``AUROC and Dice`` where the rows have all models and conditions of these metrics, else ``AUROC (a; b)``."""
    texts = []
    for metric, group in own.groupby("metric", sort=False):
        of_metric = rows[rows.metric == metric]
        models = [
            _model_and_conditions(str(encoder), of_model, of_metric)
            for encoder, of_model in group.groupby("encoder", sort=False)
        ]
        names = "" if len(group) == len(of_metric) else f" ({'; '.join(models)})"
        texts.append(f"{metric_name(str(metric))}{names}")
    return join_names(texts)


def _model_and_conditions(encoder: str, own: pd.DataFrame, rows: pd.DataFrame) -> str:
    """``a``, or ``a: few-shot 1, supervised`` where only some of the rows of a model apply."""
    if len(own) == (rows.encoder == encoder).sum():
        return encoder
    several_tasks = rows.task.nunique() > 1
    conditions = []
    for row in own.itertuples():
        shots = "" if pd.isna(row.shots) or row.shots == 0 else str(row.shots)
        conditions.append(" ".join(part for part in (row.task if several_tasks else "", row.protocol, shots) if part))
    return f"{encoder}: {', '.join(conditions)}"
