"""Scores of generated videos against the real ones, in a correct protocol and in one that repeats published arithmetic.

``standard``: frames in [0, 1]; PSNR, SSIM and LPIPS by frame, averaged over a video's frames, then over videos; FVD of
the two sets of videos; beside it the Fréchet distance of a stand-in feature that needs no weights (no FVD).

``paper-compat``: the released Fundus2Video code hands frames in [−1, 1] to metrics that assume [0, 1]. PSNR then reads
20 log₁₀ 2 = 6.02 dB low, SSIM has the constants of another range, LPIPS and I3D see [−3, 1], and "FVD" is the squared
distance of the I3D features of one video and its generated counterpart. Only these numbers may stand beside the
published ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from torch import nn

from f2vbench.errors import DataError, WeightsError
from f2vbench.metrics.frechet import frechet_distance, stand_in_features
from f2vbench.metrics.i3d import I3D_CARD, i3d_features, load_i3d
from f2vbench.metrics.image_quality import check_frames, psnr_unchecked, ssim_unchecked
from f2vbench.metrics.lpips_distance import LPIPS_CARD, load_lpips, lpips_unchecked
from f2vbench.metrics.names import STAND_IN, STAND_IN_METRIC, VIDEO_METRICS
from f2vbench.pretrained.weights_cards import weights_card
from f2vbench.pretrained.weights_files import note_if_absent

VideoProtocol = Literal["standard", "paper-compat"]
ALL = "all"
"""The case of a row that tells of all videos together."""
RESAMPLES = 200

_Outcome = tuple["float | None", str]  # a value, or None with the reason; or a value with what to know about it
_Pair = tuple[np.ndarray, np.ndarray]


class Videos(Protocol):
    """An array (n, t, h, w), a list of videos, or a folder that reads each when it is asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> np.ndarray: ...


@dataclass(frozen=True)
class VideoScore:
    """One row of the result; ``pandas.DataFrame(rows)`` makes the tidy table.

    Attributes:
        protocol: ``standard`` or ``paper-compat``.
        case: name of the video, or ``all``.
        metric: one of `VIDEO_METRICS`, or the stand-in's.
        value: the score, None where it could not be computed; a PSNR is infinite for identical frames.
        unit: ``dB``, or "" for a bare number.
        videos: how many videos the value rests on.
        low, high: ends of a 95 % bootstrap interval over videos, where there is one.
        note: why the value is missing, or what to know about it.
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
    """What could be loaded; for the rest the reason."""

    lpips: nn.Module | None
    i3d: nn.Module | None
    reasons: dict[str, str]


def video_metrics(
    real: Videos,
    fake: Videos,
    *,
    protocol: VideoProtocol = "standard",
    cases: Sequence[str] | None = None,
    inside: Videos | None = None,
    trunk: str | Path | nn.Module | None = None,
    i3d: str | Path | nn.Module | None = None,
    frechet: bool = True,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> list[VideoScore]:
    """Score generated videos: a row a video and metric, then the rows of all videos.

    Videos are taken one pair at a time, so `f2vbench.data.video_folders.VideoFolder` can be given in place of arrays.
    What can't be computed (absent weights, frames too small, too few frames or videos) is a row without value whose
    note says why. Weights that were named but are not there are an error.

    Args:
        real: (n, t, h, w), or n videos (t, h, w), in [0, 1].
        fake: the generated videos of the same cases.
        protocol: see the module's text.
        cases: names of the videos, each once and none of them "all"; by default 1 … n.
        inside: n masks (h, w), bool: PSNR, SSIM and LPIPS count only there, the Fréchet distances see whole frames.
            Not in ``paper-compat``.
        trunk: AlexNet weights of LPIPS, a path or what `load_lpips` returned; by default looked for by their card.
        i3d: I3D weights of FVD, likewise.
        frechet: whether to measure the distances of the two sets of videos; no, where single frames are compared.
        resamples: bootstrap resamples of the Fréchet distances.
        seed: of the bootstrap.

    Raises:
        ValueError: different numbers of videos, names or masks, or an unknown protocol.
        DataError: a pair of videos of different shapes, or values not finite or outside [0, 1]; told with its case.
        WeightsError: weights that were given are not there, or are another file.
    """
    if protocol not in ("standard", "paper-compat"):
        raise ValueError(f"there is no protocol '{protocol}': standard or paper-compat")
    if inside is not None and protocol == "paper-compat":
        raise ValueError("paper-compat repeats arithmetic on whole frames: leave the masks out")
    names = list(cases) if cases is not None else [str(number + 1) for number in range(len(real))]
    counts = {"real": len(real), "generated": len(fake), "names": len(names)}
    counts |= {} if inside is None else {"masks": len(inside)}
    if not len(real) or len(set(counts.values())) > 1:
        raise ValueError(f"need as many of each, and at least one: {counts}")
    if ALL in names or len(set(names)) < len(names):
        raise DataError(f"names of cases must differ, and '{ALL}' stands for all of them; rename: {', '.join(names)}")
    networks = _load(trunk, i3d, with_i3d=frechet or protocol == "paper-compat")
    rows: list[VideoScore] = []
    features: list[dict[str, _Pair | str]] = []
    for index, case in enumerate(names):
        mask = None if inside is None else inside[index]
        pair = _checked(case, real[index], fake[index], mask)
        if protocol == "standard":
            if frechet:
                features.append({"fvd": _i3d_pair(pair, networks), STAND_IN_METRIC: _stand_in_pair(pair)})
            outcomes = _frame_scores(pair, mask, networks)
        else:
            pair = (2 * pair[0] - 1, 2 * pair[1] - 1)
            outcomes = _frame_scores(pair, mask, networks) | {"fvd": _distance_of_one_pair(_i3d_pair(pair, networks))}
        rows += [
            VideoScore(protocol, case, m, value, VIDEO_METRICS[m], 1, note=note)
            for m, (value, note) in outcomes.items()
        ]
    means = [_mean([row for row in rows if row.metric == metric]) for metric in outcomes]
    distances = {metric: [found[metric] for found in features] for metric in (features[0] if features else {})}
    return [*rows, *means, *(_set_distance(m, names, pairs, resamples, seed) for m, pairs in distances.items())]


def _load(trunk: str | Path | nn.Module | None, i3d: str | Path | nn.Module | None, *, with_i3d: bool) -> _Networks:
    reasons: dict[str, str] = {}
    loaded: dict[str, nn.Module | None] = {"fvd": None}
    wanted = [
        ("lpips", trunk, load_lpips, LPIPS_CARD),
        *([("fvd", i3d, load_i3d, I3D_CARD)] if with_i3d else []),
    ]
    for metric, given, load, card in wanted:
        try:
            loaded[metric] = given if isinstance(given, nn.Module) else load(given)
        except WeightsError as error:
            if given is not None:
                raise
            loaded[metric], reasons[metric] = None, note_if_absent(weights_card(card)) or str(error)
    return _Networks(loaded["lpips"], loaded["fvd"], reasons)


def _checked(case: str, real: np.ndarray, fake: np.ndarray, mask: np.ndarray | None) -> _Pair:
    """The pair of videos, fit for every metric."""
    real, fake = np.asarray(real), np.asarray(fake)
    if real.ndim != 3:
        raise ValueError(f"videos are (t, h, w), not {real.shape}")
    if mask is not None and (mask.dtype != np.bool_ or mask.shape != real.shape[1:]):
        raise ValueError(f"masks are bool {real.shape[1:]}, not {mask.dtype} {mask.shape}")
    try:
        check_frames(real, fake)
    except ValueError as error:
        raise DataError(f"case {case}: {error}; give videos of one shape, scaled to [0, 1]") from None
    return real, fake


def _frame_scores(pair: _Pair, mask: np.ndarray | None, networks: _Networks) -> dict[str, _Outcome]:
    network = networks.lpips
    return {
        "psnr": _mean_over_frames(lambda: psnr_unchecked(*pair, mask)),
        "ssim": _mean_over_frames(lambda: ssim_unchecked(*pair, mask)),
        "lpips": (None, networks.reasons["lpips"])
        if network is None
        else _mean_over_frames(lambda: lpips_unchecked(*pair, network, mask)),
    }


def _mean_over_frames(measure: Callable[[], np.ndarray]) -> _Outcome:
    try:
        values = measure()
    except ValueError as error:  # frames too small for the metric, or a mask that leaves it nothing
        return None, str(error)
    identical = [str(number + 1) for number in np.flatnonzero(np.isinf(values))]
    note = f"infinite: frame {', '.join(identical)} equals the real one" if identical else ""
    return float(values.mean()), note


def _i3d_pair(pair: _Pair, networks: _Networks) -> _Pair | str:
    if networks.i3d is None:
        return networks.reasons["fvd"]
    try:
        return i3d_features(pair[0], networks.i3d), i3d_features(pair[1], networks.i3d)
    except ValueError as error:  # too few frames
        return str(error)


def _stand_in_pair(pair: _Pair) -> _Pair | str:
    try:
        return stand_in_features(pair[0]), stand_in_features(pair[1])
    except ValueError as error:  # too few frames
        return str(error)


def _distance_of_one_pair(pair: _Pair | str) -> _Outcome:
    if isinstance(pair, str):
        return None, pair
    return float(np.sum(np.square(pair[0] - pair[1]))), "squared distance of I3D features of one pair of videos"


def _mean(rows: Sequence[VideoScore]) -> VideoScore:
    """One metric's mean over the videos that have a value; the note says which have none, and why."""
    held = [row for row in rows if row.value is not None]
    missing = [row for row in rows if row.value is None]
    reasons = "; ".join(dict.fromkeys(row.note for row in missing))
    if not held:
        return replace(rows[0], case=ALL, videos=len(rows), note=reasons)
    mean = float(np.mean([row.value for row in held]))
    infinite = [row.case for row in held if row.value == np.inf]
    notes = [f"infinite: {', '.join(infinite)} has frames equal to the real ones"] if infinite else []
    notes += [] if infinite else dict.fromkeys(row.note for row in held if row.note)
    notes += [f"without {', '.join(row.case for row in missing)} ({reasons})"] if missing else []
    return replace(held[0], case=ALL, value=mean, videos=len(held), note="; ".join(notes))


def _set_distance(
    metric: str, names: Sequence[str], pairs: Sequence[_Pair | str], resamples: int, seed: int
) -> VideoScore:
    """The Fréchet distance of all videos; one video without features leaves it without value."""
    without = {case: pair for case, pair in zip(names, pairs, strict=True) if isinstance(pair, str)}
    empty = VideoScore("standard", ALL, metric, None, VIDEO_METRICS.get(metric, ""), len(names))
    if without:
        cases = "" if len(without) == len(names) else f"{', '.join(without)}: "
        return replace(empty, note=cases + "; ".join(dict.fromkeys(without.values())))
    if len(names) < 2:
        return replace(empty, note="a covariance needs at least 2 videos")
    real, fake = (np.stack([pair[side] for pair in pairs]) for side in (0, 1))
    found = frechet_distance(real, fake, resamples=resamples, paired=True, seed=seed)
    notes = [f"stand-in feature {STAND_IN}, no FVD" if metric == STAND_IN_METRIC else "", found.caution or ""]
    note = "; ".join(filter(None, notes))
    return replace(empty, value=found.value, low=found.low, high=found.high, note=note)
