"""Small weights in shards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from f2vbench.pretrained import weights_writing


@contextmanager
def small_files(limit: int) -> Iterator[None]:
    """Within it, weights of more bytes than `limit` are written in shards."""
    with mock.patch.object(weights_writing, "MAX_FILE_BYTES", limit):
        yield
