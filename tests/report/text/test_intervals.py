"""What intervals cover, in captions and notes."""

from __future__ import annotations

from typing import get_args

import pytest

from f2vbench import Results
from f2vbench.cli.report import tables
from f2vbench.report.content import report_content
from f2vbench.report.tables.results import condition_tables
from f2vbench.report.text.intervals import INTERVAL_TEXTS, interval_notes
from f2vbench.report.text.wording import TaskNames
from f2vbench.stats.intervals import MeanInterval
from f2vbench.stats.procedure import Procedure
from tests.helpers.drawn_figures import draw_one
from tests.helpers.stored_runs import grid, unit_record

NAMES = TaskNames({"eyes": "Eyes"}, {"eyes": "segmentation"})
OTHERS = "95 % CI for other patients and other heads"


def condition_table(results: Results, interval="crossed"):
    summary = results.summary(interval=interval)
    (table,) = condition_tables(summary, {"eyes": ["auroc", "dice"]}, [], NAMES, interval)
    return table


@pytest.mark.parametrize(
    ("interval", "words"),
    [
        ("crossed", OTHERS),
        ("student", "95 % CI over seeds only"),
        ("papers", "the papers' interval over seeds only, mean ± 1.96 standard errors"),
    ],
)
def test_every_table_figure_and_text_says_what_its_interval_covers(interval, words):
    results = Results(grid({"a": 0.9, "b": 0.8}, seeds=3, shots=(1, 2)))
    procedure = Procedure(interval=interval)
    content = report_content(results, procedure=procedure)
    assert words in content.conditions[0].caption
    assert words in tables(results, procedure=procedure).text
    for name in ("few-shot-segmentation", "learning-curves"):
        assert words in draw_one(results, name, interval=interval).caption
    coverage = "for other patients and other heads" if interval == "crossed" else "over seeds only"
    assert f"95 % intervals {coverage} (" in " ".join(content.methods)
    assert "too narrow" in INTERVAL_TEXTS[interval] or interval == "crossed"


@pytest.mark.parametrize("interval", get_args(MeanInterval))
def test_the_papers_tables_say_what_their_intervals_cover(interval):
    records = grid({"a": 0.9, "b": 0.8}, seeds=3, shots=(0,), family="classification", main_metrics=["auroc"])
    content = report_content(Results(records), procedure=Procedure(interval=interval))
    assert content.paper_tables
    for table in content.paper_tables.values():
        assert table.caption == f"Mean over seeds, and {INTERVAL_TEXTS[interval]}."


def test_bars_end_in_the_intervals_of_the_table_and_numbers_of_shots_have_bars_of_their_own():
    shots = {"protocol": "prototype", "family": "classification", "main_metrics": ["auroc"]}
    images = [{f"eye{n}": {"auroc": 0.6 + 0.02 * n + 0.01 * seed} for n in range(12)} for seed in range(3)]
    records = [
        unit_record("a", seed=seed, shots=count, images=images[seed], **shots) for seed in range(3) for count in (1, 4)
    ]
    results = Results(records)
    figure = draw_one(results, "zero-shot").figure
    labels = [label.get_text() for label in figure.axes[0].get_xticklabels()]
    assert labels == ["eyes, 1 per class", "eyes, 4 per class"]
    summary = results.summary(["auroc"])
    (whiskers,) = [each for each in figure.axes[0].collections if len(each.get_segments()) == 2]
    drawn = [(segment[0][1], segment[1][1]) for segment in whiskers.get_segments()]
    assert drawn == [pytest.approx((row.low, row.high)) for row in summary.itertuples()]


def test_cells_show_mean_standard_deviation_and_interval():
    results = Results(grid({"a": 0.9}, seeds=3))
    row = results.summary(["auroc"]).iloc[0]
    cell = condition_table(results).rows[0][1]
    assert cell.text == f"{row['mean']:.4f}"
    assert cell.detail == f"± {row.sd:.4f} [{row.low:.4f}, {row.high:.4f}]"
    assert f"{row['mean']:.4f} ± {row.sd:.4f} [{row.low:.4f}, {row.high:.4f}]" in tables(results).text


def test_one_seed_shows_the_interval_for_other_patients_and_says_so():
    results = Results(grid({"a": 0.9}, seeds=1))
    row = results.summary(["auroc"]).iloc[0]
    table = condition_table(results)
    assert table.caption == f"One seed, without standard deviation; {OTHERS}."
    assert "One seed: the 95 % CI of AUROC and Dice is for other patients, not for other heads." in table.notes
    assert table.rows[0][1].detail == f"[{row.low:.4f}, {row.high:.4f}]"
    assert f"{row['mean']:.4f} [{row.low:.4f}, {row.high:.4f}]" in tables(results).text
    assert "for other patients with the heads as trained" in " ".join(report_content(results).methods)
    student = condition_table(results, "student")
    assert student.caption == "One seed, without standard deviation."
    assert "No 95 % CI of AUROC and Dice: a standard deviation needs at least two values." in student.notes


def test_missing_intervals_are_named_with_their_models_and_reasons():
    records = grid({"a": 0.9, "b": 0.8}, seeds=3)
    for record in records:
        record["result"]["metrics"]["dice"] = 0.5 + record["unit"]["seed"] / 100  # not the mean over images
        if record["unit"]["encoder"] == "b":
            del record["result"]["episode"]["patients"]
    results = Results(records)
    (old, pooled) = sorted(interval_notes(results.summary()), key=len, reverse=True)
    assert old.startswith("No 95 % CI of AUROC (b) and Dice (b): an older version made the records")
    assert pooled.startswith("No 95 % CI of Dice (a): this metric is not a mean over images")
    table = condition_table(results)
    assert {old, pooled} <= set(table.notes)
    assert table.rows[1][1].detail.startswith("±")
    assert "[" not in table.rows[1][1].detail
    assert old in tables(results).text
    assert old in draw_one(results, "few-shot-segmentation").caption


def test_missing_intervals_of_some_conditions_are_named_with_the_conditions():
    records = grid({"a": 0.9, "b": 0.8}, seeds=2, shots=(0, 1, 4))
    for record in records:
        if record["unit"]["encoder"] == "b" and record["unit"]["shots"] != 1:
            del record["result"]["episode"]["patients"]
    (note,) = interval_notes(Results(records).summary(["auroc"]))
    assert note.startswith("No 95 % CI of AUROC (b: zero-shot, few-shot 4): an older version")


def test_equal_seeds_and_few_patients_are_named():
    images = {f"eye{n}": {"auroc": 0.8 + n / 100, "dice": 0.7 + n / 100} for n in range(7)}
    results = Results([unit_record("a", seed=seed, images=images) for seed in range(3)])
    notes = interval_notes(results.summary())
    assert notes == [
        "Equal values at all seeds: the 95 % CI of AUROC and Dice is for other patients alone.",
        "Only 7 test patients: interval and p are rough below 10.",
    ]
