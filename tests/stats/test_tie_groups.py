"""Groups of tied models and ranges of ranks, against slow loops over all subsets and all orders."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from f2vbench.stats.tie_groups import indistinct_groups, rank_ranges


def symmetric(rng: np.random.Generator, count: int) -> np.ndarray:
    p = np.triu(rng.uniform(0, 0.12, (count, count)), 1)
    return p + p.T + np.eye(count)


@pytest.mark.parametrize("seed", range(20))
def test_groups_are_the_maximal_runs_of_consecutive_models_without_a_significant_pair(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(2, 8))
    p, models = symmetric(rng, count), [f"m{n}" for n in range(count)]
    runs = [range(start, end) for start in range(count) for end in range(start + 2, count + 1)]
    tied = [run for run in runs if all(p[a, b] >= 0.05 for a, b in combinations(run, 2))]
    maximal = [run for run in tied if not any(set(run) < set(other) for other in tied)]
    assert indistinct_groups(models, range(count), p) == tuple(tuple(models[i] for i in run) for run in maximal)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("higher", [True, False])
def test_rank_ranges_count_significantly_better_and_worse_models(seed, higher):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 8))
    p, values = symmetric(rng, count), rng.normal(size=count)
    for model, (best, worst) in enumerate(rank_ranges(values, p, higher_is_better=higher)):
        others = [o for o in range(count) if o != model and p[model, o] < 0.05]
        better = sum((values[o] > values[model]) == higher for o in others)
        assert (best, worst) == (1 + better, count - (len(others) - better))


def test_pairs_without_a_test_are_tied():
    p = np.full((3, 3), np.nan)
    assert rank_ranges([0.9, 0.5, 0.1], p) == [(1, 3)] * 3
    assert indistinct_groups("abc", range(3), p) == (("a", "b", "c"),)
