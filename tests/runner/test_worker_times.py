"""Expected time of a run on n workers, and its parts, in `f2vbench plan`."""

from __future__ import annotations

import pytest

from f2vbench import Benchmark
from f2vbench.cli.plan_text import worker_times_text
from f2vbench.runner.estimate import Estimate
from f2vbench.runner.work_items import Extract
from f2vbench.runner.worker_times import ItemTime, WorkParts, time_on_workers
from f2vbench.utils.progress import Silent


def items(*seconds: float) -> list[ItemTime]:
    return [ItemTime(Extract("model", "task", "embedding", (f"image{i}",)), each) for i, each in enumerate(seconds)]


@pytest.mark.parametrize(
    ("seconds", "workers", "expected"),
    [
        ((3, 3, 3), 1, 9),
        ((3, 3, 3), 2, 6),
        ((3, 3, 3), 64, 3),
        ((1, 1, 4), 2, 5),  # the long item starts when the first worker is free
        ((4, 1, 1), 2, 4),
        ((2, 2, 3, 1, 4), 2, 7),  # 2 + 3 on one worker, 2 + 1 + 4 on the other
        ((), 4, 0),
    ],
)
def test_a_free_worker_takes_the_next_item(seconds, workers, expected):
    assert time_on_workers(items(*seconds), workers) == expected


def test_the_plan_says_time_on_n_workers_the_longest_item_and_the_largest_part():
    estimate = Estimate(items=items(*[60] * 64, 1200), parts=WorkParts(3000, 40, 1000, 1000))
    lines = " ".join(worker_times_text(estimate).split())
    assert "n: time = 1: 84 min, 4: 36 min, 16: 24 min, 64: 21 min" in lines
    assert "no less than the longest work item, 20 min: encoding task with model (1 image)" in lines
    assert "encoding 60%, reading and preparing images and features 1%, training of heads 20%" in lines
    assert "most of it is encoding" in lines


def test_items_and_parts_of_a_plan_are_all_its_work(eyes, tmp_path):
    settings = {"task": "folder", "model": "tophat", "baselines": "green", "shots": 1, "seeds": 2, "image_size": 64}
    benchmark = Benchmark(data=str(eyes), out=tmp_path / "run", **settings)
    estimate = benchmark.estimate(Silent())
    assert sum(item.seconds for item in estimate.items) == pytest.approx(estimate.parts.seconds)
    assert sum(cost.seconds for cost in estimate.models.values()) == pytest.approx(estimate.parts.seconds)
    assert estimate.parts.seconds > 0
    counts = [len(item.item.labels) for item in estimate.items if not isinstance(item.item, Extract)]
    assert sum(counts) == 4
