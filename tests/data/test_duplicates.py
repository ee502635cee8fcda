"""Pictures that are there twice, and on which side of an episode."""

from __future__ import annotations

import base64

import numpy as np
import pandas as pd

from f2vbench.data.duplicates import count_duplicates
from f2vbench.data.episodes import Episode


def index_of(rows):
    """Rows of (image, patient, picture, looks, label); equal ``looks`` look alike."""
    looks = {
        name: base64.b64encode(np.random.default_rng(place).integers(-99, 99, 210).astype(np.int8).tobytes()).decode()
        for place, name in enumerate(sorted({row[3] for row in rows}))
    }
    table = pd.DataFrame(rows, columns=["image", "patient", "sha256", "looks", "label"])
    return table.assign(appearance=table.looks.map(looks), modality="CF").drop(columns="looks")


def test_copies_and_lookalikes_are_counted_and_those_across_an_episode():
    index = index_of(
        [
            ("a", "p1", "one", "x", "sick"),
            ("b", "p1", "one", "x", "well"),  # a's pixels, another label
            ("c", "p2", "two", "x", "sick"),  # looks like a
            ("d", "p3", "three", "y", "well"),
            ("e", "p3", "four", "y", "well"),  # looks like d, the same patient
            ("f", "p4", "five", "z", "well"),
        ]
    )
    apart = [Episode(("d",), ("a", "b", "c", "f"), 0)]
    found = count_duplicates(index, apart)
    assert (found.pictures, found.images, found.label_conflicts, found.pictures_across) == (1, 2, 1, 0)
    assert (found.pairs, found.pairs_across_patients, found.pairs_across) == (2, 1, 0)
    mixed = [*apart, Episode(("a", "d"), ("b", "c", "e"), 1), Episode(("a",), ("b",), 2)]
    found = count_duplicates(index, mixed)
    assert (found.pictures_across, found.pairs_across) == (1, 2)


def test_nothing_twice_is_zeros():
    found = count_duplicates(index_of([("a", "p1", "one", "x", "s"), ("b", "p2", "two", "y", "s")]), [])
    assert set(found.as_record().values()) == {0}
