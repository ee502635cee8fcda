"""Which metrics are the better the lower they are; of all others, more is better."""

from __future__ import annotations

LOWER_IS_BETTER = frozenset({"brier", "calibration_error"})
