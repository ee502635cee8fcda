"""Write the files of a report: HTML page, tables in several formats, and figures."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, get_args

import pandas as pd

from f2vbench.analysis.subgroup_labels import check_columns
from f2vbench.errors import SettingsError, StoreError
from f2vbench.report.checklists.checklist import checklist_frame, checklist_markdown, fill_checklists
from f2vbench.report.content import ReportContent, report_content
from f2vbench.report.figures.catalogue import draw_figures, figure_names, missing_figures
from f2vbench.report.figures.figure import DrawnFigure, Format, save_figure
from f2vbench.report.figures.style import style_named
from f2vbench.report.settings import ReportSettings
from f2vbench.report.writers.html import page, page_figure
from f2vbench.report.writers.latex import document
from f2vbench.report.writers.markdown import escaped, markdown
from f2vbench.stats.procedure import Procedure
from f2vbench.utils.existing_outputs import check_output_file, check_output_folder, has_mark
from f2vbench.utils.files import write_atomically, write_csv
from f2vbench.utils.progress import Progress, Silent

if TYPE_CHECKING:
    from f2vbench.report.run_results import RunResults

_MARKDOWN_FORMATS: tuple[Format, ...] = ("png", "svg")  # that viewers of Markdown display
_NO_PYARROW = "format=parquet: the package pyarrow is not installed; run `pip install pyarrow`, or use format=csv"


_PAGE = "report.html"
_TABLES = ("results", "summary", "comparison", "cost", "attention", "diagnosis", "subgroups", "gaps")
_NAMES = (
    _PAGE,
    "report.md",
    "tables.tex",
    "figures",
    "checklist.md",
    "checklist.csv",
    *(f"{name}.{kind}" for name in _TABLES for kind in ("csv", "parquet")),
)


class WrittenFiles(NamedTuple):
    """Files of one format, and their names as text."""

    text: str
    paths: list[Path]


def write_report(
    results: RunResults,
    out: Path,
    settings: ReportSettings,
    metrics: Sequence[str] | None = None,
    reference: str | None = None,
    progress: Progress | None = None,
) -> Iterator[WrittenFiles]:
    """Write the files that the settings name, format by format.

    Args:
        results: RunResults to report.
        out: Folder to write to.
        settings: Formats, figures, style, and statistical procedure.
        metrics: Names of the metrics in tables; by default the main ones of each task.
        reference: Reference model, compared with the best other model at each condition.
        progress: Receives the progress, and a note for each figure whose stored data is missing or damaged.

    Yields:
        The files of each format, once they are written.

    Raises:
        SettingsError: A figure, the style or a column of subgroups is unknown, or pyarrow is missing for parquet;
            nothing is written.
        StoreError: A file cannot be written.
    """
    formats = settings.format
    if "parquet" in formats and importlib.util.find_spec("pyarrow") is None:
        raise SettingsError(_NO_PYARROW)
    check_report_folder(results, out)
    results.check_reference(settings.baseline)
    check_columns(settings.by or (), results.records)
    style_named(settings.style)
    figure_names([name for name in settings.figures if name not in ("all", "none")])
    procedure = Procedure(settings.test, settings.adjust, settings.interval)
    clinical = settings.clinical()
    content = report_content(results, metrics, reference, procedure, clinical)
    frames = {"results": results.frame, "summary": content.summary, "comparison": content.comparison}
    frames["cost"] = results.cost
    if len(results.attention):
        frames["attention"] = results.attention
    if clinical.operating_point is not None:
        frames["diagnosis"] = results.diagnosis(clinical.operating_point)
    if clinical.subgroups is not None:
        subgroups = results.subgroups(clinical.subgroups, metrics)
        frames |= {"subgroups": subgroups.groups, "gaps": subgroups.gaps}
    for kind, write in (("csv", write_csv), ("parquet", _write_parquet)):
        if kind in formats:
            yield _written(out, [write(frame, out / f"{name}.{kind}") for name, frame in frames.items()])
    if "latex" in formats:
        yield _written(out, [_write(out / "tables.tex", document(content.tables, second=settings.second))])
    if settings.checklists:
        answers = fill_checklists(results, procedure)
        text = checklist_markdown(answers, content.title)
        path = write_csv(checklist_frame(answers), out / "checklist.csv")
        yield _written(out, [_write(out / "checklist.md", text), path])
    names = None if settings.figures == ["all"] else [] if settings.figures == ["none"] else settings.figures
    reporter = progress or Silent()
    skipped: dict[str, str] = {}
    request = clinical.subgroups
    drawn = draw_figures(
        results, names, settings.style, settings.interval, skipped=skipped, progress=reporter, request=request
    )
    figures = list(drawn) if {"html", "md", *get_args(Format)} & set(formats) else []
    for name, reason in skipped.items():
        reporter.note(f"figure {name} is left out: {reason}")
    kinds = [kind for kind in get_args(Format) if kind in formats]
    if figures and kinds:
        yield _written(out, [path for figure in figures for path in save_figure(figure, out / "figures", kinds)])
    if "md" in formats:
        links = [_figure_link(figure, kinds) for figure in figures if set(kinds) & set(_MARKDOWN_FORMATS)]
        yield _written(out, [_write(out / "report.md", as_markdown(content, links, skipped, second=settings.second))])
    if "html" in formats:
        missing = missing_figures(results, names, request)
        text = page(content, [page_figure(figure) for figure in figures], missing, skipped)
        yield _written(out, [_write(out / _PAGE, text)])


def check_report_folder(results: RunResults, out: Path) -> None:
    """Refuse a folder with files of others, and the run folder of other results.

    Raises:
        StoreError: The folder must not be written to.
    """
    if (out / "units").is_dir() and out.absolute() not in {source.absolute() for source in results.sources}:
        raise StoreError(
            f"out={out}: is the folder of another run, whose results.csv the report would replace; choose another "
            "folder with out="
        )
    has_page = (out / _PAGE).is_file() and has_mark(out / _PAGE)
    check_output_folder(out, "out", _NAMES, ["units", _PAGE] if has_page else ["units"])
    for name in _NAMES:
        if (out / name).is_file():
            check_output_file(out / name, "out", _is_own)


def _is_own(file: Path) -> bool:
    """Whether a file is a table or a text of a report."""
    if file.suffix != ".csv":
        return has_mark(file) or file.suffix == ".parquet"
    with file.open("rb") as lines:
        headings = lines.readline()
    return b"task,protocol,shots" in headings or headings.startswith(b"guideline,item,section")


def as_markdown(
    content: ReportContent,
    figures: Sequence[str] = (),
    skipped: Mapping[str, str] = MappingProxyType({}),
    *,
    second: bool = False,
) -> str:
    """Render a report as Markdown.

    Args:
        content: Content of the report.
        figures: Markdown of each figure, with a link to its file.
        skipped: Name of each figure whose stored data is missing or damaged → reason.
        second: Set the second best value of each column in italics.

    Returns:
        Markdown.
    """
    parts = [f"# {escaped(content.title)}", f"{escaped(content.about)}.", "## Summary", escaped(content.overview)]
    for summary in content.summaries:
        parts.append(f"**{escaped(summary.title)}** ({summary.verdict})")
        parts += [escaped(sentence) for sentence in summary.sentences]
    parts.append(escaped(content.significance_note))
    if content.limitations:
        parts += ["## Limitations", *(f"- {escaped(limitation)}" for limitation in content.limitations)]
    if figures or skipped:
        parts += ["## Figures", *figures]
        parts += [escaped(f"Figure {name} is left out: {reason}.") for name, reason in skipped.items()]
    tables = [markdown(table, second=second) for table in content.tables]
    parts += ["## Results", *tables, *map(escaped, content.notes)]
    if content.ranks.reason:
        parts.append(escaped(content.ranks.reason))
    if content.comparison_sentences:
        parts += ["## All comparisons in words", *(f"- {escaped(text)}" for text in content.comparison_sentences)]
    parts += ["## Methods", *map(escaped, content.methods)]
    parts += ["## Provenance", *(markdown(table) for table in content.provenance)]
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _figure_link(figure: DrawnFigure, kinds: Sequence[Format]) -> str:
    """Heading, image and caption of a figure in the folder ``figures`` beside the report."""
    kind = next(kind for kind in _MARKDOWN_FORMATS if kind in kinds)
    title = escaped(figure.title)
    return f"### {title}\n\n![{title}](figures/{figure.name}.{kind})\n\n{escaped(figure.caption)}"


def _write_parquet(table: pd.DataFrame, path: Path) -> Path:
    write_atomically(path, table.to_parquet(index=False))
    return path


def _write(path: Path, text: str) -> Path:
    write_atomically(path, text.encode())
    return path


def _written(out: Path, paths: list[Path]) -> WrittenFiles:
    """Paths with a text such as ``runs/rite/results.csv, summary.csv``, which names the folder once."""
    names = [str(path.relative_to(out)) for path in paths]
    return WrittenFiles(", ".join([str(out / names[0]), *names[1:]]), paths)
