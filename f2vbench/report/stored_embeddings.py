"""Embeddings of finished runs, read back from the feature store without loading an encoder."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from f2vbench.config.run import RunSettings
from f2vbench.data.photographs import entry_name
from f2vbench.data.task_data import TaskData
from f2vbench.encoders.feature_identity import declared, entry_size
from f2vbench.results import Results
from f2vbench.store.features import FeatureSet

_WHAT = "embedding"


def stored_embeddings(results: Results) -> Callable[[TaskData, str], tuple[list[str], np.ndarray] | None]:
    """(task, encoder) → ids of the task's images and their (n, width) embeddings as the runs have made them.

    None where the store holds none of them: another machine, or an emptied cache. Damaged entries are left out.
    """

    def of(task: TaskData, encoder: str) -> tuple[list[str], np.ndarray] | None:
        for features, size in _sets(results, encoder):
            held = {str(row.image): features.get(entry_name(row, size)) for row in task.index.itertuples()}
            vectors = {image: arrays[_WHAT] for image, arrays in held.items() if arrays is not None}
            if vectors:
                return list(vectors), np.stack(list(vectors.values()))
        return None

    return of


def _sets(results: Results, encoder: str) -> list[tuple[FeatureSet, int]]:
    """Sets of features that an encoder's units may have read, the newest call's first, with the size of the views."""
    identities = [(r["identity"]["kind"], r["identity"]["model"]) for r in results.records if _is(r, encoder)]
    found = []
    for kind, identity in identities[:1]:
        for call in results.calls:
            settings = RunSettings.model_construct(**call["settings"])
            said = declared(identity, kind == "features", _WHAT, settings)
            features = FeatureSet.planned(said)
            if features is not None:
                found.append((features, entry_size(_WHAT, settings)))
    return found


def _is(record: dict, encoder: str) -> bool:
    return record["unit"]["encoder"] == encoder
