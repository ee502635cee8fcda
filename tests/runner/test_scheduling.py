"""Work items: how many photographs one has."""

from __future__ import annotations

import pytest

from f2vbench.runner.scheduling import item_size


@pytest.mark.parametrize(
    ("images", "size"), [(0, 8), (1, 8), (8_000, 8), (20_000, 20), (512_000, 512), (1_000_000, 512)]
)
def test_items_grow_with_the_data_set(images, size):
    assert item_size(images) == size
