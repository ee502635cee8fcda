"""A data set of the library `datasets` (extra ``datasets``): a repository of the Hugging Face Hub, or a local copy.

    a copy: Parquet files, a folder of images with metadata.csv or folders of classes, or what ``save_to_disk`` wrote

Options are those of the layout ``table`` (without ``table`` and ``images``), and

    dataset: owner/name on the Hub, downloaded where neither data= nor F2VBENCH_DATA has a copy
    revision: branch, tag or commit; the commit that it means is noted in the records of a run
    config: configuration
    splits: {train: <split>, val: <split>, test: <split>}; by default train, validation and test

Names of classes replace their numbers. Several classes in a cell make a multi-label data set.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.hugging_face import HubDataset, source_note, tables_of, unpack_copy
from f2vbench.data.layouts import table
from f2vbench.data.layouts.table_options import TableOptions
from f2vbench.errors import SettingsError, did_you_mean

_OWN = ("dataset", "revision", "config", "splits")
_OF_FILES = ("table", "images")


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index, see `f2vbench.data.layouts.table.read`.

    Args:
        folder: A local copy, or an unpacked data set.
        options: See above.

    Raises:
        DataError: The library is missing, there is no data set, or as the layout ``table``.
        SettingsError: Unknown or invalid options.
    """
    wanted = wanted_dataset(options)
    unpacked = unpack_copy(folder, wanted)
    tables = tables_of(unpacked)
    of_table = {key: value for key, value in options.items() if key not in _OWN}
    named = tables[""] if list(tables) == [""] else tables
    index = table.read(unpacked, {**of_table, "table": named})
    index.attrs["notes"] = [source_note(unpacked), *index.attrs.get("notes", [])]
    return index


def wanted_dataset(options: dict[str, Any]) -> HubDataset:
    """What of a data set the options of a card mean.

    Args:
        options: The options, with or without those of the card for the layout ``table``.

    Raises:
        SettingsError: Unknown or invalid options.
    """
    known = [*_OWN, *(key for key in TableOptions.model_fields if key not in _OF_FILES)]
    problems = [
        f"options.{key}: unknown option{did_you_mean(key, known)}; known: {', '.join(known)}"
        for key in options
        if key not in known and not key.startswith("card.")
    ]
    texts = {key: options.get(key, "") for key in ("dataset", "revision", "config")}
    problems += [f"options.{key}: {value!r} must be text" for key, value in texts.items() if not isinstance(value, str)]
    if texts["dataset"] and str(texts["dataset"]).count("/") != 1:
        problems.append(f"options.dataset: '{texts['dataset']}' must be owner/name, as on the Hub")
    splits = options.get("splits", {})
    is_mapping = isinstance(splits, dict) and all(isinstance(value, str) for value in splits.values())
    if not is_mapping or set(splits) - {"train", "val", "test"}:
        problems.append("options.splits: must name splits of the data set, as {train: train, test: validation}")
    if problems:
        raise SettingsError(problems)
    image = options.get("image")
    return HubDataset(
        texts["dataset"], texts["revision"], texts["config"], tuple(splits.items()), image if image else ""
    )
