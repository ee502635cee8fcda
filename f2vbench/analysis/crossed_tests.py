"""Crossed tests of pairs of models at one condition, adjusted for the choice of the pair among several."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import NamedTuple

import numpy as np

from f2vbench.analysis.crossed_scores import CrossedScores
from f2vbench.analysis.mean_intervals import metric_bounds
from f2vbench.stats.citations import CROSSED
from f2vbench.stats.crossed import crossed_test, max_t_adjusted
from f2vbench.stats.result_classes import Comparison
from f2vbench.utils.text import shortened

Pair = tuple[str, str]


class Selection(NamedTuple):
    """Adjustment of a pair for its choice among the pairs of a family.

    Attributes:
        pairs: Number of pairs in the family that have a test.
        p: The adjusted p-value, not below the unadjusted one; None where the pair has no test.
    """

    pairs: int
    p: float | None


class CrossedTests:
    """Tests of the models at one condition, each computed once.

    Args:
        scores: Scores of the models.
    """

    def __init__(self, scores: CrossedScores):
        self._scores = scores
        self._tests: dict[tuple[str, Pair], Comparison] = {}
        self._adjusted: dict[tuple[str, frozenset[Pair]], dict[Pair, Selection]] = {}

    def test(self, first: str, second: str, metric: str) -> Comparison:
        """Crossed test of two models on the seeds at which both have a value on the same test images.

        Args:
            first: Name of the first model.
            second: Name of the second model.
            metric: Name of the metric.

        Returns:
            The test; where it is impossible, the reason.
        """
        key = metric, (first, second)
        if key not in self._tests:
            self._tests[key] = self._test(first, second, metric)
        return self._tests[key]

    def select(self, pair: Pair, family: Sequence[Pair], metric: str) -> Selection:
        """Adjust the p-value of a pair for its choice among a family of pairs.

        The models that share their seeds and test images, as nearly all do, are adjusted by step-down max-T. Every
        other pair is adjusted by Bonferroni. The error is divided between both by their numbers of pairs, so that the
        probability of any false positive in the family stays below the significance level.

        Args:
            pair: The chosen pair, one of ``family`` in this or the other order.
            family: The pairs among which it was chosen.
            metric: Name of the metric.
        """
        key = metric, frozenset(family)
        if key not in self._adjusted:
            self._adjusted[key] = self._adjust(family, metric)
        adjusted = self._adjusted[key]
        return adjusted[pair] if pair in adjusted else adjusted[pair[1], pair[0]]

    def _test(self, first: str, second: str, metric: str) -> Comparison:
        design = self._scores.design
        none = Comparison(
            method=CROSSED,
            variation=("test patients", *design.variation),
            n=0,
            unit="patients",
            difference=None,
        )
        seeds = self._scores.shared_seeds([first, second], metric)
        differing = self._scores.differing_seeds([first, second], metric)
        if not seeds:
            return replace(none, reason=_no_shared_seed(first, second, differing))
        sides = [self._scores.scores(model, metric, seeds) for model in (first, second)]
        for side in sides:
            if isinstance(side, str):
                return replace(none, reason=side)
        a, b = (side for side in sides if not isinstance(side, str))
        low, high = metric_bounds(np.concatenate([a.values, b.values]), metric)
        test = crossed_test(
            a,
            b,
            variation=design.variation,
            split_ratio=design.split_ratio,
            largest=math.inf if low is None or high is None else high - low,
        )
        if not differing:
            return test
        names = shortened([str(seed) for seed in differing])
        left_out = f"{first} and {second} were tested on different images at seed {names}, which is left out"
        return replace(test, note="; ".join(filter(None, (test.note, left_out))))

    def _adjust(self, family: Sequence[Pair], metric: str) -> dict[Pair, Selection]:
        models = list(dict.fromkeys(model for pair in family for model in pair))
        test_sets = {model: self._scores.test_sets(model, metric) for model in models}
        ((most, _),) = Counter(test_sets.values()).most_common(1)
        seeds = [seed for seed, _ in most]
        scores = {
            model: scores
            for model in models
            if seeds
            and test_sets[model] == most
            and not isinstance(scores := self._scores.scores(model, metric, seeds), str)
        }
        index = {model: number for number, model in enumerate(scores)}
        shared = [pair for pair in family if pair[0] in index and pair[1] in index]
        p: dict[Pair, float | None] = {
            pair: self.test(*pair, metric).p for pair in family if pair not in set(shared)
        }  # the pairs to be adjusted by Bonferroni
        others = sum(value is not None for value in p.values())
        indices = [(index[first], index[second]) for first, second in shared]
        stepped = max_t_adjusted(list(scores.values()), indices, split_ratio=self._scores.design.split_ratio)
        together = sum(value is not None for value in stepped)
        count = others + together
        adjusted = {pair: _times(value, count) for pair, value in p.items()}
        share = count / together if together else 1.0
        adjusted |= {pair: _times(value, share) for pair, value in zip(shared, stepped, strict=True)}
        return {pair: Selection(count, value) for pair, value in adjusted.items()}


def all_pairs(models: Sequence[str]) -> list[Pair]:
    """Every pair of models: the family of a pair that was chosen among them by its results.

    Args:
        models: Names of models.

    Example:
        >>> all_pairs(["a", "b", "c"])
        [('a', 'b'), ('a', 'c'), ('b', 'c')]
    """
    return list(combinations(models, 2))


def pairs_of(reference: str, models: Sequence[str]) -> list[Pair]:
    """A reference model, named in advance, with every other model.

    Args:
        reference: Name of the reference model.
        models: Names of models.

    Example:
        >>> pairs_of("b", ["a", "b", "c"])
        [('b', 'a'), ('b', 'c')]
    """
    return [(reference, other) for other in models if other != reference]


def _times(p: float | None, factor: float) -> float | None:
    return None if p is None else min(1.0, p * factor)


def _no_shared_seed(first: str, second: str, differing: Sequence[int]) -> str:
    if differing:
        return f"{first} and {second} were tested on different images at every seed"
    return f"{first} and {second} have no seed in common at which both have a value"
