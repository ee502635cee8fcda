"""Boards, ranks, ties and facts about models of a leaderboard."""

from __future__ import annotations

from importlib.metadata import version

import pytest

from f2vbench import Results
from f2vbench.analysis.merged_runs import merge_runs
from f2vbench.report.leaderboard.boards import build_leaderboard
from f2vbench.utils.progress import Silent
from tests.helpers.stored_runs import grid, unit_record, write_run
from tests.report.leaderboard.conftest import MARKUP


@pytest.fixture(scope="module")
def board(leaderboard):
    return next(board for board in leaderboard.boards if len(board.entries) > 1)


def entries(board):
    return {entry.label: entry for entry in board.entries}


def test_models_that_do_not_differ_significantly_are_tied(board):
    by_name = {entry.encoder: entry for entry in board.entries if "2222" not in entry.label}
    strong, close, other, tophat = (by_name[name] for name in ("strong", "close", MARKUP, "tophat"))
    assert strong.ranks == (1, 1)
    assert close.ranks == other.ranks == (2, 3)
    assert set(close.ties.split()) & set(other.ties.split())
    assert not set(close.ties.split()) & set(strong.ties.split())
    assert tophat.ranks == (4, 4)
    assert tophat.baseline
    assert not strong.is_tied_for_first


def test_ties_agree_with_the_crossed_test_of_a_report(folders, board):
    comparison = Results.load(folders[0]).compare("strong", ["auroc"])
    assert list(comparison.certainty) == ["significant"]
    assert entries(board)["strong"].ranks[1] == 1


def test_means_and_intervals_are_those_of_a_report(folders, board):
    summary = Results.load(folders[0]).summary(["auroc"]).set_index("encoder")
    value = entries(board)["strong"].values["auroc"]
    assert value.mean == pytest.approx(summary.loc["strong", "mean"])
    assert (value.low, value.high) == pytest.approx(tuple(summary.loc["strong", ["low", "high"]]))


def test_one_name_with_two_sets_of_weights_has_two_labelled_rows(board):
    labels = [entry.label for entry in board.entries if entry.encoder == "close"]
    assert len(labels) == 2
    assert any("sha256=22222222" in label for label in labels)
    assert {entry.runs for entry in board.entries if entry.encoder == "close"} == {("first",), ("second",)}


def test_other_data_are_another_board_that_says_so(leaderboard):
    versions = {board.version for board in leaderboard.boards}
    assert versions == {"data data", "data other"}


def test_training_data_and_licence_are_those_of_the_weights_card(board):
    found = entries(board)
    assert found["strong"].facts.licence == "MIT"
    assert "simulated eyes" in found["strong"].facts.trained_on
    assert "drive" in found["strong"].facts.trained_on
    assert found["strong"].pretrained
    assert found["tophat"].facts.licence == "no weights"
    assert found[MARKUP].facts.licence == "not recorded"


def test_runs_of_other_versions_are_said(leaderboard):
    (note,) = [note for note in leaderboard.notes if "wrote this page" in note]
    assert f"f2vbench {version('f2vbench')} wrote this page" in note
    assert "0.0.9: second" in note


def test_published_values_stand_at_their_condition_and_the_others_apart(leaderboard, board):
    assert {(row.encoder, row.metric, row.value) for row in board.published} == {
        ("fundus2video", "auroc", 0.965),
        ("fundus2video", "dice", 0.733),
    }
    assert not set(board.published) & set(leaderboard.published)
    assert any(row.task == "video" for row in leaderboard.published)
    assert all(entry.encoder != "fundus2video" for entry in board.entries)


def test_lower_values_are_better_where_the_records_say_so(tmp_path):
    records = grid({"high": 0.9, "low": 0.6}, main_metrics=["auroc"], lower_is_better=["auroc"])
    built = build_leaderboard(merge_runs([write_run(tmp_path / "run", records)]), "t", None, Silent())
    assert [(entry.label, entry.ranks) for entry in built.boards[0].entries] == [("low", (1, 1)), ("high", (2, 2))]


def test_without_a_valid_test_models_are_tied_and_the_reason_is_given(tmp_path):
    records = [unit_record(name, images={"x": {"auroc": v}, "y": {"auroc": v}}) for name, v in (("a", 0.9), ("b", 0.1))]
    built = build_leaderboard(merge_runs([write_run(tmp_path / "run", records)]), "t", None, Silent())
    assert [entry.ranks for entry in built.boards[0].entries] == [(1, 2), (1, 2)]
    assert "1 of 1 pairs without a test: 2 test patients" in built.boards[0].untested[0]


def test_boards_without_the_requested_metric_are_noted(tmp_path):
    records = [*grid({"a": 0.9}, seeds=1), unit_record("a", task="video", images={"x": {"psnr": 10.0}}, seed=1)]
    built = build_leaderboard(merge_runs([write_run(tmp_path / "run", records)]), "t", ["dice"], Silent())
    assert [board.metrics for board in built.boards] == [("dice",)]
    assert "video, few-shot: left out, its units have none of the metrics" in built.notes
