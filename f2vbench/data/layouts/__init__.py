"""Readers of published folder structures, one module per layout.

A layout is a function from a folder and the options of the task card to the raw index: a DataFrame with the columns of
`f2vbench.data.index_rows.Row` and, in ``attrs["notes"]``, sentences on assumptions and on images that are left out.
A plug-in registers its own layout with ``LAYOUTS["name"] = function``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame

Layout = Callable[[Path, dict[str, Any]], "DataFrame"]


def _lazy(name: str) -> Layout:
    """The layout of a module, which is imported (with pandas) on the first call."""

    def read(folder: Path, options: dict[str, Any]) -> DataFrame:
        layout: Layout = import_module(f"{__name__}.{name}").read
        return layout(folder, options)

    return read


LAYOUTS: dict[str, Layout] = {
    name: _lazy(name)
    for name in (
        "angio_report",
        "angiogram_table",
        "aptos2019",
        "chase_db1",
        "class_folders",
        "drive",
        "folder",
        "hrf",
        "hugging_face",
        "idrid",
        "image_bank",
        "les_av",
        "masks",
        "messidor2",
        "odir",
        "odir_eyes",
        "outcome_table",
        "papila",
        "retfound_folders",
        "retrieval_table",
        "rite",
        "stare",
        "table",
        "uk_biobank",
    )
}
