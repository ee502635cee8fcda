"""Merged runs of three folders, and their leaderboard."""

from __future__ import annotations

from pathlib import Path

import pytest

from f2vbench.analysis.merged_runs import MergedRuns, merge_runs
from f2vbench.report.leaderboard.boards import Leaderboard, build_leaderboard
from f2vbench.utils.progress import Silent
from tests.helpers.stored_runs import call_record, grid, write_run
from tests.report.markup import MARKUP

SHIPPED_SHA256 = "c809b5d9f665f2d7941b85769c31b23c9366923356cfe4c9c191f0c2460637c5"


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> list[Path]:
    """Runs of simulated RITE results: a strong model, two close ones, a baseline, and another version's run."""
    root = tmp_path_factory.mktemp("leaderboard")
    common = {"task": "rite", "seeds": 3, "shots": (1,)}
    levels = {"strong": 0.95, "close": 0.9, MARKUP: 0.9003, "tophat": 0.8}
    first = grid(levels, baselines=("tophat",), **common)
    for record in first:
        if record["unit"]["encoder"] == "strong":
            record["pretrained_on"] = ["drive"]
            record["identity"]["model"] = {"weights_sha256": SHIPPED_SHA256}
    second = grid({"close": 0.7}, weights_sha256="2" * 64, spread=0.015, **common)
    for record in second:
        record["provenance"] = record["provenance"] | {"software": {"f2vbench": "0.0.9", "git": None, "python": "3.12"}}
    calls = call_record({"rite": {"title": "RITE <b>"}})
    return [
        write_run(root / "first", first, calls),
        write_run(root / "second", second),
        write_run(root / "other-data", grid({"strong": 0.6}, task="rite", seeds=2, data="other")),
    ]


@pytest.fixture(scope="session")
def merged(folders) -> MergedRuns:
    return merge_runs(folders)


@pytest.fixture(scope="session")
def leaderboard(merged) -> Leaderboard:
    return build_leaderboard(merged, "Models & <ranks>", None, Silent())
