"""Sentences of results: verdict, difference, sample size, and the sample size that would be needed."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from f2vbench.stats import citations
from f2vbench.stats.result_classes import describe_variation
from f2vbench.stats.t_tests import paired_t_test

FIRST = np.array([0.92, 0.94, 0.91, 0.95, 0.93])


def test_better_and_worse_follow_the_direction_of_the_metric():
    second = FIRST - [0.02, 0.03, 0.02, 0.04, 0.03]
    test = paired_t_test(FIRST, second, variation=("episode", "split", "head seed"))
    assert test.verdict() == "better"
    assert test.verdict(higher_is_better=False) == "worse"
    assert test.verdict(alpha=1e-6) == "not significant"
    sentence = test.sentence("fundus2video", "tophat", "AUROC")
    # mean 0.028, sd 0.00837, se 0.003742; Student's t₄ at 97.5 % is 2.776.
    assert sentence.startswith(
        "fundus2video is better than tophat: AUROC differs by +0.0280 [+0.0176, +0.0384], p = 0.001"
    )
    assert "paired t-test, n = 5 seeds; episode, split and head seed vary" in sentence


def test_a_difference_that_is_not_significant_comes_with_the_required_sample_size():
    test = paired_t_test(FIRST, FIRST - [0.02, -0.03, 0.02, -0.01, 0.01], variation="head seed")
    sentence = test.sentence("a", "b", "Dice")
    assert sentence.startswith("a and b do not differ significantly at n = 5 seeds: Dice differs by +0.0020")
    needed = f"about {test.required.n:,} seeds would be needed to detect the observed difference with 80 % power"
    assert needed in sentence


def test_the_sentence_without_a_test_has_the_reason():
    sentence = paired_t_test([0.9], [0.8], variation="split").sentence("a", "b", "AUROC")
    assert "a and b cannot be compared by AUROC: a test needs at least two shared seeds" in sentence
    assert "split varies" in sentence


def test_results_are_frozen():
    test = paired_t_test(FIRST, FIRST[::-1], variation="split")
    with pytest.raises(dataclasses.FrozenInstanceError):
        test.p = 0.01


def test_every_method_has_a_name_and_a_citation():
    methods = [value for value in vars(citations).values() if isinstance(value, citations.Method)]
    assert len({method.name for method in methods}) == len(methods) > 15
    assert all(len(method.citation) > 12 for method in methods)


def test_the_description_of_the_variation_agrees_in_number():
    assert describe_variation(["head seed"]) == "head seed varies"
    assert describe_variation(["test patients"]) == "test patients vary"
    assert describe_variation(["episode", "split"]) == "episode and split vary"
