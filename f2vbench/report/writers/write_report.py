"""A report's files: one page, tables in several formats, figures."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, get_args

import pandas as pd

from f2vbench.errors import SettingsError
from f2vbench.report.content import Content, content
from f2vbench.report.figures.catalogue import draw_figures, figure_names, missing_figures
from f2vbench.report.figures.figure import DrawnFigure, Format, save_figure
from f2vbench.report.figures.style import style_named
from f2vbench.report.settings import ReportSettings
from f2vbench.report.writers.html import page, page_figure
from f2vbench.report.writers.latex import document
from f2vbench.report.writers.markdown import escaped, markdown
from f2vbench.stats.procedure import Procedure
from f2vbench.utils.files import write_atomically, write_csv

if TYPE_CHECKING:
    from f2vbench.results import Results

_SHOWN: tuple[Format, ...] = ("png", "svg")  # by readers of Markdown
_NO_PYARROW = "format=parquet: the package pyarrow is not installed; `pip install pyarrow`, or take format=csv"


class Written(NamedTuple):
    """Files of one kind, and their names for the terminal."""

    text: str
    paths: list[Path]


def write_report(
    results: Results,
    out: Path,
    settings: ReportSettings,
    metrics: Sequence[str] | None = None,
    reference: str | None = None,
) -> Iterator[Written]:
    """Write what the settings ask for, kind by kind; each is told once it is there.

    Args:
        metrics: of the tables; by default the main ones of each task's family.
        reference: a model that is compared with the best other everywhere.

    Raises:
        SettingsError: no such figure or style, or parquet without pyarrow; nothing has been written then.
        StoreError: a file can't be written.
    """
    formats = settings.format
    if "parquet" in formats and importlib.util.find_spec("pyarrow") is None:
        raise SettingsError(_NO_PYARROW)
    style_named(settings.style)
    figure_names([name for name in settings.figures if name not in ("all", "none")])
    held = content(results, metrics, reference, Procedure(settings.test, settings.adjust))
    frames = {"results": results.frame, "summary": held.summary, "comparison": held.comparison}
    frames["cost"] = results.cost
    if len(results.attention):
        frames["attention"] = results.attention
    for kind, write in (("csv", write_csv), ("parquet", _write_parquet)):
        if kind in formats:
            yield _written(out, [write(frame, out / f"{name}.{kind}") for name, frame in frames.items()])
    if "latex" in formats:
        yield _written(out, [_write(out / "tables.tex", document(held.tables, second=settings.second))])
    wanted = None if settings.figures == ["all"] else [] if settings.figures == ["none"] else settings.figures
    drawn = list(draw_figures(results, wanted, settings.style))
    kinds = [kind for kind in get_args(Format) if kind in formats]
    if drawn and kinds:
        yield _written(out, [path for figure in drawn for path in save_figure(figure, out / "figures", kinds)])
    if "md" in formats:
        shown = [_linked(figure, kinds) for figure in drawn if set(kinds) & set(_SHOWN)]
        yield _written(out, [_write(out / "report.md", as_markdown(held, shown, second=settings.second))])
    if "html" in formats:
        lacking = missing_figures(results, wanted)
        text = page(held, [page_figure(figure) for figure in drawn], lacking)
        yield _written(out, [_write(out / "report.html", text)])


def as_markdown(held: Content, figures: Sequence[str] = (), *, second: bool = False) -> str:
    """The whole report as Markdown.

    Args:
        figures: Markdown of each, with a link to its file.
    """
    parts = [f"# {escaped(held.title)}", f"{escaped(held.about)}.", "## Summary", escaped(held.overview)]
    for told in held.told:
        parts.append(f"**{escaped(told.title)}** ({'sure' if told.sure else 'not sure'})")
        parts += [escaped(sentence) for sentence in told.sentences]
    if held.warnings:
        parts += ["## Before you believe a number", *(f"- {escaped(warning)}" for warning in held.warnings)]
    if figures:
        parts += ["## Figures", *figures]
    parts += ["## Results", *(markdown(table, second=second) for table in held.tables), *map(escaped, held.notes)]
    if held.across.reason:
        parts.append(escaped(held.across.reason))
    if held.verdicts:
        parts += ["## Every comparison in a sentence", *(f"- {escaped(sentence)}" for sentence in held.verdicts)]
    parts += ["## Methods", *map(escaped, held.methods)]
    parts += ["## Provenance", *(markdown(table) for table in held.provenance)]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _linked(figure: DrawnFigure, kinds: Sequence[Format]) -> str:
    """A figure of the ``figures`` folder beside the report, in the format that every reader of Markdown shows."""
    kind = next(kind for kind in _SHOWN if kind in kinds)
    title = escaped(figure.title)
    return f"### {title}\n\n![{title}](figures/{figure.name}.{kind})\n\n{escaped(figure.caption)}"


def _write_parquet(table: pd.DataFrame, path: Path) -> Path:
    """Numbers and text in columns of their own types."""
    write_atomically(path, table.to_parquet(index=False))
    return path


def _write(path: Path, text: str) -> Path:
    write_atomically(path, text.encode())
    return path


def _written(out: Path, paths: list[Path]) -> Written:
    """``runs/rite/results.csv, summary.csv``: the folder once."""
    names = [str(path.relative_to(out)) for path in paths]
    return Written(", ".join([str(out / names[0]), *names[1:]]), paths)
