"""Simulator of eyes: photographs, angiograms and other modalities with ground-truth masks and labels.

    from f2vbench.phantom import Cohort

    eye = Cohort(seed=7, patients=200)[13]
    eye.photograph().image, eye.photograph().truth.vessels, eye.labels

Folders: `anatomy` (geometry in millimetres), `lesions` (diseases and grades), `imaging` (images and masks), `export`
(data sets on disk).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from f2vbench.phantom.cohort import Cohort, CohortEye, Labels, Photograph

__all__ = ["Cohort", "CohortEye", "Labels", "Photograph"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'f2vbench.phantom' has no attribute '{name}'")
    from f2vbench.phantom import cohort

    return getattr(cohort, name)
