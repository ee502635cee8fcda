"""`Results`: data frames, comparisons, tables, figures and reports of the units in one or several run folders."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from f2vbench.errors import StoreError
from f2vbench.report.run_results import RunResults
from f2vbench.utils.files import write_atomically
from f2vbench.utils.text import plural

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from f2vbench.report.writers.rendered_table import RenderedTable


class Results(RunResults):
    """Results of the units in one or more run folders, with tables, figures and reports.

    Data frames, summaries and comparisons are those of `RunResults`. Load run folders with `Results.load`.
    """

    def __len__(self) -> int:
        """Number of units."""
        return len(self.records)

    def __repr__(self) -> str:
        return f"<Results: {self._size()}; summary() has their means>"

    def _repr_html_(self) -> str:
        """Summary of the main metrics, for notebooks."""
        table = self.summary(self.main_metrics)
        return f"<p>{escape(self._size())}</p>{table.to_html(index=False, na_rep='–', float_format='{:.4f}'.format)}"

    def _size(self) -> str:
        """``30 units of 5 models, 3 seeds, in rite and hrf``."""
        models, seeds = self.frame.encoder.nunique(), self.frame.seed.nunique()
        counts = f"{plural(len(self), 'unit')} of {plural(models, 'model')}, {plural(seeds, 'seed')}"
        return f"{counts}, in {', '.join(self.families)}"

    def table(self, name: str) -> RenderedTable:
        """Make one of the papers' tables.

        Args:
            name: ``supp-1`` to ``supp-7``, or ``table-1`` (angiogram videos).

        Returns:
            A table with ``frame``, ``to_latex()`` and ``to_markdown()``.

        Raises:
            StoreError: The name is unknown, or these results have nothing for the table.
        """
        from f2vbench.report.content import paper_table

        return paper_table(self, name)

    def figure(self, name: str, style: str = "nature", *, by: Sequence[str] = ()) -> Figure:
        """Draw a figure of the catalogue.

        Args:
            name: Name such as ``few-shot-segmentation``, or the number in the paper such as ``fig3``.
            style: Style of fonts and sizes.
            by: Columns of the figure ``subgroups``, such as ``["sex", "age"]``.

        Returns:
            The figure; where a kind has several figures (one per task), the first. Its ``savefig`` embeds fonts.

        Raises:
            SettingsError: The name or style is unknown.
            StoreError: These results have nothing for the figure.
        """
        from f2vbench.analysis.subgroups import SubgroupRequest
        from f2vbench.report.figures.catalogue import draw_figures, missing_figures

        request = SubgroupRequest(tuple(by)) if by else None
        reasons = missing_figures(self, [name], request)
        if reasons:
            raise StoreError(f"figure {name} cannot be drawn: {'; '.join(reasons.values())}")
        return next(draw_figures(self, [name], style, request=request)).figure

    def to_latex(self, path: str | Path, metrics: Sequence[str] | None = None, *, second: bool = False) -> None:
        """Write all tables as a LaTeX document that compiles without other files.

        Args:
            path: File to write.
            metrics: Names of metrics; by default the main ones of each task.
            second: Underline the second best value of each column.
        """
        from f2vbench.report.content import report_content
        from f2vbench.report.writers.latex import document

        write_atomically(Path(path), document(report_content(self, metrics).tables, second=second).encode())

    def report(self, out: str | Path, **arguments: Any) -> list[Path]:
        """Write a report.

        Args:
            out: Folder to write to.
            **arguments: Keys of `f2vbench report`, except ``run`` and ``out``.

        Returns:
            Paths of the written files.

        Raises:
            SettingsError: Arguments are invalid; all problems are listed.
            StoreError: A file cannot be written.
        """
        from f2vbench.config.parsing import build
        from f2vbench.report.settings import ReportSettings
        from f2vbench.report.writers.write_report import write_report

        settings = build(ReportSettings, arguments)
        metrics = self.metrics if settings.metric == ["all"] else settings.metric
        parts = write_report(self, Path(out), settings, metrics, settings.baseline)
        return [path for part in parts for path in part.paths]
