"""Fréchet distance of two sets of features, its bootstrap interval, and a named stand-in feature for videos."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import cv2
import numpy as np

_BASE = 64  # pixels: fine enough for the second branches of the vessels, small enough to be quick
_LEVELS = 4
_PARTS = 4
_GRID = 2
# One grey level of 8 bits: what moves less than that is noise of the file format.
_BASELINE = 1 / 255


@dataclass(frozen=True)
class FrechetDistance:
    """A squared Fréchet distance, as FID and FVD are given, with what it rests on.

    Attributes:
        value: at least 0.
        low: lower end of the bootstrap interval, None without bootstrap.
        high: upper end.
        real: number of real videos.
        fake: number of generated videos.
        features: width of the feature.
    """

    value: float
    low: float | None
    high: float | None
    real: int
    fake: int
    features: int

    @property
    def caution(self) -> str | None:
        """A sentence where there are too few videos for the covariance of so many features."""
        fewest = min(self.real, self.fake)
        if fewest >= self.features:
            return None
        return (
            f"N = {fewest} videos for {self.features} features: the covariance is rank-deficient and the distance "
            "biased upwards; compare it only between sets of the same N"
        )


def frechet_distance(
    real: np.ndarray,
    fake: np.ndarray,
    *,
    resamples: int = 0,
    confidence: float = 0.95,
    paired: bool = False,
    seed: int = 0,
) -> FrechetDistance:
    """|μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½) of two sets of feature vectors (Dowson and Landau 1982; Heusel 2017).

    No matrix root is taken. With Σ = AᵀA of the centred features, the eigenvalues of Σ₁Σ₂ are the squared singular
    values of A₁A₂ᵀ, so the trace of its root is their sum: exact for any rank, never complex, and small when there
    are few videos.

    The interval is for the expected distance of sets of this size, which is what sets of one size can be compared by;
    the true distance of the populations lies below it, the more so the fewer videos there are. Resampling biases the
    distance once more, so the resampled distances are moved to have the observed one for their mean. On Gaussian
    features a 95 % interval covered in 95 to 100 % of draws, with a quarter to ten times as many videos as
    features.

    Args:
        real: (n, d) features of the real videos, n ≥ 2.
        fake: (m, d) of the generated ones, m ≥ 2.
        resamples: bootstrap resamples; 0 for no interval.
        confidence: of the interval.
        paired: row i of both belongs to one eye, so both are drawn together; needs n = m.
        seed: of the resampling.

    Raises:
        ValueError: shapes that don't fit, fewer than two rows, or values that are not finite.

    Warns:
        UserWarning: fewer videos than features.
    """
    real, fake = np.asarray(real, np.float64), np.asarray(fake, np.float64)
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1]:
        raise ValueError(f"features must be (n, d) and (m, d), not {real.shape} and {fake.shape}")
    if min(len(real), len(fake)) < 2:
        raise ValueError(f"a covariance needs at least 2 videos in each set, not {len(real)} and {len(fake)}")
    if paired and len(real) != len(fake):
        raise ValueError(f"paired sets must be of one length, not {len(real)} and {len(fake)}")
    if not (np.isfinite(real).all() and np.isfinite(fake).all()):
        raise ValueError("features hold NaN or infinity")
    value = _distance(real, fake)
    low = high = None
    if resamples:
        drawn = _resampled(real, fake, resamples, paired, seed)
        tail = (1 - confidence) / 2
        lower, upper = value + np.quantile(drawn, [tail, 1 - tail]) - drawn.mean()
        low, high = max(0.0, float(lower)), float(upper)
    result = FrechetDistance(value, low, high, len(real), len(fake), real.shape[1])
    if result.caution:
        warnings.warn(result.caution, UserWarning, stacklevel=2)
    return result


def stand_in_features(video: np.ndarray) -> np.ndarray:
    """A fixed feature of a video that needs no weights: statistics of a pyramid in space and time.

    Not learnt and blind to most of what I3D sees; a Fréchet distance of it is no FVD and must not be called so.

    Every frame is averaged to 64 × 64. A Haar pyramid halves it three times by 2 × 2 means; a band is a level minus
    the level below spread out again, and the last level is a band itself: 4 bands. The frames are cut into 4
    consecutive parts, as even as possible. The features are, by part: for each band the logarithm of (1/255 + root
    mean square over pixels and frames), and the same of its change from frame to frame (a part's first change is the
    step into it; the first frame's is 0); and the mean brightness of each quarter of the frame. 4 × (4 + 4 + 4) = 48.

    Args:
        video: (t, h, w) in [0, 1], t ≥ 4.

    Returns:
        (48,) float64.

    Raises:
        ValueError: other shapes, or fewer than 4 frames.
    """
    if video.ndim != 3 or len(video) < _PARTS:
        raise ValueError(f"the stand-in feature needs a video (t, h, w) of at least {_PARTS} frames, not {video.shape}")
    level = np.stack([cv2.resize(f.astype(np.float64), (_BASE, _BASE), interpolation=cv2.INTER_AREA) for f in video])
    parts = np.array_split(np.arange(len(video)), _PARTS)
    cell = _BASE // _GRID
    brightness = level.reshape(-1, _GRID, cell, _GRID, cell).mean(axis=(2, 4)).reshape(len(video), -1)
    found = []
    for depth in range(_LEVELS):
        below = _halved(level)
        band = level if depth == _LEVELS - 1 else level - below.repeat(2, axis=1).repeat(2, axis=2)
        change = np.diff(band, axis=0, prepend=band[:1])
        found += [_log_rms(part) for moving in (band, change) for part in (moving[index] for index in parts)]
        level = below
    return np.concatenate([found, *(brightness[index].mean(axis=0) for index in parts)])


def _distance(real: np.ndarray, fake: np.ndarray) -> float:
    shift = real.mean(axis=0) - fake.mean(axis=0)
    a, b = _root(real), _root(fake)
    overlap = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return max(0.0, float(shift @ shift + np.sum(a * a) + np.sum(b * b) - 2 * overlap))


def _root(features: np.ndarray) -> np.ndarray:
    """A matrix A of at most d rows with AᵀA the (n − 1) covariance."""
    centred = (features - features.mean(axis=0)) / np.sqrt(len(features) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r")) if len(centred) > centred.shape[1] else centred


def _resampled(real: np.ndarray, fake: np.ndarray, resamples: int, paired: bool, seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    distances = []
    for _ in range(resamples):
        rows = draw.integers(len(real), size=len(real))
        others = rows if paired else draw.integers(len(fake), size=len(fake))
        distances.append(_distance(real[rows], fake[others]))
    return np.array(distances)


def _halved(level: np.ndarray) -> np.ndarray:
    frames, height, width = level.shape
    return level.reshape(frames, height // 2, 2, width // 2, 2).mean(axis=(2, 4))


def _log_rms(values: np.ndarray) -> float:
    return float(np.log(_BASELINE + np.sqrt(np.mean(np.square(values)))))
