"""Exact duplicates and near-duplicates are counted, also across an episode, and their patients are merged."""

from __future__ import annotations

import base64

import numpy as np
import pandas as pd

from f2vbench.data.duplicates import count_duplicates, merge_duplicate_patients
from f2vbench.data.episodes import Episode


def index_of(rows):
    """Rows of (image, patient, picture, motif, label); images with the same motif are near-duplicates."""
    appearances = {
        name: base64.b64encode(np.random.default_rng(seed).integers(-99, 99, 252).astype(np.int8).tobytes()).decode()
        for seed, name in enumerate(sorted({row[3] for row in rows}))
    }
    table = pd.DataFrame(rows, columns=["image", "patient", "sha256", "motif", "label"])
    return table.assign(appearance=table.motif.map(appearances), modality="CF").drop(columns="motif")


def test_duplicates_are_counted_in_all_and_across_an_episode():
    index = index_of(
        [
            ("a", "p1", "one", "x", "sick"),
            ("b", "p1", "one", "x", "well"),  # a's pixels, another label
            ("c", "p2", "two", "x", "sick"),  # a near-duplicate of a
            ("d", "p3", "three", "y", "well"),
            ("e", "p3", "four", "y", "well"),  # a near-duplicate of d, of the same patient
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


def test_without_duplicates_all_counts_are_zero():
    found = count_duplicates(index_of([("a", "p1", "one", "x", "s"), ("b", "p2", "two", "y", "s")]), [])
    assert set(found.as_record().values()) == {0}


def test_patients_with_a_common_picture_are_merged_and_leaked_copies_removed():
    rows = [("a", "a", "normal", "train"), ("b", "b", "normal", "test"), ("c", "c", "cataract", "train")]
    rows += [("d", "d", "normal", "val"), ("e", "c", "normal", "train"), ("f", "f", "normal", "train")]
    images = pd.DataFrame(rows, columns=["image", "patient", "label", "split"])
    images["sha256"] = ["1", "1", "2", "2", "3", "3"]
    images.attrs["notes"] = []
    merged = merge_duplicate_patients(images, official=False).set_index("image")
    assert merged["patient"].to_dict() == {"a": "a", "b": "a", "c": "c", "d": "c", "e": "c", "f": "c"}
    official = merge_duplicate_patients(images, official=True)
    assert list(official["image"]) == ["b", "d", "e", "f"]
    assert any("have different labels" in note for note in official.attrs["notes"])
    assert any("left out, duplicates of test or validation images: a, c" in note for note in official.attrs["notes"])
