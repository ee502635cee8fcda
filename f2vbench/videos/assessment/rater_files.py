"""CSV files that raters exported: read, checked against the key, and joined to one table of ratings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pandas import DataFrame

from f2vbench.analysis.assessment import ACQUIRED, RATING_COLUMNS
from f2vbench.analysis.rating_scale import SCORES
from f2vbench.data.tables import limit_problems, read_csv
from f2vbench.errors import DataError, did_you_mean
from f2vbench.utils.text import shortened
from f2vbench.videos.assessment.key import AssessmentKey, KeyItem, KeyRater, assessment_id

_SIDES = ("A", "B")


@dataclass(frozen=True)
class RaterFile:
    """A rater's file.

    Attributes:
        path: The file.
        rater: Name of the rater in the key.
        table: Its rows, strings.
    """

    path: Path
    rater: str
    table: DataFrame


def rating_files(paths: Iterable[Path]) -> list[Path]:
    """The CSV files among files and folders; those of a folder are sorted by name.

    Raises:
        DataError: A path does not exist, or a folder has no CSV file.
    """
    files: list[Path] = []
    problems: list[str] = []
    for path in (path.expanduser() for path in paths):
        found = sorted(path.glob("*.csv")) if path.is_dir() else [path]
        if not path.exists():
            problems.append(f"ratings={path}: there is no such file or folder; give the CSV files that raters exported")
        elif not found:
            problems.append(f"ratings={path}: no CSV file in this folder; copy the files that raters exported into it")
        files += [file for file in found if file not in files]
    if problems:
        raise DataError(problems)
    return files


def read_ratings(files: Sequence[Path], key: AssessmentKey) -> DataFrame:
    """Read the files of raters.

    Args:
        files: CSV files, one of each rater.
        key: The key.

    Returns:
        A row for each rater of a file, video and question, with the columns `RATING_COLUMNS`; ``value`` is missing
        where the rater gave no answer. For the question which video is acquired, it is 1 for the right one, else 0.

    Raises:
        DataError: A file is not of this assessment, two files are of one rater, or rows or values are invalid; file,
            row and column of each are named.
    """
    problems: list[str] = []
    read = [found for file in files if (found := _read_file(file, key, problems)) is not None]
    for rater, count in Counter(found.rater for found in read).items():
        if count > 1:
            names = " and ".join(str(found.path) for found in read if found.rater == rater)
            problems.append(f"{names}: are both of {rater}; keep one file of each rater")
    rows: list[tuple[object, ...]] = []
    for found in read:
        drawn = next(drawn for drawn in key["raters"] if drawn["name"] == found.rater)
        rows += _rows(found, drawn, key, problems)
    if problems:
        raise DataError(limit_problems(problems))
    return DataFrame(rows, columns=list(RATING_COLUMNS)).astype({"value": float})


def _questions(key: AssessmentKey) -> list[str]:
    return [*key["criteria"], *([ACQUIRED] if key["blind"] == "source" else [])]


def _read_file(file: Path, key: AssessmentKey, problems: list[str]) -> RaterFile | None:
    """Read one file; None, with messages, where it is not of this assessment."""
    try:
        table = read_csv(file, ("assessment", "rater", "video", *_questions(key)))
    except DataError as error:
        problems += error.problems
        return None
    expected = assessment_id(key)
    others = [number for number, value in enumerate(table["assessment"], 2) if value != expected]
    if table.empty:
        problems.append(f"{file}: has no rows; export it again from the rater's page")
    elif others:
        value = table["assessment"][others[0] - 2]
        problems.append(
            f"{file}, row {others[0]}, column assessment: '{value}', but the key is of '{expected}': the file is of "
            "another assessment, or the key was changed after its pages were written; give the key that belongs to it"
        )
    if table.empty or others:
        return None
    names = [rater["name"] for rater in key["raters"]]
    raters = list(dict.fromkeys(table["rater"]))
    unknown = [(number, name) for number, name in enumerate(table["rater"], 2) if name not in names]
    if unknown:
        number, name = unknown[0]
        problems.append(
            f"{file}, row {number}, column rater: '{name}' is no rater of this assessment"
            f"{did_you_mean(name, names)}; its raters are {shortened(names)}"
        )
        return None
    if len(raters) > 1:
        number = next(number for number, name in enumerate(table["rater"], 2) if name != raters[0])
        problems.append(
            f"{file}, row {number}, column rater: '{table['rater'][number - 2]}' after '{raters[0]}'; a file has the "
            "answers of one rater"
        )
        return None
    return RaterFile(file, raters[0], table)


def _rows(found: RaterFile, rater: KeyRater, key: AssessmentKey, problems: list[str]) -> list[tuple[object, ...]]:
    """Ratings of one file; videos without a row have missing values."""
    items = {item["video"]: item for item in rater["items"]}
    answers: dict[str, dict[str, float | None]] = {}
    first_row: dict[str, int] = {}
    for number, row in enumerate(found.table.to_dict("records"), 2):
        where, video = f"{found.path}, row {number}", str(row["video"])
        if video not in items:
            hint = did_you_mean(video, items)
            problems.append(f"{where}, column video: '{video}' is not on the page of {found.rater}{hint}")
            continue
        if video in first_row:
            problems.append(
                f"{where}, column video: '{video}' is also in row {first_row[video]}; keep one row of each video"
            )
            continue
        first_row[video] = number
        answers[video] = {
            question: _value(str(row[question]), question, items[video], where, problems)
            for question in _questions(key)
        }
    cases = {case["image"]: case for case in key["cases"]}
    rows: list[tuple[object, ...]] = []
    for item in rater["items"]:
        case = cases[item["image"]]
        given = answers.get(item["video"], {})
        for question in _questions(key):
            rows.append(
                (
                    found.rater,
                    item["position"],
                    item["video"],
                    item["method"],
                    case["case"],
                    case["patient"],
                    question,
                    given.get(question),
                )
            )
    return rows


def _value(text: str, question: str, item: KeyItem, where: str, problems: list[str]) -> float | None:
    """A score, or whether the guess is right; None for an empty field."""
    if not text:
        return None
    if question == ACQUIRED:
        if text.upper() in _SIDES:
            return float(text.upper() != item["generated"])
        problems.append(f"{where}, column {question}: '{text}' must be A, B or empty")
        return None
    if text in map(str, SCORES):
        return float(text)
    scale = f"{SCORES[0]} to {SCORES[-1]}"
    problems.append(f"{where}, column {question}: '{text}' is off the scale; scores are {scale}, or empty")
    return None
