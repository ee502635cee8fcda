"""Photographs with masks of any classes, in folders that a task card describes by patterns.

A pattern is a path below the data set without the suffix of the file, in which these words match a part of a name:

    {image}  the image's id                {class}  a class, see `mask_classes` of the card
    {split}  folder of a split             {patient}, {eye}  patient and eye
    *        anything                      **  folders of any depth

Without options, photographs are ``images/{image}``, masks are ``masks/{image}`` (the values of one file are the
classes) or, if ``masks`` has folders, ``masks/{class}/{image}``, and fields of view are ``fov/{image}``. Ids of images
get the split as prefix if the pattern contains it. Patients are read from ``patients.csv`` or from file names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pandas import DataFrame

from f2vbench.data.annotation import IGNORE
from f2vbench.data.folder_scan import folders_in, images_in, inner_folders, layout_error, split_suffix, subfolder
from f2vbench.data.index_rows import Row, index_from_rows, safe_id
from f2vbench.data.layouts.options import unknown_options
from f2vbench.data.patient_names import eye_of, find_patients, patient_and_eye
from f2vbench.errors import DataError, SettingsError
from f2vbench.utils.text import shortened

_PATTERNS = {"images": "images/{image}", "masks": "", "fov": "fov/{image}", "ignore": "ignore/{image}"}
_SPLIT_FOLDERS = {"train": ("train", "training"), "val": ("val", "validation"), "test": ("test", "testing")}
_WORDS = ("image", "class", "split", "patient", "eye")
_TOKEN = re.compile(r"\{(\w+)\}|(\*\*/?)|(\*)")


def read(folder: Path, options: dict[str, Any]) -> DataFrame:
    """The raw index.

    Args:
        folder: The data set.
        options: Patterns ``images``, ``masks``, ``fov`` and ``ignore`` (masks of pixels that do not count), and
            ``splits``, a mapping of train, val and test to the names that ``{split}`` matches.

    Raises:
        DataError: No photograph fits the pattern, or two files are masks of one class of an image.
        SettingsError: Unknown options, or a pattern that is not valid.
    """
    patterns, splits = _read_options(options)
    root = _root(folder, patterns["images"])
    if not patterns["masks"]:
        has_folders = bool(folders_in(masks)) if (masks := subfolder(root, "masks")) is not None else False
        patterns["masks"] = "masks/{class}/{image}" if has_folders else "masks/{image}"
    photographs = {_key(found, splits): found for found in _matches(root, patterns["images"])}
    if not photographs:
        raise layout_error(root, f"photographs {patterns['images']}.<suffix> (option images of the task card)")
    masks_of, unused = _masks(root, patterns["masks"], photographs, splits)
    fields, _ = _masks(root, patterns["fov"], photographs, splits)
    ignored, _ = _masks(root, patterns["ignore"], photographs, splits)
    images = {split_suffix(found.path.name)[0]: found.words["image"] for found in photographs.values()}
    files_of = [found.path for found in photographs.values()]
    patients = find_patients(root, files_of, lambda stem: patient_and_eye(images[stem]))
    rows = []
    for (split, image), found in photographs.items():
        files = {name: path for name, path in masks_of.get((split, image), {}).items() if name}
        if (split, image) in ignored and files:
            files[IGNORE] = ignored[split, image][""]
        name = safe_id(f"{split}_{image}" if split else image)
        patient, eye = patients.of.get(found.path, (name, ""))
        if "patient" in found.words:
            patient, eye = found.words["patient"], eye_of(found.words.get("eye", "")) or ""
        row = Row(
            image=name,
            path=found.path,
            mask_path=masks_of.get((split, image), {}).get(""),
            fov_path=fields.get((split, image), {}).get(""),
            patient=patient,
            eye=eye,
            split=split,
            mask_files=files,
        )
        rows.append(row)
    warnings = [] if "{patient}" in patterns["images"] else [*patients.warnings]
    if unused:
        warnings.append(f"masks without a photograph, not used: {shortened([path.name for path in unused])}")
    return index_from_rows(rows, patients.notes, warnings=warnings)


@dataclass(frozen=True)
class _Match:
    """A file that fits a pattern, and what the words of the pattern matched."""

    path: Path
    words: Mapping[str, str]


_Key = tuple[str, str]  # split ("" for none) and image


def _read_options(options: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, str]]:
    """The patterns by option, and the split of each name in lower case."""
    problems = unknown_options(options, [*_PATTERNS, "splits"])
    patterns = {key: str(options.get(key, default)) for key, default in _PATTERNS.items()}
    for key, pattern in patterns.items():
        words = [match[1] for match in _TOKEN.finditer(pattern) if match[1]]
        for word in words:
            if word not in _WORDS:
                problems.append(f"options.{key}: unknown word {{{word}}}; known: {', '.join(_WORDS)}")
        if pattern and "image" not in words:
            problems.append(f"options.{key}: '{pattern}' needs the word {{image}}")
        if pattern.startswith("/") or ".." in pattern.split("/"):
            problems.append(f"options.{key}: '{pattern}' must be a path below the data set")
        if "class" in words and key != "masks":
            problems.append(f"options.{key}: {{class}} is a word of the option masks")
    named = options.get("splits", {})
    if not isinstance(named, dict) or not set(named) <= set(_SPLIT_FOLDERS):
        problems.append(f"options.splits: must map {', '.join(_SPLIT_FOLDERS)} to names of folders")
        named = {}
    splits = {name: split for split, names in _SPLIT_FOLDERS.items() for name in names}
    splits |= {str(name).lower(): split for split, name in named.items()}
    if problems:
        raise SettingsError(problems)
    return patterns, splits


def _root(folder: Path, pattern: str) -> Path:
    """The folder that has the photographs: the one given, or the only one inside it, because archives are nested."""
    inner = folders_in(folder)
    if len(inner) == 1 and not any(_matches(folder, pattern)) and any(_matches(inner[0], pattern)):
        return inner[0]
    return folder


def _expression(pattern: str, greedy: bool) -> re.Pattern[str]:
    """The regular expression of a pattern; ``greedy``: {image} takes as much of a name as it can."""
    parts, end, seen = [], 0, set()
    for match in _TOKEN.finditer(pattern):
        parts.append(re.escape(pattern[end : match.start()]))
        end, word = match.end(), match[1]
        if word in seen:
            parts.append(f"(?P={word})")
        elif word:
            seen.add(word)
            parts.append(f"(?P<{word}>[^/]+{'' if greedy or word != 'image' else '?'})")
        elif match[2]:
            parts.append("(?:[^/]+/)*" if match[2].endswith("/") else ".*")
        else:
            parts.append("[^/]*")
    return re.compile("".join([*parts, re.escape(pattern[end:])]), re.IGNORECASE)


def _matches(root: Path, pattern: str, greedy: bool = True) -> Iterator[_Match]:
    """The image files that fit a pattern, sorted by folder and name."""
    literal = pattern.split("{")[0].split("*")[0].rpartition("/")[0]
    place: Path | None = root
    for name in filter(None, literal.split("/")):
        place = subfolder(place, name)
    expression = _expression(pattern, greedy)
    for folder in [place, *inner_folders(place)] if place is not None else []:
        relative = folder.relative_to(root).as_posix()
        for stem, path in images_in(folder).items():
            match = expression.fullmatch(stem if relative == "." else f"{relative}/{stem}")
            if match is not None:
                yield _Match(path, match.groupdict())


def _key(found: _Match, splits: Mapping[str, str]) -> _Key:
    """Split and image of a file."""
    split = found.words.get("split", "")
    if split and split.lower() not in splits:
        raise DataError(
            f"{found.path}: '{split}' names no split: add it to `splits` below `options` in the task card, as in "
            f"`splits: {{train: {split}}}`"
        )
    return (splits[split.lower()] if split else "", found.words["image"])


def _masks(
    root: Path, pattern: str, photographs: Mapping[_Key, _Match], splits: Mapping[str, str]
) -> tuple[dict[_Key, dict[str, Path]], list[Path]]:
    """Files of masks by image and class ("" for files without a class), and files without a photograph."""
    found: dict[_Key, dict[str, Path]] = {}
    unused: dict[Path, None] = {}
    used: set[Path] = set()
    has_split = any(split for split, _ in photographs)
    for greedy in (True, False):
        for match in _matches(root, pattern, greedy):
            split, image = _key(match, splits)
            keys = [(split, image)] if split or not has_split else [(each, image) for each in _SPLIT_FOLDERS]
            key = next((each for each in keys if each in photographs), None)
            if match.path in used:
                continue
            if key is None:
                unused[match.path] = None
                continue
            used.add(match.path)
            name = match.words.get("class", "")
            other = found.setdefault(key, {}).get(name)
            if other is not None:
                raise DataError(f"{other} and {match.path} are both the mask{f' of {name}' if name else ''} of {image}")
            found[key][name] = match.path
    return found, [path for path in unused if path not in used]
