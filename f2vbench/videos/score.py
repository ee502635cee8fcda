"""Scores of a folder of generated videos against the real ones, as a table and as text."""

from __future__ import annotations

import warnings
from dataclasses import asdict
from textwrap import fill

import pandas as pd

from f2vbench.data.video_folders import matched_video_folders
from f2vbench.errors import StoreError
from f2vbench.metrics.names import STAND_IN_METRIC
from f2vbench.metrics.video import ALL, VideoProtocol, VideoScore, video_metrics
from f2vbench.utils.files import write_csv
from f2vbench.utils.text import layout
from f2vbench.videos.settings import ScoreSettings

_NAMES = {"psnr": "PSNR", "ssim": "SSIM", "lpips": "LPIPS", "fvd": "FVD", STAND_IN_METRIC: "Fréchet, stand-in"}
_DIGITS = {"psnr": 2, "ssim": 4, "lpips": 4, "fvd": 2, STAND_IN_METRIC: 4}
_COLUMNS = ["protocol", "case", "metric", "value", "unit", "videos", "low", "high", "note"]


def score(settings: ScoreSettings) -> pd.DataFrame:
    """A row a protocol, video and metric, and the rows of all videos (case ``all``), also written to ``out``.

    Returns:
        the columns of `f2vbench.metrics.video.VideoScore`; a value that is missing has its reason in ``note``.

    Raises:
        DataError: a folder is missing or empty, cases or frames that only one of them has, or sizes that differ.
        WeightsError: weights that were named are not there, or are other files.
        StoreError: ``out`` is another file's place, or can't be written.
    """
    _check_out(settings)
    real, generated = matched_video_folders(settings.real, settings.generated)
    protocols: tuple[VideoProtocol, ...] = ("standard", "paper-compat")
    rows: list[VideoScore] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # too few videos for a covariance: the row's note tells
        for protocol in protocols if settings.protocol == "both" else (settings.protocol,):
            rows += video_metrics(
                real,
                generated,
                protocol=protocol,
                cases=real.cases,
                trunk=settings.lpips,
                i3d=settings.i3d,
                resamples=settings.resamples,
                seed=settings.seed,
            )
    table = pd.DataFrame([asdict(row) for row in rows], columns=_COLUMNS)
    if settings.out is not None:
        write_csv(table, settings.out)
    return table


def score_text(table: pd.DataFrame) -> str:
    """The rows of all videos for the terminal, and below them why values are missing and what to know of others."""
    whole = table[table.case == ALL]
    cells: list[list[str]] = []
    notes: dict[str, list[str]] = {}
    for row in whole.itertuples():
        digits = _DIGITS[row.metric]
        value = "–" if pd.isna(row.value) else f"{row.value:.{digits}f}{' ' + row.unit if row.unit else ''}"
        interval = "" if pd.isna(row.low) else f"{row.low:.{digits}f} to {row.high:.{digits}f}"
        cells.append([row.protocol, _NAMES[row.metric], value, interval, str(row.videos)])
        if row.note:
            notes.setdefault(f"{_NAMES[row.metric]}: {row.note}", []).append(row.protocol)
    text = layout(["protocol", "metric", "value", "95 % interval", "N"], cells)
    told = []
    for note, protocols in notes.items():  # addresses and commands in notes are copied: they stay whole
        line = f"{' and '.join(protocols)}, {note}"
        told.append(fill(line, 118, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))
    return "\n".join([text, "", *told]) if told else text


def _check_out(settings: ScoreSettings) -> None:
    """Don't write over a file that holds something else."""
    out = settings.out
    if out is None or not out.exists():
        return
    try:
        with out.open(encoding="utf-8") as file:
            first = file.readline().rstrip("\n")
    except (OSError, UnicodeDecodeError):
        first = ""
    if first != ",".join(_COLUMNS):
        raise StoreError(f"{out}: there already, and not written by f2vbench score; choose another out, or remove it")
