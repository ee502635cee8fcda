"""Keyed resamples."""

from __future__ import annotations

import numpy as np

from f2vbench.stats import resampling
from f2vbench.stats.resampling import draw_resamples


def uniform_rows(key, count: int, purpose: str = "swap", values_per_resample: int = 10_000) -> np.ndarray:
    blocks = draw_resamples(
        purpose, key, count, lambda generator, rows: generator.random((rows, 3)), values_per_resample, 3
    )
    return np.concatenate(list(blocks))


def test_a_resample_depends_on_its_purpose_key_and_number_only(monkeypatch):
    many = uniform_rows(("rite", 2), 70)
    assert many.shape == (70, 3)
    assert np.unique(many).size == 210
    np.testing.assert_array_equal(uniform_rows(("rite", 2), 45), many[:45])
    all_blocks_together = uniform_rows(("rite", 2), 70, values_per_resample=1)
    np.testing.assert_array_equal(all_blocks_together, many)
    two_blocks_together = uniform_rows(("rite", 2), 65, values_per_resample=700)
    np.testing.assert_array_equal(two_blocks_together, many[:65])
    for other in (uniform_rows(("rite", 3), 70), uniform_rows("rite", 70), uniform_rows(("rite", 2), 70, "bootstrap")):
        assert not np.isin(other, many).any()
    monkeypatch.setattr(resampling, "_MAX_TABLE_VALUES", 0)
    monkeypatch.setattr(resampling, "_TABLES", {})
    without_cache = uniform_rows(("rite", 2), 65, values_per_resample=700)
    np.testing.assert_array_equal(without_cache, many[:65])


def test_a_seed_means_the_same_resamples_in_every_version():
    """The expected values are from the first version, so p-values of stored runs do not change."""
    rows = uniform_rows(("rite", 2), 1)
    np.testing.assert_allclose(rows[0], [0.532486416873071, 0.6946443928728132, 0.27656338248244416], rtol=1e-12)
