"""Sentences of results: who is better, by how much, on what basis, and what more it would take."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from f2vbench.stats import citations
from f2vbench.stats.result_classes import describe_variation
from f2vbench.stats.t_tests import paired_t_test

FIRST = np.array([0.92, 0.94, 0.91, 0.95, 0.93])


def test_better_and_worse_follow_the_direction_of_the_metric():
    found = paired_t_test(FIRST, FIRST - [0.02, 0.03, 0.02, 0.04, 0.03], variation=("episode", "split", "head seed"))
    assert found.verdict() == "better"
    assert found.verdict(higher_is_better=False) == "worse"
    assert found.verdict(alpha=1e-6) == "not significant"
    sentence = found.sentence("fundus2video", "tophat", "AUROC")
    # mean 0.028, sd 0.00837, se 0.003742; Student's t₄ at 97.5 % is 2.776.
    assert sentence.startswith(
        "fundus2video is better than tophat: AUROC differs by +0.0280 [+0.0176, +0.0384], p = 0.001"
    )
    assert "paired t-test, n = 5 seeds; episode, split and head seed vary" in sentence


def test_not_separable_says_how_many_would_be():
    found = paired_t_test(FIRST, FIRST - [0.02, -0.03, 0.02, -0.01, 0.01], variation="head seed")
    sentence = found.sentence("a", "b", "Dice")
    assert sentence.startswith("a and b do not differ significantly at n = 5 seeds: Dice differs by +0.0020")
    assert f"about {found.required.n:,} seeds would be needed to find the difference seen with 80 % power" in sentence


def test_no_test_says_why():
    sentence = paired_t_test([0.9], [0.8], variation="split").sentence("a", "b", "AUROC")
    assert "no test is possible: one shared seed" in sentence
    assert "split varies" in sentence


def test_results_are_frozen():
    found = paired_t_test(FIRST, FIRST[::-1], variation="split")
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.p = 0.01


def test_every_method_has_a_name_and_a_source():
    named = [value for value in vars(citations).values() if isinstance(value, citations.Method)]
    assert len({method.name for method in named}) == len(named) > 15
    assert all(len(method.citation) > 12 for method in named)


def test_what_varies_reads_as_english():
    assert describe_variation(["head seed"]) == "head seed varies"
    assert describe_variation(["test patients"]) == "test patients vary"
    assert describe_variation(["episode", "split"]) == "episode and split vary"
