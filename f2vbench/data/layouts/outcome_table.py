"""Photographs with systemic outcomes in a table.

    systemic.csv: columns image (path below the table's folder), patient, one column of 0 and 1 for each outcome and,
    if known, eye (left or right, OS or OD, L or R) and split (train, val or test)

With the option ``value``, the label is a number of any column (regression); with ``time`` and ``event``, a time and
whether the event was observed then (survival). Images with an empty label have none. Further columns, such as age and
sex, are kept for subgroups. It is the layout ``table`` (`f2vbench.data.layouts.table`) with these headings, in a folder
that may have other images.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.layouts import table
from f2vbench.data.layouts.options import read_options
from f2vbench.data.layouts.table_options import CLASSES, FAMILY, LABEL_KIND
from f2vbench.errors import SettingsError

_OF_CARD = (CLASSES, LABEL_KIND, FAMILY)


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index; classes are "0" and "1".

    Args:
        folder: The folder of the table, or a folder around it.
        options: ``table``: file name of the table (default systemic.csv); ``outcome``: the column with the class
            (default stroke); ``value``: the column with the number to predict; ``time`` and ``event``: the columns with
            the time and with 0 or 1.
    """
    of_card = {key: options[key] for key in _OF_CARD if key in options}
    name, columns = _read_columns({key: value for key, value in options.items() if key not in _OF_CARD})
    index = table.read(folder, {**of_card, "table": name, "image": "image", "patient": "patient", **columns})
    index.attrs |= {"notes": [], "extra": []}
    return index


def _read_columns(options: dict[str, Any]) -> tuple[str, dict[str, str]]:
    """File name of the table, and the column of each field of `Row` that holds the label."""
    allowed = {"table": ("systemic.csv", str), "outcome": ("stroke", str)}
    chosen = read_options(options, allowed | dict.fromkeys(("value", "time", "event"), ("", str)))
    numbers = {key: chosen[key].lower() for key in ("value", "time", "event") if chosen[key]}
    if not numbers:
        return chosen["table"], {"label": chosen["outcome"].lower()}
    if set(numbers) not in ({"value"}, {"time", "event"}) or "outcome" in options:
        raise SettingsError(
            f"options: {', '.join(key for key in options if key != 'table')}: name the columns of one label: outcome "
            "(classes), value (a number), or time and event"
        )
    return chosen["table"], numbers
