"""Readers of published folder structures, one module a layout.

A layout is a function from a folder and the card's options to the raw index: a DataFrame with the columns of
`f2vbench.data.folder_scan.Row` and, in ``attrs["notes"]``, sentences on what was left out or assumed.
A plug-in adds its own with ``LAYOUTS["name"] = function``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pandas import DataFrame

Layout = Callable[[Path, dict[str, Any]], "DataFrame"]


def _on_demand(name: str) -> Layout:
    """The layout of one module, imported (with pandas) when it is first called."""

    def read(folder: Path, options: dict[str, Any]) -> DataFrame:
        return import_module(f"{__name__}.{name}").read(folder, options)

    return read


LAYOUTS: dict[str, Layout] = {
    name: _on_demand(name)
    for name in (
        "angio_report",
        "angiogram_table",
        "aptos2019",
        "chase_db1",
        "class_folders",
        "drive",
        "folder",
        "hrf",
        "idrid",
        "image_bank",
        "les_av",
        "messidor2",
        "odir",
        "odir_eyes",
        "outcome_table",
        "papila",
        "retfound_folders",
        "retrieval_table",
        "rite",
        "stare",
        "uk_biobank",
    )
}
