"""Scores of a folder of generated videos against the real ones, as a table and as text."""

from __future__ import annotations

import warnings
from dataclasses import asdict
from textwrap import fill

import pandas as pd

from f2vbench.data.video_folders import matched_video_folders
from f2vbench.metrics.names import STAND_IN_METRIC
from f2vbench.metrics.video import ALL_CASES, VideoProtocol, VideoScore, video_metrics
from f2vbench.utils.existing_outputs import check_output_file, has_first_line
from f2vbench.utils.files import write_csv
from f2vbench.utils.text import layout
from f2vbench.videos.settings import ScoreSettings

_NAMES = {"psnr": "PSNR", "ssim": "SSIM", "lpips": "LPIPS", "fvd": "FVD", STAND_IN_METRIC: "Fréchet, stand-in"}
_DIGITS = {"psnr": 2, "ssim": 4, "lpips": 4, "fvd": 2, STAND_IN_METRIC: 4}
_COLUMNS = ["protocol", "case", "metric", "value", "unit", "videos", "low", "high", "note"]


def score(settings: ScoreSettings) -> pd.DataFrame:
    """Score generated videos against real ones, and write the table to ``out``.

    Args:
        settings: Folders, protocol and weights of the metrics.

    Returns:
        A row for each protocol, video and metric, and rows for all videos together (case ``all``), with the columns of
        `f2vbench.metrics.video.VideoScore`. A missing value has its reason in ``note``.

    Raises:
        DataError: A folder is missing or empty, only one folder has a case or frame, or sizes differ.
        WeightsError: A weights file is missing or has other content.
        StoreError: ``out`` is another file, or can't be written.
    """
    if settings.out is not None:
        check_output_file(settings.out, "out", has_first_line(",".join(_COLUMNS)))
    real, generated = matched_video_folders(settings.real, settings.generated)
    protocols: tuple[VideoProtocol, ...] = ("standard", "paper-compat")
    rows: list[VideoScore] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # too few videos for a covariance: the note says so
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
    """The scores over all videos as text, with their notes below.

    Args:
        table: As `score` returns it.
    """
    cells: list[list[str]] = []
    notes: dict[str, list[str]] = {}
    for row in table[table.case == ALL_CASES].itertuples():
        digits = _DIGITS[row.metric]
        value = "–" if pd.isna(row.value) else f"{row.value:.{digits}f}{' ' + row.unit if row.unit else ''}"
        interval = "" if pd.isna(row.low) else f"{row.low:.{digits}f} to {row.high:.{digits}f}"
        cells.append([row.protocol, _NAMES[row.metric], value, interval, str(row.videos)])
        if row.note:
            notes.setdefault(f"{_NAMES[row.metric]}: {row.note}", []).append(row.protocol)
    text = layout(["protocol", "metric", "value", "95 % interval", "N"], cells)
    lines = []
    for note, protocols in notes.items():  # URLs and commands in notes are not broken, so that they can be copied
        line = f"{' and '.join(protocols)}, {note}"
        lines.append(fill(line, 118, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False))
    return "\n".join([text, "", *lines]) if lines else text
