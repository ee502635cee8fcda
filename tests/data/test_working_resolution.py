"""The working resolution of filters and full-resolution crops."""

from __future__ import annotations

import numpy as np
import pytest

from f2vbench.data.working_resolution import enlarged, reduced, reduced_mask, working_size
from f2vbench.errors import DataError


def disc(side: int, diameter: int) -> np.ndarray:
    rows, columns = np.ogrid[:side, :side]
    return np.hypot(rows - side / 2, columns - side / 2) < diameter / 2


def test_fields_of_view_up_to_25_percent_wider_than_the_reference_keep_their_size():
    assert working_size(disc(584, 540)) == (584, 584)
    assert working_size(disc(700, 670)) == (700, 700)
    height, width = working_size(disc(2200, 2160))
    assert height == width == pytest.approx(2200 * 540 / 2160, abs=1)


def test_an_empty_field_of_view_is_refused():
    with pytest.raises(DataError, match="empty"):
        working_size(np.zeros((10, 10), bool))


def test_reduction_averages_and_enlargement_does_not_shift():
    image = np.kron(np.arange(16, dtype=np.float32).reshape(4, 4), np.ones((3, 3), np.float32))
    np.testing.assert_allclose(reduced(image, (4, 4)), np.arange(16).reshape(4, 4), rtol=1e-6)
    assert reduced(image, (12, 12)) is image
    mask = disc(60, 40)
    small = reduced_mask(mask, (20, 20))
    assert small.dtype == bool
    assert small.sum() * 9 == pytest.approx(mask.sum(), rel=0.05)
    back = enlarged(small.astype(np.float32), (60, 60))
    rows, columns = np.nonzero(back > 0.5)
    assert rows.mean() == pytest.approx(np.nonzero(mask)[0].mean(), abs=0.6)
    assert columns.mean() == pytest.approx(np.nonzero(mask)[1].mean(), abs=0.6)
