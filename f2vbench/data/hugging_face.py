"""Data sets of the library `datasets` (extra ``datasets``): local copies and repositories of the Hugging Face Hub.

A data set is unpacked into the cache folder: the images as files, a table ``<split>/labels.csv`` for each split, and
``source.json`` with its origin. Names of classes replace their numbers.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from f2vbench.data.folder_scan import images_in, inner_folders, layout_error
from f2vbench.data.layouts.embedded_images import move_complete, write_image
from f2vbench.data.typed_tables import cell_text
from f2vbench.errors import DataError, WeightsError
from f2vbench.pretrained.hub import check_hub, hub_errors
from f2vbench.utils.files import cache_folder, canonical_json, sha256, write_atomically
from f2vbench.utils.text import shortened

INSTALL = 'pip install "f2vbench[datasets]"'
"""Line that installs the library."""

SOURCE = "source.json"
"""File of an unpacked data set with its origin."""

_VERSION = 1  # of the unpacked form; increase it when it changes, so that data sets are unpacked again
_SPLITS = {"train": "train", "validation": "val", "valid": "val", "val": "val", "dev": "val", "test": "test"}
_ALL = "all"
_SEPARATOR = "|"
_ROWS = (".parquet", ".arrow", ".csv", ".json", ".jsonl", ".tar", ".zip")
_EXPECTED = "Parquet or Arrow files, images with metadata.csv or metadata.jsonl, or a folder of images for each class"


@dataclass(frozen=True)
class HubDataset:
    """What of a data set is read.

    Attributes:
        name: Repository on the Hub, ``owner/name``; "" for a local copy alone.
        revision: Branch, tag or commit; "" for the newest.
        config: Configuration; "" for the only one.
        splits: Its split for each of train, val and test, and for "" (images without a split); empty for the names that
            it has.
        image: Column of the images; "" for the only one.
    """

    name: str = ""
    revision: str = ""
    config: str = ""
    splits: tuple[tuple[str, str], ...] = ()
    image: str = ""


def check_datasets() -> None:
    """Check that the library is installed.

    Raises:
        DataError: It is not; the message has the line that installs it.
    """
    if importlib.util.find_spec("datasets") is None:
        raise DataError(f"data sets in the format of Hugging Face need the package datasets: {INSTALL}")


def unpack_copy(folder: Path, wanted: HubDataset) -> Path:
    """Unpack a local copy: Parquet files, a folder of images, or what ``save_to_disk`` wrote; unless it is unpacked.

    Args:
        folder: The copy.
        wanted: What of it is read.

    Returns:
        The unpacked folder.

    Raises:
        DataError: The library is missing, or the folder is no data set with images.
    """
    if (folder / SOURCE).is_file():
        return folder
    if not _may_be_copy(folder):
        raise layout_error(folder, _EXPECTED)
    check_datasets()
    states = [
        (file.relative_to(folder).as_posix(), file.stat().st_size, file.stat().st_mtime_ns)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    ]
    key = [_VERSION, str(folder.resolve()), states, wanted.config, wanted.splits, wanted.image]
    return _unpack_once(key, str(folder), wanted, "", lambda cache: _load_copy(folder, wanted, cache))


def fetch_dataset(wanted: HubDataset) -> Path:
    """Download a data set and unpack it, unless this revision is unpacked; without a network, use the last download.

    Args:
        wanted: The data set, with its name.

    Returns:
        The unpacked folder.

    Raises:
        DataError: The library is missing, there is no such data set, revision or configuration, or the Hub can't be
            reached and the data set was not downloaded before.
    """
    check_datasets()
    request = cache_folder() / "unpacked" / f"hub-{sha256(canonical_json([_VERSION, vars(wanted)]))[:16]}.json"
    try:
        with hub_errors(f"data set {wanted.name}", wanted.name):
            check_hub()
            from huggingface_hub import HfApi

            commit = str(HfApi().dataset_info(wanted.name, revision=wanted.revision or None).sha)
    except WeightsError as error:
        earlier = _earlier(request)
        if earlier is None:
            raise DataError(
                [*error.problems, f"with a copy of {wanted.name} on this machine, set data=<its folder>"]
            ) from error
        return earlier
    key = [_VERSION, wanted.name, commit, wanted.config, wanted.splits, wanted.image]
    target = _unpack_once(key, wanted.name, wanted, commit, lambda cache: _load_from_hub(wanted, commit, cache))
    write_atomically(request, canonical_json({"folder": target.name}))
    return target


def _may_be_copy(folder: Path) -> bool:
    """Whether a folder has a table, a file of rows, or images in folders."""
    has_rows = any(file.suffix.lower() in _ROWS and file.is_file() for file in folder.rglob("*"))
    return has_rows or any(images_in(place) for place in inner_folders(folder))


def source_note(folder: Path) -> str:
    """One sentence on the origin of an unpacked data set.

    Args:
        folder: The unpacked folder.
    """
    source = json.loads((folder / SOURCE).read_text(encoding="utf-8"))
    config = f", configuration {source['config']}" if source["config"] else ""
    revision = f", revision {source['revision']}" if source["revision"] else ""
    left_out = f"; columns that are no text or numbers are left out: {', '.join(source['left_out'])}"
    splits = ", ".join(f"{split or 'no split'}: {name}" for split, name in source["splits"].items())
    origin = f"data set {source['name']}{config}{revision}; splits {splits}; image: {source['image']}"
    return f"{origin}{left_out if source['left_out'] else ''}; unpacked in {folder}"


def tables_of(folder: Path) -> dict[str, str]:
    """Path of the table by split of an unpacked data set; "" for images without a split.

    Args:
        folder: The unpacked folder.
    """
    source = json.loads((folder / SOURCE).read_text(encoding="utf-8"))
    return {split: f"{split or _ALL}/labels.csv" for split in source["splits"]}


def _earlier(request: Path) -> Path | None:
    """The folder of the last download of a request; None if there is none."""
    try:
        folder = request.parent / str(json.loads(request.read_bytes())["folder"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return folder if (folder / SOURCE).is_file() else None


def _unpack_once(
    key: list[Any], name: str, wanted: HubDataset, commit: str, load: Callable[[str], Mapping[str, Any]]
) -> Path:
    """Unpack a data set into the folder of its key."""
    target = cache_folder() / "unpacked" / sha256(canonical_json(key))[:16]
    if target.is_dir():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        written = Path(tempfile.mkdtemp(dir=target.parent))
        try:
            with tempfile.TemporaryDirectory(dir=target.parent) as cache:
                parts = _choose_splits(load(cache), wanted, name)
                image, left_out = "", set()
                for split, (_, rows) in parts.items():
                    image = _image_column(rows.features, wanted.image, name)
                    left_out |= _write_split(written / (split or _ALL), rows, image, f"{name}, {split or 'all images'}")
            source = {
                "name": name,
                "revision": commit,
                "config": wanted.config,
                "splits": {split: named for split, (named, _) in parts.items()},
                "image": image,
                "left_out": sorted(left_out),
            }
            (written / SOURCE).write_text(json.dumps(source, indent=1), encoding="utf-8")
            move_complete(written, target)
        finally:
            shutil.rmtree(written, ignore_errors=True)
    except OSError as error:
        raise DataError(
            f"{name}: can't be unpacked into {target.parent} ({error.strerror or error}); set F2VBENCH_CACHE"
        ) from error
    return target


def _load_copy(folder: Path, wanted: HubDataset, cache: str) -> Mapping[str, Any]:
    import datasets

    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        loaded = datasets.load_from_disk(str(folder))
        return loaded if isinstance(loaded, datasets.DatasetDict) else {"train": loaded}
    return _load(str(folder), wanted.config, cache, None)


def _load_from_hub(wanted: HubDataset, commit: str, cache: str) -> Mapping[str, Any]:
    with hub_errors(f"data set {wanted.name}", wanted.name):
        return _load(wanted.name, wanted.config, cache, commit)


def _load(path: str, config: str, cache: str, revision: str | None) -> Mapping[str, Any]:
    """Load all splits; without a configuration, the only or the default one."""
    import datasets

    progress = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        loaded: Mapping[str, Any] = datasets.load_dataset(path, config or None, cache_dir=cache, revision=revision)
    except (ValueError, FileNotFoundError, datasets.exceptions.DatasetsError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise DataError(
            f"{path}: no data set in the format of Hugging Face ({reason}); a configuration is chosen by `config` in "
            "the options of the task card"
        ) from error
    finally:
        if progress:
            datasets.enable_progress_bars()
    return loaded


def _choose_splits(loaded: Mapping[str, Any], wanted: HubDataset, name: str) -> dict[str, tuple[str, Any]]:
    """Name and rows of each of train, val and test, or of ""."""
    chosen = dict(wanted.splits)
    if chosen:
        absent = [split for split in chosen.values() if split not in loaded]
        if absent:
            raise DataError(f"{name}: no split {', '.join(absent)}; splits are {', '.join(loaded)}")
        return {split: (named, loaded[named]) for split, named in chosen.items()}
    if len(loaded) == 1:  # the library calls the images of a data set without splits train
        ((named, rows),) = loaded.items()
        return {"" if named == "train" else _SPLITS.get(named, ""): (named, rows)}
    unknown = [named for named in loaded if named not in _SPLITS]
    if unknown:
        raise DataError(
            f"{name}: the splits {', '.join(unknown)} are none of train, validation and test: name those to use in the "
            f"task card, as in `options: {{splits: {{train: {unknown[0]}, test: {list(loaded)[-1]}}}}}`"
        )
    return {_SPLITS[named]: (named, rows) for named, rows in loaded.items()}


def _image_column(features: Mapping[str, Any], wanted: str, name: str) -> str:
    import datasets

    images = [column for column, feature in features.items() if isinstance(feature, datasets.Image)]
    if wanted and wanted not in images:
        raise DataError(f"{name}: column '{wanted}' has no images; columns with images: {', '.join(images) or 'none'}")
    if not images:
        raise DataError(f"{name}: no column with images; columns are {shortened(list(features))}")
    if len(images) > 1 and not wanted:
        raise DataError(
            f"{name}: several columns have images ({', '.join(images)}): name one in the task card, as in "
            f"`options: {{image: {images[0]}}}`"
        )
    return wanted or images[0]


def _write_split(folder: Path, rows: Any, image: str, name: str) -> set[str]:
    """Write the images and the table of a split; returns the columns that are left out."""
    import datasets

    folder.mkdir()
    cells = {column: _cell_of(feature) for column, feature in rows.features.items() if column != image}
    kept = {column: cell for column, cell in cells.items() if cell is not None}
    undecoded = rows.select_columns([image, *kept]).cast_column(image, datasets.Image(decode=False))
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(table, [image, *kept])
        writer.writeheader()
        for number, row in enumerate(undecoded):
            content, path = _bytes_of(row[image], f"{name}, row {number}")
            written = write_image(folder / f"{number:06}", content, path)
            texts = {column: cell(row[column]) for column, cell in kept.items()}
            writer.writerow({**texts, image: f"{number:06}/{written}"})
    return {column for column, cell in cells.items() if cell is None}


def _bytes_of(image: Any, where: str) -> tuple[bytes, str]:
    """Content of an image and the path that it is stored under."""
    path = str((image or {}).get("path") or "")
    content = (image or {}).get("bytes")
    if content is None and path:
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise DataError(f"{where}: the image {path} can't be read ({error.strerror or error})") from None
    if not content:
        raise DataError(f"{where}: there is no image in this row: remove the row, or add its image")
    return content, path


def _cell_of(feature: Any) -> Callable[[Any], str] | None:
    """Function from a value of a column to text; None for a column of other values than classes, text and numbers.

    Several classes or words in a cell are joined by ``|``.
    """
    import datasets

    if isinstance(feature, datasets.ClassLabel):
        names = list(feature.names)
        return lambda value: names[value] if isinstance(value, int) and 0 <= value < len(names) else ""
    if isinstance(feature, datasets.Value):
        return None if feature.dtype in ("binary", "large_binary") else cell_text
    inner = getattr(feature, "feature", None)
    if inner is not None and not isinstance(inner, Mapping):
        cell = _cell_of(inner)
        is_text = isinstance(inner, datasets.ClassLabel) or getattr(inner, "dtype", "") in ("string", "large_string")
        if cell is not None and is_text:
            return lambda values: _SEPARATOR.join(_texts(values or (), cell))
    return None


def _texts(values: Iterable[Any], cell: Callable[[Any], str]) -> list[str]:
    return [text for value in values if (text := cell(value))]
