"""Segmentation metrics on arrays: ranking metrics from tallies of scores, overlap metrics from counts.

A *tally* counts vessel and background pixels at every distinct score, highest first; AUROC and average
precision follow from it exactly, ties included. Tallies of one photograph are exact. Pooled ones are
kept in 2²⁰ bins (float32 rounded to 11 bits after the leading one, relative width 5·10⁻⁴), so that memory does not
grow with the number of photographs; on real score maps this moves a pooled AUROC by less than 10⁻⁵.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

RANKING = ("auroc", "average_precision")
OVERLAP = ("dice", "sensitivity", "specificity", "accuracy")
_BIN_SHIFT = np.uint32(12)
_BINS = 1 << 20


@dataclass(frozen=True)
class Tally:
    """Counts of positive and negative pixels at each distinct score, highest score first."""

    positives: np.ndarray
    negatives: np.ndarray

    def auroc(self) -> float | None:
        """Area under the ROC curve, ties counted half; None when a class is absent."""
        positives, negatives = int(self.positives.sum()), int(self.negatives.sum())
        if not positives or not negatives:
            return None
        below = negatives - np.cumsum(self.negatives)
        wins = np.dot(self.positives.astype(np.float64), below + 0.5 * self.negatives)
        return float(wins / (positives * negatives))

    def average_precision(self) -> float | None:
        """Σ (Rₙ − Rₙ₋₁) Pₙ over the distinct scores; None when there is no positive."""
        positives = int(self.positives.sum())
        if not positives:
            return None
        found = np.cumsum(self.positives)
        called = found + np.cumsum(self.negatives)
        held = called > 0
        return float(np.dot(self.positives[held] / positives, found[held] / called[held]))


def tally(scores: np.ndarray, labels: np.ndarray) -> Tally:
    """Exact tally.

    Args:
        scores: (n,) float32, finite; higher means more likely a vessel.
        labels: (n,) bool.
    """
    _, called, positives = _ranked(scores, labels)
    return Tally(np.diff(positives, prepend=0), np.diff(called - positives, prepend=0))


@dataclass(frozen=True)
class Confusion:
    """Pixel counts at one threshold."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @classmethod
    def of(cls, called: np.ndarray, labels: np.ndarray) -> Confusion:
        """Counts of (n,) bool calls against (n,) bool labels."""
        both = int(np.count_nonzero(called & labels))
        all_called, all_vessel = int(np.count_nonzero(called)), int(np.count_nonzero(labels))
        return cls(both, all_called - both, all_vessel - both, labels.size - all_called - all_vessel + both)

    def __add__(self, other: Confusion) -> Confusion:
        return Confusion(
            self.true_positive + other.true_positive,
            self.false_positive + other.false_positive,
            self.false_negative + other.false_negative,
            self.true_negative + other.true_negative,
        )

    def overlap(self) -> dict[str, float | None]:
        """Dice, sensitivity, specificity and accuracy in [0, 1]; None where the denominator is zero."""
        tp, fp, fn, tn = self.true_positive, self.false_positive, self.false_negative, self.true_negative
        return {
            "dice": _ratio(2 * tp, 2 * tp + fp + fn),
            "sensitivity": _ratio(tp, tp + fn),
            "specificity": _ratio(tn, tn + fp),
            "accuracy": _ratio(tp + tn, tp + fp + fn + tn),
        }


def evaluate(scores: np.ndarray, labels: np.ndarray, threshold: float | None) -> dict[str, float | None]:
    """All metrics of one photograph (or of any set of pixels).

    Args:
        scores: (n,) float32.
        labels: (n,) bool.
        threshold: pixels with a score at or above it are called vessel; None leaves the overlap metrics None.
    """
    counts = tally(scores, labels)
    ranking = {"auroc": counts.auroc(), "average_precision": counts.average_precision()}
    if threshold is None:
        return {**ranking, **dict.fromkeys(OVERLAP)}
    return {**ranking, **Confusion.of(scores >= threshold, labels).overlap()}


@dataclass
class Pool:
    """The pixels of many photographs as one set, in memory that does not grow with them."""

    positives: np.ndarray = field(default_factory=lambda: np.zeros(_BINS, np.int64))
    negatives: np.ndarray = field(default_factory=lambda: np.zeros(_BINS, np.int64))
    confusion: Confusion = field(default_factory=lambda: Confusion(0, 0, 0, 0))

    def add(self, scores: np.ndarray, labels: np.ndarray, threshold: float | None) -> None:
        """Take in one photograph: (n,) float32 scores and (n,) bool labels."""
        bins = _bin_of(scores)
        self.positives += np.bincount(bins[labels], minlength=_BINS)
        self.negatives += np.bincount(bins[~labels], minlength=_BINS)
        if threshold is not None:
            self.confusion = self.confusion + Confusion.of(scores >= threshold, labels)

    def metrics(self, threshold: float | None) -> dict[str, float | None]:
        """The metrics of all pixels taken in."""
        counts = Tally(self.positives[::-1], self.negatives[::-1])
        ranking = {"auroc": counts.auroc(), "average_precision": counts.average_precision()}
        return {**ranking, **(dict.fromkeys(OVERLAP) if threshold is None else self.confusion.overlap())}


def best_dice_threshold(scores: np.ndarray, labels: np.ndarray) -> float | None:
    """The score at which calling everything at or above it gives the highest Dice; None without a positive."""
    distinct, called, found = _ranked(scores, labels)
    if not found.size or not found[-1]:
        return None
    return float(distinct[np.argmax(2 * found / (called + found[-1]))])


def _ranked(scores: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distinct scores, highest first, and how many pixels and how many positives reach each.

    Score and label are sorted as one integer, which is several times faster than sorting an index.
    """
    keys = np.sort((_ordered_bits(scores).astype(np.uint64) << np.uint64(1)) | labels.astype(np.uint64))[::-1]
    bits = (keys >> np.uint64(1)).astype(np.uint32)
    last = np.flatnonzero(np.r_[bits[1:] != bits[:-1], True]) if bits.size else np.zeros(0, np.int64)
    found = np.cumsum(keys & np.uint64(1)).astype(np.int64)[last]
    return _scores_of(bits[last]), last + 1, found


def _bin_of(scores: np.ndarray) -> np.ndarray:
    """Order-keeping bin of float32 scores: the ordered bit pattern without its lowest bits."""
    return (_ordered_bits(scores) >> _BIN_SHIFT).astype(np.int64)


def _ordered_bits(scores: np.ndarray) -> np.ndarray:
    """uint32 that order as the float32 scores do."""
    bits = (np.asarray(scores, dtype=np.float32) + np.float32(0)).view(np.uint32)  # −0 becomes +0
    return np.where(bits >> np.uint32(31), ~bits, bits | np.uint32(0x80000000))


def _scores_of(ordered: np.ndarray) -> np.ndarray:
    """The float32 scores of their `_ordered_bits`."""
    return np.where(ordered >> np.uint32(31), ordered ^ np.uint32(0x80000000), ~ordered).view(np.float32)


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None
