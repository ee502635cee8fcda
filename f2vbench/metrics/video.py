"""Metrics of generated videos against real ones, in a standard protocol and in one that reproduces published numbers.

``standard``: frames in [0, 1]; PSNR, SSIM and LPIPS of each frame, averaged over the frames of a video, then over
videos; FVD of the two sets of videos, and the Fréchet distance of stand-in features that need no weights (not an FVD).

``paper-compat``: the released Fundus2Video code passes frames in [−1, 1] to metrics that assume [0, 1]. PSNR is then
20 log₁₀ 2 = 6.02 dB too low and at most 100, the value of identical frames; SSIM has the constants of another range;
LPIPS and I3D receive [−3, 1]. "FVD" is the squared distance of the I3D features of one video and its generated
counterpart, averaged over the clips of its first 10, 11, … and all frames (10, 11 and 12). Only these numbers are
comparable with the published ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

import numpy as np
from torch import nn

from f2vbench.errors import DataError, WeightsError
from f2vbench.metrics.frechet import frechet_distance, stand_in_features
from f2vbench.metrics.i3d import I3D_CARD, MIN_FRAMES, i3d_features, load_i3d
from f2vbench.metrics.image_quality import check_frames, psnr_unchecked, ssim_unchecked
from f2vbench.metrics.lpips_distance import LPIPS_CARD, load_lpips, lpips_unchecked
from f2vbench.metrics.names import STAND_IN, STAND_IN_METRIC, VIDEO_METRICS
from f2vbench.pretrained.weights_cards import weights_card
from f2vbench.pretrained.weights_files import note_if_absent

VideoProtocol = Literal["standard", "paper-compat"]
ALL_CASES = "all"
"""The case of a row that summarizes all videos."""
RESAMPLES = 200

_RELEASED_LARGEST_PSNR = 100.0
"""PSNR in the released code where the mean squared error is below 1e-10, where its formula gives more than 100 dB."""

_Pair = tuple[np.ndarray, np.ndarray]


class _Outcome(NamedTuple):
    """A value with a note on it, or None with the reason."""

    value: float | None
    note: str


class Videos(Protocol):
    """An array (n, t, h, w), a list of videos, or a folder that reads each video on access."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> np.ndarray: ...


@dataclass(frozen=True)
class VideoScore:
    """One row of the result; ``pandas.DataFrame(rows)`` makes a tidy table.

    Attributes:
        protocol: ``standard`` or ``paper-compat``.
        case: Name of the video, or ``all``.
        metric: A name in `VIDEO_METRICS`, or `STAND_IN_METRIC`.
        value: The score; None where it cannot be computed. PSNR of identical frames is infinite, in ``paper-compat``
            100.
        unit: ``dB``, or an empty string.
        videos: Number of videos that contribute to the value.
        low: Lower end of a 95 % bootstrap interval over videos, where there is one.
        high: Upper end of the interval.
        note: Why the value is missing, or a note on it.
    """

    protocol: str
    case: str
    metric: str
    value: float | None
    unit: str
    videos: int
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True)
class _Networks:
    """The loaded networks, and by metric the reason where one is absent."""

    lpips: nn.Module | None
    i3d: nn.Module | None
    reasons: Mapping[str, str]


def video_metrics(
    real: Videos,
    fake: Videos,
    *,
    protocol: VideoProtocol = "standard",
    cases: Sequence[str] | None = None,
    masks: Videos | None = None,
    trunk: str | Path | nn.Module | None = None,
    i3d: str | Path | nn.Module | None = None,
    frechet: bool = True,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[VideoScore]:
    """Compute the metrics of generated videos.

    Videos are read one pair at a time, so `f2vbench.data.video_folders.VideoFolder` works in place of arrays. A metric
    that cannot be computed (absent weights, frames too small, too few frames or videos) has a row without value whose
    note says why. Absent weights are an error if their path is an argument.

    Args:
        real: (n, t, h, w), or n videos (t, h, w), in [0, 1].
        fake: Generated videos of the same cases.
        protocol: ``standard`` or ``paper-compat``, see the module's docstring.
        cases: Unique names of the videos, none of them "all"; by default 1 … n.
        masks: n masks (h, w), bool, to which PSNR, SSIM and LPIPS are restricted. The Fréchet distances use whole
            frames. Not in ``paper-compat``.
        trunk: AlexNet weights of LPIPS: a path, or a network of `load_lpips`. By default the file of the card is
            searched.
        i3d: I3D weights of FVD, likewise.
        frechet: Whether to compute the distances of the two sets of videos. Use False for single frames.
        resamples: Number of bootstrap resamples of the Fréchet distances.
        seed: Seed of the bootstrap.

    Returns:
        A row for each video and metric, then the rows of all videos.

    Raises:
        ValueError: Different numbers of videos, names or masks; masks of a wrong shape or dtype; unknown protocol.
        DataError: A pair of videos has different shapes, or values that are not finite or outside [0, 1]; names of
            cases are not unique.
        WeightsError: Weights whose path is an argument are absent, or are a different file.

    Example:
        >>> real = np.full((1, 2, 16, 16), 0.5)
        >>> rows = video_metrics(real, real + 0.1, frechet=False)
        >>> [(row.case, row.metric, round(row.value, 2), row.unit) for row in rows if row.metric == "psnr"]
        [('1', 'psnr', 20.0, 'dB'), ('all', 'psnr', 20.0, 'dB')]
    """
    if protocol not in ("standard", "paper-compat"):
        raise ValueError(f"unknown protocol '{protocol}': must be standard or paper-compat")
    if masks is not None and protocol == "paper-compat":
        raise ValueError("paper-compat is defined on whole frames: use it without masks")
    names = list(cases) if cases is not None else [str(number + 1) for number in range(len(real))]
    _check_counts(real, fake, masks, names)
    networks = _load_networks(trunk, i3d, with_i3d=frechet or protocol == "paper-compat")
    rows: list[VideoScore] = []
    features: list[dict[str, _Pair | str]] = []
    for index, case in enumerate(names):
        mask = None if masks is None else masks[index]
        pair = _checked_pair(case, real[index], fake[index], mask)
        if protocol == "standard":
            if frechet:
                features.append({"fvd": _i3d_pair(pair, networks), STAND_IN_METRIC: _stand_in_pair(pair)})
            outcomes = _frame_outcomes(pair, mask, networks)
        else:
            pair = (2 * pair[0] - 1, 2 * pair[1] - 1)
            outcomes = _frame_outcomes(pair, mask, networks, _RELEASED_LARGEST_PSNR)
            outcomes["fvd"] = _released_fvd(pair, networks)
        rows += [
            VideoScore(protocol, case, metric, outcome.value, VIDEO_METRICS[metric], 1, note=outcome.note)
            for metric, outcome in outcomes.items()
        ]
    means = [_mean_over_videos([row for row in rows if row.metric == metric]) for metric in outcomes]
    distances = {metric: [each[metric] for each in features] for metric in (features[0] if features else {})}
    return [
        *rows,
        *means,
        *(_set_distance(metric, names, pairs, resamples, seed) for metric, pairs in distances.items()),
    ]


def _check_counts(real: Videos, fake: Videos, masks: Videos | None, names: Sequence[str]) -> None:
    counts = {"real": len(real), "generated": len(fake), "names": len(names)}
    counts |= {} if masks is None else {"masks": len(masks)}
    if not len(real) or len(set(counts.values())) > 1:
        raise ValueError(f"numbers of videos, names and masks must be equal, and at least 1, not {counts}")
    if ALL_CASES in names or len(set(names)) < len(names):
        listed = ", ".join(names)
        raise DataError(
            f"names of cases must be unique, and '{ALL_CASES}' is reserved for all of them; rename: {listed}"
        )


def _load_networks(
    trunk: str | Path | nn.Module | None, i3d: str | Path | nn.Module | None, *, with_i3d: bool
) -> _Networks:
    reasons: dict[str, str] = {}

    def load(
        metric: str,
        source: str | Path | nn.Module | None,
        load_network: Callable[[str | Path | None], nn.Module],
        card: str,
    ) -> nn.Module | None:
        try:
            return source if isinstance(source, nn.Module) else load_network(source)
        except WeightsError as error:
            if source is not None:
                raise
            reasons[metric] = note_if_absent(weights_card(card)) or str(error)
            return None

    lpips_network = load("lpips", trunk, load_lpips, LPIPS_CARD)
    i3d_network = load("fvd", i3d, load_i3d, I3D_CARD) if with_i3d else None
    return _Networks(lpips_network, i3d_network, reasons)


def _checked_pair(case: str, real: np.ndarray, fake: np.ndarray, mask: np.ndarray | None) -> _Pair:
    """The pair of videos as arrays, valid for every metric."""
    real, fake = np.asarray(real), np.asarray(fake)
    if real.ndim != 3:
        raise ValueError(f"videos must have shape (t, h, w), not {real.shape}")
    if mask is not None and (mask.dtype != np.bool_ or mask.shape != real.shape[1:]):
        raise ValueError(f"masks must be bool of shape {real.shape[1:]}, not {mask.dtype} of shape {mask.shape}")
    try:
        check_frames(real, fake)
    except ValueError as error:
        raise DataError(f"case {case}: {error}; use videos of one shape, scaled to [0, 1]") from None
    return real, fake


def _frame_outcomes(
    pair: _Pair, mask: np.ndarray | None, networks: _Networks, largest_psnr: float = np.inf
) -> dict[str, _Outcome]:
    network = networks.lpips
    return {
        "psnr": _mean_over_frames(lambda: np.minimum(psnr_unchecked(*pair, mask), largest_psnr)),
        "ssim": _mean_over_frames(lambda: ssim_unchecked(*pair, mask)),
        "lpips": _Outcome(None, networks.reasons["lpips"])
        if network is None
        else _mean_over_frames(lambda: lpips_unchecked(*pair, network, mask)),
    }


def _mean_over_frames(compute: Callable[[], np.ndarray]) -> _Outcome:
    try:
        values = compute()
    except ValueError as error:  # the frames are too small for the metric, or the mask is
        return _Outcome(None, str(error))
    identical = [str(number + 1) for number in np.flatnonzero(np.isinf(values))]
    note = f"infinite: frame {', '.join(identical)} is identical to the real one" if identical else ""
    return _Outcome(float(values.mean()), note)


def _i3d_pair(pair: _Pair, networks: _Networks) -> _Pair | str:
    """I3D features of both videos, or why there are none."""
    if networks.i3d is None:
        return networks.reasons["fvd"]
    try:
        return i3d_features(pair[0], networks.i3d), i3d_features(pair[1], networks.i3d)
    except ValueError as error:  # too few frames
        return str(error)


def _stand_in_pair(pair: _Pair) -> _Pair | str:
    """Stand-in features of both videos, or why there are none."""
    try:
        return stand_in_features(pair[0]), stand_in_features(pair[1])
    except ValueError as error:  # too few frames
        return str(error)


def _released_fvd(pair: _Pair, networks: _Networks) -> _Outcome:
    """The released code's "FVD": squared distance of the features of two clips, mean over lengths from 10 frames."""
    frames = len(pair[0])
    distances = []
    for length in range(min(MIN_FRAMES, frames), frames + 1):
        features = _i3d_pair((pair[0][:length], pair[1][:length]), networks)
        if isinstance(features, str):
            return _Outcome(None, features)
        distances.append(np.sum(np.square(features[0] - features[1])))
    lengths = f"{MIN_FRAMES} to {frames}" if frames > MIN_FRAMES else str(frames)
    note = f"squared distance of the I3D features of one pair of videos, mean over clips of {lengths} frames"
    return _Outcome(float(np.mean(distances)), note)


def _mean_over_videos(rows: Sequence[VideoScore]) -> VideoScore:
    """Mean of a metric over the videos that have a value; the note names the others and their reasons."""
    valued = [row for row in rows if row.value is not None]
    missing = [row for row in rows if row.value is None]
    reasons = "; ".join(dict.fromkeys(row.note for row in missing))
    if not valued:
        return replace(rows[0], case=ALL_CASES, videos=len(rows), note=reasons)
    mean = float(np.mean([row.value for row in valued]))
    infinite = [row.case for row in valued if row.value == np.inf]
    notes = [f"infinite: {', '.join(infinite)} has frames identical to the real ones"] if infinite else []
    notes += [] if infinite else dict.fromkeys(row.note for row in valued if row.note)
    notes += [f"without {', '.join(row.case for row in missing)} ({reasons})"] if missing else []
    return replace(valued[0], case=ALL_CASES, value=mean, videos=len(valued), note="; ".join(notes))


def _set_distance(
    metric: str, names: Sequence[str], pairs: Sequence[_Pair | str], resamples: int, seed: int
) -> VideoScore:
    """Fréchet distance of all videos; it has no value if one video has no features."""
    reasons = {case: pair for case, pair in zip(names, pairs, strict=True) if isinstance(pair, str)}
    empty = VideoScore("standard", ALL_CASES, metric, None, VIDEO_METRICS.get(metric, ""), len(names))
    if reasons:
        cases = "" if len(reasons) == len(names) else f"{', '.join(reasons)}: "
        return replace(empty, note=cases + "; ".join(dict.fromkeys(reasons.values())))
    if len(names) < 2:
        return replace(empty, note="a covariance needs at least 2 videos")
    real, fake = (np.stack([pair[side] for pair in pairs if not isinstance(pair, str)]) for side in (0, 1))
    result = frechet_distance(real, fake, resamples=resamples, paired=True, seed=seed)
    notes = [f"stand-in features {STAND_IN}, not FVD" if metric == STAND_IN_METRIC else "", result.caution or ""]
    note = "; ".join(filter(None, notes))
    return replace(empty, value=result.value, low=result.low, high=result.high, note=note)
