"""Write a leaderboard as an HTML page, JSON and CSV."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from f2vbench.analysis.merged_runs import merge_runs
from f2vbench.errors import StoreError, did_you_mean
from f2vbench.report.figures.published_results import Published
from f2vbench.report.leaderboard.boards import ALPHA, Board, Entry, Leaderboard, build_leaderboard
from f2vbench.report.leaderboard.page import leaderboard_page, rank_text
from f2vbench.report.leaderboard.settings import LeaderboardSettings
from f2vbench.utils.existing_outputs import check_output_file, check_output_folder, has_mark
from f2vbench.utils.files import write_csv, write_together
from f2vbench.utils.progress import Progress
from f2vbench.utils.text import plural

SCHEMA_VERSION = 1
"""Version of the keys of ``leaderboard.json``."""
_PAGE, _JSON, _CSV = "leaderboard.html", "leaderboard.json", "leaderboard.csv"
_COLUMNS = [
    "task",
    "protocol",
    "shots",
    "data",
    "board",
    "model",
    "encoder",
    "weights",
    "baseline",
    "published",
    "metric",
]
_COLUMNS += ["better", "mean", "low", "high", "interval_note", "rank_low", "rank_high", "ties", "seeds", "patients"]
_COLUMNS += ["pretrained", "trained_on", "licence", "versions", "runs", "source", "note"]


class WrittenLeaderboard(NamedTuple):
    """Text for the terminal, and the written files."""

    text: str
    paths: list[Path]


def write_leaderboard(settings: LeaderboardSettings, progress: Progress) -> WrittenLeaderboard:
    """Merge runs, rank their models, and write the page, JSON and CSV.

    Args:
        settings: Keys of `f2vbench leaderboard`.
        progress: Receives the progress.

    Returns:
        Each board in a line for the terminal, and the paths of the files.

    Raises:
        StoreError: As `merge_runs`; no unit has one of the metrics; or the output folder has files of others.
    """
    out = settings.out
    check_output_folder(out, "out", (_PAGE, _JSON, _CSV))
    for name, is_own in ((_PAGE, has_mark), (_JSON, has_mark), (_CSV, _is_own_csv)):
        check_output_file(out / name, "out", is_own)
    merged = merge_runs(settings.runs)
    leaderboard = build_leaderboard(merged, settings.title, settings.metric, progress, published=settings.published)
    if not leaderboard.boards:
        known = sorted({name for record in merged.records for name in record["result"]["metrics"]})
        hint = did_you_mean((settings.metric or [""])[0], known)
        raise StoreError(
            f"metric={','.join(settings.metric or [])}: no unit has a value{hint}; there are {', '.join(known)}"
        )
    content = json.dumps(as_json(leaderboard), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_together({out / _PAGE: leaderboard_page(leaderboard).encode(), out / _JSON: content.encode()})
    write_csv(as_frame(leaderboard), out / _CSV)
    lines = [_line(board) for board in leaderboard.boards]
    lines += [f"note: {note}" for note in leaderboard.notes]
    lines.append(f"written: {out / _PAGE}, {_JSON}, {_CSV}")
    return WrittenLeaderboard("\n".join(lines), [out / name for name in (_PAGE, _JSON, _CSV)])


def as_json(leaderboard: Leaderboard) -> dict[str, Any]:
    """Content of ``leaderboard.json``.

    Args:
        leaderboard: Content of the page.
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "generator": f"f2vbench {version('f2vbench')}",
        "title": leaderboard.title,
        "significance_level": ALPHA,
        "notes": list(leaderboard.notes),
        "boards": [_board_json(board) for board in leaderboard.boards],
        "published": [vars(row) for row in leaderboard.published],
    }


def as_frame(leaderboard: Leaderboard) -> pd.DataFrame:
    """Content of ``leaderboard.csv``: one row for each board, model and metric, and for each published value.

    Args:
        leaderboard: Content of the page.
    """
    rows: list[dict[str, Any]] = []
    for board in leaderboard.boards:
        for entry in board.entries:
            rows += [_entry_row(board, entry, metric) for metric in board.metrics]
    shown = [row for board in leaderboard.boards for row in board.published]
    rows += map(_published_row, dict.fromkeys([*shown, *leaderboard.published]))
    frame: pd.DataFrame = pd.DataFrame(rows, columns=_COLUMNS)
    for name in ("shots", "rank_low", "rank_high", "seeds", "patients"):
        frame[name] = frame[name].astype("Int64")
    return frame


def _board_json(board: Board) -> dict[str, Any]:
    entries = []
    for entry in board.entries:
        values = {metric: vars(value) for metric, value in entry.values.items()}
        entries.append({**vars(entry), "facts": vars(entry.facts), "values": values})
    return {
        **board.key._asdict(),
        "title": board.title,
        "family": board.family,
        "version": board.version,
        "metrics": list(board.metrics),
        "lower_is_better": sorted(board.lower_is_better & set(board.metrics)),
        "entries": entries,
        "published": [vars(row) for row in board.published],
        "untested": list(board.untested),
    }


def _entry_row(board: Board, entry: Entry, metric: str) -> dict[str, Any]:
    value = entry.values.get(metric)
    ranked = metric == board.metrics[0] and entry.ranks is not None
    rank_low, rank_high = entry.ranks if ranked and entry.ranks is not None else (None, None)
    return {
        **board.key._asdict(),
        "board": board.version,
        "model": entry.label,
        "encoder": entry.encoder,
        "weights": entry.weights,
        "baseline": entry.baseline,
        "published": False,
        "metric": metric,
        "better": "lower" if metric in board.lower_is_better else "higher",
        "mean": None if value is None else value.mean,
        "low": None if value is None else value.low,
        "high": None if value is None else value.high,
        "interval_note": "no seed has a value" if value is None else value.note,
        "rank_low": rank_low,
        "rank_high": rank_high,
        "ties": entry.ties if ranked else "",
        "seeds": entry.seeds,
        "patients": entry.patients,
        "pretrained": entry.pretrained,
        "trained_on": "|".join(entry.facts.trained_on),
        "licence": entry.facts.licence,
        "versions": "|".join(entry.versions),
        "runs": "|".join(entry.runs),
    }


def _published_row(row: Published) -> dict[str, Any]:
    return {
        **{name: getattr(row, name) for name in ("task", "protocol", "shots", "encoder", "metric", "note")},
        "model": row.encoder,
        "baseline": False,
        "published": True,
        "mean": row.value,
        "source": f"{row.source}, {row.place}",
    }


def _line(board: Board) -> str:
    """A board in a line: ``rite, few-shot, 1 shot: 5 models, AUROC; tied for first: a, b``."""
    first = [entry for entry in board.entries if entry.ranks is not None and entry.ranks[0] == 1]
    name = ", ".join(filter(None, (board.key.task, board.condition, board.version)))
    leading = ", ".join(f"{entry.label} (rank {rank_text(entry)})" for entry in first)
    if len(board.entries) == 1:
        return f"{name}: 1 model, nothing to compare: {board.entries[0].label}"
    tied = "tied for first" if len(first) > 1 else "first"
    return f"{name}: {plural(len(board.entries), 'model')} by {board.metrics[0]}; {tied}: {leading}"


def _is_own_csv(file: Path) -> bool:
    with file.open(encoding="utf-8") as lines:
        return lines.readline().rstrip("\r\n") == ",".join(_COLUMNS)
