"""The split by patient."""

from __future__ import annotations

import pytest

from f2vbench.training.data.case_split import split_patients


def test_additional_patients_do_not_change_the_split_of_others():
    names = [f"patient{number}" for number in range(400)]
    before = split_patients(names[:200], 0.15, 0.15, seed=3)
    after = split_patients(names, 0.15, 0.15, seed=3)
    assert all(after[name] == split for name, split in before.items())
    shares = [list(after.values()).count(split) / 400 for split in ("train", "validation", "test")]
    assert shares == pytest.approx([0.7, 0.15, 0.15], abs=0.05)
    assert split_patients(names, 0.15, 0.15, seed=4) != after


@pytest.mark.parametrize("seed", range(12))
def test_no_split_is_empty_with_as_many_patients_as_splits(seed):
    assert sorted(split_patients("abc", 0.1, 0.1, seed).values()) == ["test", "train", "validation"]
    assert set(split_patients("abcdef", 0.45, 0.45, seed).values()) == {"test", "train", "validation"}
    assert sorted(split_patients("ab", 0.0, 0.3, seed).values()) == ["test", "train"]
