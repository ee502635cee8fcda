"""The leaderboard as one HTML page that needs neither the network nor other files."""

from __future__ import annotations

import re
from importlib.metadata import version
from typing import NamedTuple

from markupsafe import Markup

from f2vbench.report.figures.published_results import Published
from f2vbench.report.leaderboard.boards import ALPHA, Board, Entry, Leaderboard
from f2vbench.report.text.wording import NONE, interval_text, metric_name, number, shots_text
from f2vbench.report.writers.html import page_asset, page_template, policy_hash

_WRITERS = "f2vbench.report.writers"


def leaderboard_page(leaderboard: Leaderboard) -> str:
    """Render the page. Every string that comes from data is escaped.

    Args:
        leaderboard: Content of the page.

    Returns:
        HTML; equal leaderboards give equal pages.
    """
    style = page_asset(_WRITERS, "page.css") + page_asset(__package__, "leaderboard.css")
    script = page_asset(_WRITERS, "page.js") + page_asset(__package__, "leaderboard.js")
    return page_template("report/leaderboard", "leaderboard.html.j2").render(
        content=leaderboard,
        filters=_filters(leaderboard),
        models=len({entry.encoder for board in leaderboard.boards for entry in board.entries}),
        alpha=f"{100 * ALPHA:g} %",
        anchor=_anchor,
        column=_column,
        interval=interval_text,
        published_condition=_published_condition,
        published_rows=_published_rows,
        number=number,
        rank=rank_text,
        dash=NONE,
        version=version("f2vbench"),
        style=Markup(style),
        script=Markup(script),
        style_hash=policy_hash(style),
        script_hash=policy_hash(script),
    )


class PublishedRow(NamedTuple):
    """Published values of one model at a board's condition, by metric, from one publication."""

    encoder: str
    source: str
    places: str
    values: dict[str, float]
    note: str


def rank_text(entry: Entry) -> str:
    """Range of the ranks that the tests leave open: ``1–3``, or ``2``; a dash without a value.

    Args:
        entry: A model on a board.
    """
    if entry.ranks is None:
        return NONE
    best, worst = entry.ranks
    return str(best) if best == worst else f"{best}–{worst}"


def _published_rows(board: Board) -> list[PublishedRow]:
    """Published values of a board, one row a model and publication."""
    grouped: dict[tuple[str, str], list[Published]] = {}
    for row in board.published:
        grouped.setdefault((row.encoder, row.source), []).append(row)
    return [
        PublishedRow(
            encoder,
            source,
            "; ".join(dict.fromkeys(row.place for row in rows)),
            {row.metric: row.value for row in rows},
            "; ".join(dict.fromkeys(row.note for row in rows)),
        )
        for (encoder, source), rows in grouped.items()
    ]


def _published_condition(row: Published) -> str:
    return ", ".join(filter(None, (row.protocol, shots_text(row.shots, ""))))


def _filters(leaderboard: Leaderboard) -> list[tuple[str, str, list[str]]]:
    """Attribute, label and values of each filter."""
    entries = [entry for board in leaderboard.boards for entry in board.entries]
    tasks = [board.key.task for board in leaderboard.boards]
    conditions = [board.condition for board in leaderboard.boards]
    return [
        ("task", "Task", list(dict.fromkeys(tasks))),
        ("condition", "Protocol and shots", list(dict.fromkeys(sorted(conditions, key=_natural)))),
        ("training", "Training data", sorted({name for entry in entries for name in entry.facts.trained_on})),
        ("licence", "Licence", sorted({entry.facts.licence for entry in entries})),
    ]


def _column(board: Board, metric: str) -> str:
    return metric_name(metric, "lower" if metric in board.lower_is_better else "higher")


def _anchor(board: Board) -> str:
    parts = [board.key.task, board.key.protocol, "all" if board.key.shots is None else board.key.shots, board.version]
    return "board-" + re.sub(r"[^A-Za-z0-9_-]+", "-", " ".join(str(part) for part in parts if part != ""))


def _natural(text: str) -> list[tuple[int, str]]:
    """Sort key in which ``2 shots`` is before ``16 shots``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", text)]
