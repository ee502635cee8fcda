"""Labels in a user's table: one column, several columns of 0 and 1, or several classes in a cell."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from pandas import DataFrame

from f2vbench.data.label_classes import SEPARATOR, Spellings
from f2vbench.data.layouts.table_options import LABEL_FIELDS, MULTI_LABEL, CardLabels
from f2vbench.data.tables import limit_problems
from f2vbench.errors import DataError
from f2vbench.utils.text import plural, shortened

_BOOLEANS = {"0": "0", "1": "1", "false": "0", "true": "1", "": ""}
_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)(e[+-]?\d+)?", re.IGNORECASE)
_CELL_SEPARATORS = re.compile(r"[|;]")
_MAX_GRADES = 20
"""A label column with more different numbers holds measurements, not classes."""


def read_labels(
    table: DataFrame, columns: Sequence[str], source: str, card: CardLabels, no_finding: str = ""
) -> list[dict[str, str]]:
    """The fields of `f2vbench.data.index_rows.Row` with the label of every row, "" where it is missing.

    Classes of a multi-label image are joined with ";". Numbers are checked with the index
    (`f2vbench.data.numeric_labels`).

    Args:
        table: The table.
        columns: The label column, or several columns of 0 and 1 whose headings are classes.
        source: The table, for messages.
        card: Kind of labels and classes of the task card.
        no_finding: Class of a row with 0 in all of several columns.

    Raises:
        DataError: Cells that are neither 0 nor 1, rows with 0 in all columns and no class for them, several classes
            where the card allows one; text and numbers in one column, numbers that are no classes, spellings that
            differ in capitals only.
    """
    if card.family in LABEL_FIELDS:
        return [dict(zip(card.fields, cells, strict=True)) for cells in table[list(columns)].to_numpy().tolist()]
    return [{"label": label} for label in _read_classes(table, columns, source, card, no_finding)]


def _read_classes(
    table: DataFrame, columns: Sequence[str], source: str, card: CardLabels, no_finding: str
) -> list[str]:
    if len(columns) > 1 or (card.kind == MULTI_LABEL and _holds_zeros_and_ones(table[columns[0]].tolist())):
        return _read_indicators(table, columns, source, card, no_finding)
    column = columns[0]
    cells = table[column].tolist()
    if card.kind == MULTI_LABEL:
        return [SEPARATOR.join(filter(None, map(str.strip, _CELL_SEPARATORS.split(cell)))) for cell in cells]
    problems = _problems_of_cells(cells, column, source, Spellings(card.classes) if card.classes else None)
    if problems:
        raise DataError(problems)
    return cells if card.classes else [re.sub(r"^(\d+)\.0+$", r"\1", cell) for cell in cells]


def classes_of_one_split(labels: Sequence[str], splits: Sequence[str], places: Sequence[str]) -> list[str]:
    """Problems of classes that occur in the validation or test split and not in the training split.

    Args:
        labels: Label of every image.
        splits: "train", "val", "test" or "" for every image.
        places: Table and row of every image, for messages.
    """
    if "train" not in splits:
        return []
    known = {label for label, split in zip(labels, splits, strict=True) if split == "train"}
    rows: Mapping[str, list[str]] = defaultdict(list)
    for label, split, where in zip(labels, splits, places, strict=True):
        if label and split in ("val", "test") and label not in known:
            rows[label].append(where)
    return [
        f"{found[0]}: the class '{label}' occurs only outside the training split ({plural(len(found), 'image')}): "
        "correct the label, or give some of its images the split train"
        for label, found in rows.items()
    ]


def _holds_zeros_and_ones(cells: Sequence[str]) -> bool:
    return {_as_boolean(cell) for cell in cells} <= {"0", "1", ""}


def _as_boolean(cell: str) -> str | None:
    """Return "0" or "1" (1.0 and True are "1"), "" for an empty cell, None for another text."""
    return _BOOLEANS.get(re.sub(r"^([01])\.0+$", r"\1", cell.lower()))


def _read_indicators(
    table: DataFrame, columns: Sequence[str], source: str, card: CardLabels, no_finding: str
) -> list[str]:
    labels: list[str] = []
    problems: list[str] = []
    without: list[str] = []
    for position, cells in enumerate(table[list(columns)].to_numpy().tolist()):
        where = f"{source}, row {position + 2}"
        values = dict(zip(columns, map(_as_boolean, cells), strict=True))
        wrong = [name for name, value in values.items() if value is None]
        empty = [name for name, value in values.items() if value == ""]
        found = [name for name, value in values.items() if value == "1"]
        if wrong:
            cell = cells[list(columns).index(wrong[0])]
            problems.append(f"{where}, column '{wrong[0]}': '{cell}' must be 0 or 1")
        elif empty and len(empty) < len(columns):
            problems.append(f"{where}: no value in {shortened(empty)}: write 0 or 1, or leave all label columns empty")
        elif len(found) > 1 and card.kind != MULTI_LABEL:
            problems.append(
                f"{where}: the classes {shortened(found)} in one image: with several classes an image, the card needs "
                "`label_kind: multilabel` and `classes`"
            )
        elif not found and not empty and not no_finding:
            without.append(str(position + 2))
        labels.append(SEPARATOR.join(found) or ("" if empty else no_finding))
    if without:
        problems.append(
            f"{source}: {plural(len(without), 'row')} with 0 in all label columns (row {shortened(without)}): name "
            "their class in the task card, as in `options: {no_finding: normal}`, or remove these rows"
        )
    if problems:
        raise DataError(limit_problems(problems))
    return labels


def _problems_of_cells(cells: Sequence[str], column: str, source: str, spellings: Spellings | None) -> list[str]:
    """Problems of a column with one class a cell."""
    numbers: list[tuple[int, str]] = []
    texts: list[tuple[int, str]] = []
    for position, cell in enumerate(cells):
        if cell and (spellings is None or spellings.find(cell) is None):
            (numbers if _NUMBER.fullmatch(cell) else texts).append((position + 2, cell))
    known_numbers = spellings is not None and any(
        cell and _NUMBER.fullmatch(cell) and spellings.find(cell) is not None for cell in cells
    )
    if texts and (numbers or known_numbers):
        first_number = numbers[0] if numbers else _first_number(cells)
        return [
            f"{source}, column '{column}': numbers (row {first_number[0]}: '{first_number[1]}') and text "
            f"({plural(len(texts), 'row')}, {_listed(texts)}) are mixed: write one of the two, leave the cells of "
            "missing labels empty, or add the text to `read` of its class in the task card"
        ]
    if spellings is not None:
        return []
    different = sorted({cell for _, cell in numbers})
    if len(different) > _MAX_GRADES:
        return [
            f"{source}, column '{column}': {len(different)} different numbers ({shortened(different)}) are no classes: "
            "name another column with `options: {label: …}`, or set `label_kind: regression` in the task card"
        ]
    by_folded: Mapping[str, set[str]] = defaultdict(set)
    for cell in {cell for _, cell in texts}:
        by_folded[" ".join(cell.lower().split())].add(cell)
    return [
        f"{source}, column '{column}': the labels {shortened(sorted(variants))} differ in capitals or spaces only: "
        "write them alike"
        for variants in by_folded.values()
        if len(variants) > 1
    ]


def _first_number(cells: Sequence[str]) -> tuple[int, str]:
    return next((position + 2, cell) for position, cell in enumerate(cells) if _NUMBER.fullmatch(cell))


def _listed(rows: Sequence[tuple[int, str]]) -> str:
    return shortened([f"row {row}: '{cell}'" for row, cell in rows[:6]])
