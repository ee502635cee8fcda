"""The classes of a truth map of a simulated eye."""

from __future__ import annotations

from f2vbench.phantom.lesions.base import KINDS

TRUTH_CLASSES = ("artery", "vein", "disc", "fovea", *KINDS)
"""The classes of a truth map in the order of its bits: vessels by type, landmarks, then every kind of lesion."""
