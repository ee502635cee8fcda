"""Score an assessment: tables and figures of the ratings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from f2vbench.analysis.assessment import FILE_NAME, Assessment, missing_answers
from f2vbench.analysis.assessment_frames import assessment_frames
from f2vbench.errors import SettingsError, StoreError
from f2vbench.report.figures.assessment import draw_assessment
from f2vbench.report.figures.figure import Format, save_figure
from f2vbench.report.figures.style import style_named
from f2vbench.report.tables.assessment import assessment_tables
from f2vbench.report.tables.table import Table
from f2vbench.report.tables.terminal import table_text
from f2vbench.report.writers.latex import document
from f2vbench.report.writers.markdown import markdown
from f2vbench.utils.existing_outputs import check_output_folder
from f2vbench.utils.files import write_atomically, write_csv
from f2vbench.utils.text import plural
from f2vbench.videos.assessment.key import FILE_NAME as KEY_NAME
from f2vbench.videos.assessment.key import assessment_id, read_key
from f2vbench.videos.assessment.rater_files import rating_files, read_ratings
from f2vbench.videos.assessment.settings import RatingSettings

_TABLES, _PAGE_TEXT, _FIGURES, _ANSWERS = "assessment.tex", "assessment.md", "figures", "answers.csv"


@dataclass(frozen=True)
class ScoredAssessment:
    """A scored assessment.

    Attributes:
        assessment: The ratings.
        tables: Its tables.
        written: Files that were written.
    """

    assessment: Assessment
    tables: tuple[Table, ...]
    written: tuple[Path, ...]

    @property
    def text(self) -> str:
        """Tables and names of files, for the terminal."""
        blocks = [table_text(table) for table in self.tables]
        missing = missing_answers(self.assessment)
        state = f"{plural(len(missing), 'pair')} without all answers" if missing else "all answers are present"
        absent = [rater for rater in self.assessment.raters if rater not in self.assessment.present]
        if absent:
            state += f"; no file of {', '.join(absent)}"
        return "\n\n".join([*blocks, f"{state}\nwritten: {', '.join(map(str, self.written))}"])


def score(settings: RatingSettings) -> ScoredAssessment:
    """Read the files of raters, and write tables and figures.

    Args:
        settings: Keys of `f2vbench assess score`.

    Raises:
        DataError: A file or the key is invalid; nothing is written.
        SettingsError: The style is unknown, or no rater gave an answer.
        StoreError: ``out`` is a file, or not writable.
    """
    style = style_named(settings.style)
    key = read_key(settings.key)
    files = rating_files(settings.ratings)
    ratings = read_ratings(files, key)
    if ratings.value.isna().all():
        raise SettingsError(f"ratings={', '.join(map(str, settings.ratings))}: have no answer yet")
    assessment = Assessment(
        assessment_id(key),
        tuple(key["criteria"]),
        tuple(key["methods"]),
        tuple(rater["name"] for rater in key["raters"]),
        ratings,
    )
    out = settings.out or settings.key.parent
    _check_out(out, assessment.identifier)
    tables = assessment_tables(assessment)
    figures = list(draw_assessment(assessment, style))
    frames = assessment_frames(assessment)
    _check_files(files, [out / _ANSWERS, *(out / f"{name}.csv" for name in frames)])
    written = [write_csv(ratings, out / _ANSWERS)]
    written += [write_csv(frame, out / f"{name}.csv") for name, frame in frames.items()]
    written += [_write(out / _TABLES, document(tables)), _write(out / _PAGE_TEXT, _as_markdown(tables))]
    written += [path for figure in figures for path in save_figure(figure, out / _FIGURES, get_args(Format))]
    write_atomically(out / FILE_NAME, assessment.content())
    return ScoredAssessment(assessment, tuple(tables), (*written, out / FILE_NAME))


def _check_out(out: Path, identifier: str) -> None:
    """Refuse a folder with the key or the scores of another assessment, or with files of others."""
    check_output_folder(out, "out", (), (FILE_NAME, KEY_NAME))
    stored = out / FILE_NAME
    if stored.is_file() and identifier.encode() not in stored.read_bytes():
        raise StoreError(f"out={out}: has the scores of another assessment; choose another folder with out=")
    other = out / KEY_NAME
    if other.is_file() and assessment_id(read_key(other)) != identifier:
        raise StoreError(f"out={out}: is the folder of another assessment; choose another folder with out=")


def _check_files(files: Sequence[Path], outputs: Sequence[Path]) -> None:
    """Refuse to write over a rater's file."""
    inputs = {file.resolve() for file in files}
    clash = [path for path in outputs if path.resolve() in inputs]
    if clash:
        raise StoreError(
            f"ratings={clash[0]}: a table of this name would replace it; rename it, or choose another out="
        )


def _as_markdown(tables: Sequence[Table]) -> str:
    return "\n".join(["# Human assessment of generated videos\n", *map(markdown, tables)])


def _write(path: Path, text: str) -> Path:
    write_atomically(path, text.encode())
    return path
