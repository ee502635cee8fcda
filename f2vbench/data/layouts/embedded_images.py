"""Images inside Parquet files, as data sets on the Hugging Face Hub store them, unpacked into the cache folder.

    data/train-00000-of-00002.parquet  data/test-00000-of-00001.parquet …
    columns: image, with the bytes and the name of each file; label, as text or as numbers with names in the schema; any
    others

The split is the word train, val, validation, dev or test in the path of a file; without one, all images are one set.
"""

from __future__ import annotations

import csv
import importlib.util
import json
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from f2vbench.data.folder_scan import inner_folders, split_suffix
from f2vbench.data.index_rows import safe_id
from f2vbench.data.typed_tables import cell_text
from f2vbench.errors import DataError
from f2vbench.utils.files import cache_folder, canonical_json, sha256

_VERSION = 1  # of the unpacked form; increase it when it changes, so that files are unpacked again
_ROWS = 64  # in memory at a time
_WORD = re.compile(r"(?:^|[/_.-])(train|val|validation|dev|test)(?=[/_.-])")
_SPLITS = {"validation": "val", "dev": "val"}
_ALL = "all"
_FORMATS = {b"\x89PNG": ".png", b"\xff\xd8": ".jpg", b"RIFF": ".webp", b"II": ".tif", b"MM": ".tif", b"GIF": ".gif"}


def files_with_images(folder: Path) -> list[Path]:
    """The Parquet files of a folder, or the file itself, that contain images; sorted. Without pyarrow none is found."""
    if importlib.util.find_spec("pyarrow") is None:
        return []
    places = [folder] if folder.is_file() else []
    if folder.is_dir():
        places = [file for place in (folder, *inner_folders(folder)) for file in sorted(place.glob("*.parquet"))]
    return [file for file in places if file.suffix.lower() == ".parquet" and _image_column(file) is not None]


def unpack(files: list[Path], root: Path) -> tuple[Path, dict[str, str]]:
    """Write the images of Parquet files and a table for each split into the cache folder, unless they are there.

    Args:
        files: The files.
        root: The folder of the data set.

    Returns:
        The folder, and the path of the table in it by split; "" for files without a split.

    Raises:
        DataError: A row has no image, files with and without a split are mixed, or the cache folder is not writable.
    """
    states = [(file.relative_to(root).as_posix(), file.stat().st_size, file.stat().st_mtime_ns) for file in files]
    splits = {file: _split_of(file.relative_to(root).as_posix()) for file in files}
    if len(set(splits.values())) > 1 and "" in splits.values():
        without = [str(file) for file, split in splits.items() if not split]
        raise DataError(
            f"{without[0]}: no train, val or test in its path, as in those of other files: add it, or remove it"
        )
    tables = {split: f"{split or _ALL}/labels.csv" for split in splits.values()}
    target = cache_folder() / "unpacked" / sha256(canonical_json([_VERSION, str(root.resolve()), states]))[:16]
    if target.is_dir():
        return target, tables
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        written = Path(tempfile.mkdtemp(dir=target.parent))
        try:
            for split in tables:
                _write_split(written / (split or _ALL), [file for file in files if splits[file] == split])
            move_complete(written, target)
        finally:
            shutil.rmtree(written, ignore_errors=True)
    except OSError as error:
        raise DataError(
            f"{root}: the images can't be unpacked into {target.parent} ({error.strerror or error}); set F2VBENCH_CACHE"
        ) from error
    return target, tables


def move_complete(written: Path, target: Path) -> None:
    """Rename an unpacked folder that is complete; another process may have done so first.

    Args:
        written: The folder.
        target: Its name in the cache.
    """
    try:
        written.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def _write_split(folder: Path, files: list[Path]) -> None:
    """Write the images of one split, each in a folder of its number, so that its name stays as it is."""
    folder.mkdir()
    headings: list[str] = []
    rows: list[dict[str, str]] = []
    for file in files:
        image = _image_column(file) or ""
        for number, row in enumerate(_rows(file)):
            content, path = _bytes_of(row[image], f"{file}, row {number}")
            name = write_image(folder / f"{len(rows):06}", content, path)
            rows.append({**row, image: f"{len(rows):06}/{name}"})
            headings += [heading for heading in row if heading not in headings]
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as table:
        writer = csv.DictWriter(table, headings, restval="")
        writer.writeheader()
        writer.writerows(rows)


def _bytes_of(image: Any, where: str) -> tuple[bytes, str]:
    """Content of an image and the path that it is stored under."""
    content = image.get("bytes") if isinstance(image, Mapping) else image
    path = str(image.get("path") or "") if isinstance(image, Mapping) else ""
    if not isinstance(content, bytes) or not content:
        stored = f", only the path {path}" if path else ""
        raise DataError(
            f"{where}: the file has no bytes of the image{stored}: store the data set with its images (push_to_hub or "
            "save_to_disk of a data set of bytes), or use the folder of images"
        )
    return content, path


def write_image(folder: Path, content: bytes, path: str) -> str:
    """Write an image into a new folder, under its own name.

    Args:
        folder: The folder.
        content: Content of the file.
        path: Path or name that it is stored under; "" for none.

    Returns:
        The name of the file.
    """
    stem, suffix = split_suffix(path.replace("\\", "/").rpartition("/")[2])
    suffix = suffix or next((known for start, known in _FORMATS.items() if content.startswith(start)), ".img")
    name = (safe_id(stem) or "image") + suffix
    folder.mkdir()
    (folder / name).write_bytes(content)
    return name


def _rows(file: Path) -> Iterator[dict[str, Any]]:
    """Rows with the image as it is, and other cells as text; numbers of classes become their names."""
    from pyarrow import parquet

    with parquet.ParquetFile(file) as opened:
        image, names = _image_column(file), _class_names(opened.schema_arrow.metadata or {})
        for batch in opened.iter_batches(_ROWS):
            for row in batch.to_pylist():
                yield {
                    name: value if name == image else _named(value, names.get(name))
                    for name, value in row.items()
                    if name == image or not isinstance(value, dict | list | bytes)
                }


def _named(value: Any, names: list[str] | None) -> str:
    if names is None or not isinstance(value, int):
        return cell_text(value)
    return names[value] if 0 <= value < len(names) else ""


def _class_names(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """Names of the classes by column, as the library `datasets` stores them in the schema."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        return {name: list(map(str, kind["names"])) for name, kind in features.items() if "names" in kind}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _image_column(file: Path) -> str | None:
    """The column with the bytes of images: a structure with the field ``bytes``, or binary values."""
    import pyarrow as pa
    from pyarrow import parquet, types

    try:
        schema = parquet.read_schema(file)
    except (OSError, pa.ArrowException):
        return None  # read as a table, it is refused with the reason
    for field in schema:
        if types.is_binary(field.type) or types.is_large_binary(field.type):
            return str(field.name)
        if types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0:
            return str(field.name)
    return None


def _split_of(path: str) -> str:
    words = _WORD.findall(path.lower())
    return _SPLITS.get(words[-1], words[-1]) if words else ""
