"""A table of images and labels: CSV, TSV, Excel, Parquet or lines of JSON, with the images anywhere below its folder.

    labels.csv: image, label and, if known, patient, eye, split, age, sex, site, camera and any further columns
    photos/left/a.jpg  photos/right/b.png  …

Columns are named in the options of the card (`f2vbench.data.layouts.table_options`) or recognised by usual headings
(`f2vbench.data.layouts.table_columns`); a note says which were chosen. Image names may lack folder and suffix. Labels
are classes in one column, several classes in a cell (``a|b``), or one column of 0 and 1 for each class. Without a
column of patients, they are read from patients.csv or from file names (`f2vbench.data.patient_names`). Of a regression
or survival task, the label is a column of numbers, or columns of times and events. Age, sex, site, camera and all other
columns are kept for subgroups. A data set with one table for each split is read, too, and so are Parquet files that
contain the images (`f2vbench.data.layouts.embedded_images`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.dicom import DICOM_SUFFIXES, patient_and_eye_in_dicom
from f2vbench.data.folder_scan import find_file, folders_in, images_in, inner_folders, layout_error, split_suffix
from f2vbench.data.index_rows import Row, index_from_rows, safe_id
from f2vbench.data.label_classes import SEPARATOR
from f2vbench.data.layouts.embedded_images import files_with_images, unpack
from f2vbench.data.layouts.label_tables import LabelledImage, MatchedImages, match_images
from f2vbench.data.layouts.table_columns import GROUPS, TableColumns, choose_columns
from f2vbench.data.layouts.table_labels import classes_of_one_split, read_labels
from f2vbench.data.layouts.table_options import CardLabels, TableOptions, read_table_options
from f2vbench.data.patient_names import TABLE, Patients, find_patients, read_eye
from f2vbench.data.tables import TABLE_SUFFIXES, limit_problems, read_table
from f2vbench.errors import DataError
from f2vbench.utils.text import plural, shortened

_EXPECTED = f"a table ({', '.join(TABLE_SUFFIXES)}) with a column of image names and a column of labels"
_SPLITS = {
    "": "",
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}
_DEPTH = 2  # levels below the data folder at which a table without a name is looked for


@dataclass(frozen=True)
class _Part:
    """A table with its images; ``split`` is that of the whole table, or ""."""

    split: str
    source: Path
    table: DataFrame
    columns: TableColumns
    labels: list[dict[str, str]]
    images: Path
    matched: MatchedImages
    rows: list[int]


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index.

    Image ids are file names, after the folder where the table writes one, and after the split where each split has its
    own table.

    Args:
        folder: The data set, or the table.
        options: See `TableOptions`.

    Raises:
        DataError: No table or several, columns that are not recognised, labels or other cells that are not valid,
            images that are listed twice, classes outside the training split; rows and columns are named.
        SettingsError: Unknown or invalid options.
    """
    chosen, card = read_table_options(options)
    notes: list[str] = []
    unpacked = [] if chosen.table else files_with_images(folder)
    if unpacked:
        folder, tables = unpack(unpacked, folder if folder.is_dir() else folder.parent)
        chosen = chosen.model_copy(update={"table": tables})
        notes = [f"images of {plural(len(unpacked), 'Parquet file')} are unpacked in {folder}"]
    base = folder if folder.is_dir() else folder.parent
    parts = [_read_part(split, table, base, chosen, card) for split, table in _find_tables(folder, chosen, card)]
    paths = [path for part in parts for _, path in part.matched.pairs]
    unnamed = [path for part in parts if "patient" not in part.columns.roles for _, path in part.matched.pairs]
    names = find_patients(base, unnamed) if unnamed else Patients({})
    problems: list[str] = []
    rows = [row for part in parts for row in _rows(part, names, problems)]
    if card.has_no_classes:
        places = [image.where for part in parts for image, _ in part.matched.pairs]
        problems += classes_of_one_split([row.label for row in rows], [row.split for row in rows], places)
    if problems:
        raise DataError(limit_problems(problems))
    used = {str(path) for path in paths}
    return index_from_rows(
        rows,
        [*notes, *_column_notes(parts), *names.notes],
        warnings=names.warnings,
        missing=[sentence for part in parts for sentence in part.matched.missing],
        extra=sorted({path for part in parts for path in part.matched.extra} - used),
    )


def _column_notes(parts: Iterable[_Part]) -> list[str]:
    """The columns of the tables, one sentence for all tables with the same."""
    tables: dict[str, list[str]] = {}
    for part in parts:
        tables.setdefault(part.columns.note, []).append(part.source.name)
    return [f"{', '.join(names)}: {note}" for note, names in tables.items()]


def _find_tables(folder: Path, options: TableOptions, card: CardLabels) -> list[tuple[str, Path]]:
    """The tables with the split of each, "" for a table of all images."""
    if folder.is_file():
        return [("", folder)]
    named = options.tables()
    if not named:
        return [("", _only_table(folder, options, card))]
    places = {split: _named_files(folder, name) for split, name in named.items()}
    if not any(places.values()):
        raise layout_error(folder, f"the {'tables' if len(named) > 1 else 'table'} {' and '.join(named.values())}")
    problems = [
        f"{folder}: the table {named[split]} occurs {len(files)} times ({_listed(files)}): write its folder, too, as "
        f"in {files[0].parent.name}/{files[0].name}"
        if files
        else f"{folder}: the table {named[split]} of the split {split} not found"
        for split, files in places.items()
        if len(files) != 1
    ]
    if problems:
        raise DataError(problems)
    return [(split, files[0]) for split, files in places.items()]


def _named_files(folder: Path, name: str) -> list[Path]:
    """The files below a folder whose path ends in a name, which may have folders."""
    *folders, file_name = name.lower().split("/")
    files = (find_file(place, file_name) for place in (folder, *inner_folders(folder)))
    return [
        file for file in files
        if file is not None and [*map(str.lower, file.parent.parts)][len(file.parent.parts) - len(folders) :] == folders
    ]  # fmt: skip


def _only_table(folder: Path, options: TableOptions, card: CardLabels) -> Path:
    """The only table of labels of a folder, on the highest level that has one."""
    level = [folder]
    for _ in range(_DEPTH + 1):
        inner = [path for place in level for path in folders_in(place)]
        files = [
            file
            for place in level
            for file in sorted(place.iterdir())
            if file.suffix.lower() in TABLE_SUFFIXES and file.is_file() and file.name.lower() != TABLE
            and not file.name.startswith((".", "~$"))
        ]  # fmt: skip
        usable = files if len(files) == 1 else [file for file in files if _is_label_table(file, options, card)]
        if len(usable) > 1:
            raise DataError(
                f"{folder} has {len(usable)} tables of labels ({_listed(usable)}): choose one with data=<table>, or "
                "name it in the task card, as in `options: {table: labels.csv}`"
            )
        if usable:
            return usable[0]
        level = inner
    raise layout_error(folder, _EXPECTED)


def _is_label_table(file: Path, options: TableOptions, card: CardLabels) -> bool:
    try:
        choose_columns(map(str, read_table(file).columns), str(file), options.named(), card)
    except DataError:
        return False
    return True


def _read_part(split: str, source: Path, base: Path, options: TableOptions, card: CardLabels) -> _Part:
    table = read_table(source)
    columns = choose_columns(map(str, table.columns), str(source), options.named(), card)
    table = _decoded(table, columns, str(source), options.values)
    labels = read_labels(table, columns.labels, str(source), card, options.no_finding)
    place = _image_folder(split, source, base, options)
    names = table[columns.image].tolist()
    unnamed = [f"{source}, row {position + 2}: no image name" for position, name in enumerate(names) if not name]
    if unnamed:
        raise DataError(limit_problems(unnamed))
    listed = [
        LabelledImage(f"{source}, row {position + 2}", name, SEPARATOR.join(label.values()))
        for position, (name, label) in enumerate(zip(names, labels, strict=True))
    ]
    matched = match_images(listed, _images_below(place), str(place))
    positions = {image.where: position for position, image in enumerate(listed)}
    return _Part(
        split, source, table, columns, labels, place, matched, [positions[image.where] for image, _ in matched.pairs]
    )


def _decoded(
    table: DataFrame, columns: TableColumns, source: str, values: Mapping[str, Mapping[str, str]]
) -> DataFrame:
    """The table with the meanings that the card gives for the cells of some columns."""
    for name, meanings in values.items():
        column = columns.roles.get(name, name.lower())
        if column not in table:
            raise DataError(
                f"{source}: column '{name}' (`values` in the options of the card) not found; columns are "
                f"{', '.join(map(str, table.columns))}"
            )
        table = table.assign(**{column: [meanings.get(cell, cell) for cell in table[column]]})
    return table


def _image_folder(split: str, source: Path, base: Path, options: TableOptions) -> Path:
    """The folder below which the images of a table are."""
    name = options.image_folder(split)
    if name is None:
        return source.parent if next(iter(_images_below(source.parent)), None) is not None else base
    for root in dict.fromkeys((source.parent, base)):
        wanted = name.lower().split("/")
        found = [place for place in inner_folders(root) if [*map(str.lower, place.parts)][-len(wanted) :] == wanted]
        outer = [place for place in found if not any(other in place.parents for other in found)]
        if len(outer) == 1:
            return outer[0]
        if outer:
            raise DataError(f"{root}: several folders are named {name}: {_listed(outer)}: remove all but one")
    raise layout_error(base, f"the folder {name} with the images of {source.name}")


def _images_below(folder: Path) -> Iterator[Path]:
    for place in (folder, *inner_folders(folder)):
        yield from images_in(place).values()


def _rows(part: _Part, names: Patients, problems: list[str]) -> Iterator[Row]:
    """The images of a table; problems of their cells are added to ``problems``."""
    records = part.table.to_dict("records")
    roles = part.columns.roles
    for (listed, path), position in zip(part.matched.pairs, part.rows, strict=True):
        record, where = records[position], listed.where
        image = _image_id(part, listed.name, path)
        patient, eye = names.of.get(path, (image, ""))
        if "patient" in roles:
            patient = record[roles["patient"]]
            eye = patient_and_eye_in_dicom(path)[1] if path.suffix.lower() in DICOM_SUFFIXES else ""
            if not patient:
                problems.append(f"{where}: image '{listed.name}' has no patient in column '{roles['patient']}'")
        if "eye" in roles:
            eye = read_eye({"eye": record[roles["eye"]]}, where, problems)
        split = part.split
        if "split" in roles and not part.split:
            word = record[roles["split"]]
            if word.lower() not in _SPLITS:
                problems.append(f"{where}: split '{word}' must be train, val, test or empty")
            split = _SPLITS.get(word.lower(), "")
        columns = {role: record[roles[role]] for role in GROUPS if role in roles}
        columns |= {name: record[name] for name in part.columns.further}
        labels = {field: part.labels[position].get(field, "") for field in ("label", "value", "time", "event")}
        yield Row(
            image, path, patient=patient, eye=eye, split=split, label=labels["label"], value=labels["value"],
            time=labels["time"], event=labels["event"], columns=columns,
        )  # fmt: skip


def _image_id(part: _Part, name: str, path: Path) -> str:
    has_folder = "/" in name.replace("\\", "/").removeprefix("./")
    stem = split_suffix((path.relative_to(part.images) if has_folder else Path(path.name)).as_posix())[0]
    return safe_id(f"{part.split}_{stem}" if part.split else stem)


def _listed(paths: Iterable[Path]) -> str:
    return shortened([str(path) for path in paths])
