"""Figures of retrieval: Recall@K with intervals and the level of chance, and examples chosen by a rule."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from f2vbench.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

WIDTH = 183 / 25.4  # inches, two columns of a journal
# Okabe and Ito's colours, which colour-blind people tell apart; floors are grey.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_GREYS = ("#7F7F7F", "#B5B5B5", "#4D4D4D")
_HIT, _MISS, INK = "#009E73", "#BBBBBB", "#222222"
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["Arial", "Helvetica", "DejaVu Sans"],
    "font.size": 7,
    "axes.titlesize": 8,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "pdf.fonttype": 42,  # embedded as text, not as outlines
    "ps.fonttype": 42,
    "svg.fonttype": "none",
    "hatch.linewidth": 0.6,
    "savefig.dpi": 300,
}
_LONGEST = 23  # letters below a picture that don't touch the next one's
_NAMES = {"mean_recall": "Mean of these"}


@dataclass(frozen=True)
class Shown:
    """One picture of a row of examples.

    Attributes:
        rgb: (height, width, 3) uint8.
        label: below it; lines.
        hit: of the query's patient; None for the query.
    """

    rgb: np.ndarray
    label: str
    hit: bool | None = None


def save(figure: Figure, *paths: Path) -> None:
    """Write a figure in the formats of the paths' suffixes (pdf, svg, png), with its fonts, whole or not at all."""
    from matplotlib import rc_context

    for path in paths:
        content = io.BytesIO()
        with rc_context(STYLE):
            figure.savefig(content, format=path.suffix.lstrip("."))
        write_atomically(path, content.getvalue())


def recall_bars(table: DataFrame) -> Figure:
    """Bars of recall by encoder, a panel a task; whiskers are the intervals, dashes the level of chance.

    Args:
        table: of `f2vbench.retrieval_results.intervals`.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    tasks = list(dict.fromkeys(table.task))
    looks = _looks(table)
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 2.5), layout="constrained")
        axes = figure.subplots(1, len(tasks), squeeze=False, sharey=True)
        for axis, task in zip(axes[0], tasks, strict=True):
            _panel(axis, table[table.task == task], looks)
            axis.set_title(task, loc="left", fontweight="bold")
        axes[0, 0].set_ylabel("Recall")
        handles, labels = axes[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, handlelength=1.4)
    return figure


def examples(rows: Sequence[tuple[str, Sequence[Shown]]], rule: str) -> Figure:
    """Rows of a query and what was found for it, nearest first; what is of the query's patient is framed.

    Args:
        rows: (title, pictures), the query first; equal numbers of pictures.
        rule: how the rows were chosen, written below.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    columns = max(len(pictures) for _, pictures in rows)
    side = WIDTH / (columns + 0.3)
    lines = max(shown.label.count("\n") + 1 for _, pictures in rows for shown in pictures)
    height = side + 0.24 + 0.115 * lines
    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, height * len(rows) + 0.45))
        total = figure.get_figheight()
        for place, (title, pictures) in enumerate(rows):
            top = total - place * height - 0.2
            figure.text(0.04 / WIDTH, (top + 0.05) / total, title, fontsize=8, fontweight="bold", color=INK)
            for column, shown in enumerate(pictures):
                left = 0.04 + column * side + (0.25 * side if column else 0)
                box = (left / WIDTH, (top - side + 0.06) / total, (side - 0.06) / WIDTH, (side - 0.06) / total)
                draw_picture(figure.add_axes(box), shown)
        figure.text(0.04 / WIDTH, 0.1 / total, rule, fontsize=7, color=INK, wrap=True)
    return figure


def best_median_worst(scores: Sequence[tuple[str, float]]) -> dict[str, str]:
    """Queries by a rule that leaves nothing to choose: the highest score, the lower median and the lowest.

    Args:
        scores: (image id, score such as average precision); of equal scores the smaller id comes first.

    Raises:
        ValueError: there are none.
    """
    if not scores:
        raise ValueError("there is no query to choose from")
    ordered = [name for name, _ in sorted(scores, key=lambda row: (-row[1], row[0]))]
    return {"best": ordered[0], "median": ordered[len(ordered) // 2], "worst": ordered[-1]}


def example_rows(
    result: dict[str, Any], arrays: dict[str, np.ndarray], picture: Callable[[str], np.ndarray], k: int = 5
) -> tuple[list[tuple[str, list[Shown]]], str]:
    """Rows of `examples` of a unit, and the rule by which its queries were chosen.

    Args:
        result: of the unit's record.
        arrays: its predictions.
        picture: image id → (height, width, 3) uint8.
    """
    names, about = result["gallery"], result["about"]
    score = "map" if result["metrics"].get("map") is not None else "mean_recall"
    scores = [(image, values[score]) for image, values in result["per_image"].items() if score in values]
    what = "average precision" if score == "map" else "mean recall"
    row_of = {names[position]: row for row, position in enumerate(arrays["queries"].tolist())}
    held = dict(scores)
    rows = []
    for kind, image in best_median_worst(scores).items():
        query, row = names.index(image), row_of[image]
        pictures = [Shown(picture(image), f"query\n{_told(about, query)}")]
        for position, similarity in zip(arrays["found"][row, :k].tolist(), arrays["similarity"][row, :k], strict=True):
            if position >= 0:
                hit = about["patient"][position] == about["patient"][query]
                label = f"{'same patient' if hit else 'other patient'} · {similarity:.3f}\n{_told(about, position)}"
                pictures.append(Shown(picture(names[position]), label, hit))
        rows.append((f"{kind.capitalize()} query: {what} {held[image]:.2f}", pictures))
    rule = (
        f"Of {len(scores):,} queries those with the highest, the median and the lowest {what}; of equal ones the first "
        "by image id. Framed: the query's patient. Numbers: cosine similarity."
    )
    return rows, rule


def _told(about: dict[str, list[str]], position: int) -> str:
    """``CF · right · macula``, what is known of it."""
    return " · ".join(filter(None, (about[column][position] for column in ("modality", "eye", "view"))))


def _looks(table: DataFrame) -> dict[str, dict[str, Any]]:
    """Colour of each encoder, the same in every panel, from poor to good; floors in grey, untrained ones hatched."""
    looks: dict[str, dict[str, Any]] = {}
    for row in table.drop_duplicates("encoder").sort_values("encoder").itertuples():
        used = sum(look["floor"] == row.floor for look in looks.values())
        colour = _GREYS[used % len(_GREYS)] if row.floor else _COLOURS[used % len(_COLOURS)]
        untrained = row.weights == "untrained"
        look = {
            "facecolor": "white" if untrained else colour,
            "edgecolor": colour,
            "hatch": "////" if untrained else "",
        }
        suffix = " (floor)" if row.floor else ""
        looks[str(row.encoder)] = {"floor": row.floor, "look": look, "label": f"{row.encoder}{suffix}"}
    order = table[table.metric == table.metric.iloc[0]].groupby("encoder").value.mean().sort_values(kind="stable")
    return {str(encoder): looks[str(encoder)] for encoder in order.index}


def _panel(axis: Any, table: DataFrame, looks: dict[str, dict[str, Any]]) -> None:
    metrics = list(dict.fromkeys(table.metric))
    order = [encoder for encoder in looks if encoder in set(table.encoder)]
    width = 0.8 / len(order)
    for place, encoder in enumerate(order):
        rows = table[table.encoder == encoder].set_index("metric").loc[metrics]
        x = np.arange(len(metrics)) + (place - (len(order) - 1) / 2) * width
        look = looks[encoder]
        axis.bar(x, rows.value, 0.9 * width, linewidth=0.7, label=look["label"], **look["look"])
        known = rows.low.notna().to_numpy()
        reach = np.abs(rows[["low", "high"]].to_numpy(float)[known].T - rows.value.to_numpy()[known])
        axis.errorbar(x[known], rows.value[known], reach, fmt="none", ecolor=INK, elinewidth=0.7, capsize=1.5)
    chance = table.groupby("metric", sort=False).chance.mean().loc[metrics]
    for place, level in enumerate(chance):
        label = "chance" if place == 0 else None
        axis.plot([place - 0.45, place + 0.45], [level, level], color=INK, linewidth=0.9, dashes=(3, 2), label=label)
    axis.set_xticks(range(len(metrics)), [_NAMES.get(name, name.replace("recall@", "Recall@")) for name in metrics])
    axis.set_ylim(0, max(1.0, float(table.high.max()) * 1.02) if table.value.max() > 0.6 else None)
    axis.spines[["top", "right"]].set_visible(False)


def draw_picture(axis: Any, shown: Shown) -> None:
    """A framed picture with its label below; what is of the query's patient has a thick green frame."""
    axis.imshow(shown.rgb, interpolation="lanczos")
    axis.set(xticks=[], yticks=[])
    colour, weight = {None: (INK, 1.0), True: (_HIT, 2.4), False: (_MISS, 0.5)}[shown.hit]
    for spine in axis.spines.values():
        spine.set(color=colour, linewidth=weight)
    label = "\n".join(line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…" for line in shown.label.split("\n"))
    axis.set_xlabel(label, fontsize=7, labelpad=2.5, color=_HIT if shown.hit else INK, linespacing=1.15)
