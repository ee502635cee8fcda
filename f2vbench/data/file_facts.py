"""Facts about the files of an index: content hashes, sizes, near-duplicate descriptors and problems."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from pandas import DataFrame

from f2vbench.data.annotation import IGNORE
from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.images import (
    content_hash,
    exif_orientation,
    mask_colours,
    read_class_bits,
    read_mask,
    read_part,
)
from f2vbench.data.label_classes import SEPARATOR
from f2vbench.data.mask_declaration import MOST_CLASSES, ClassDeclaration
from f2vbench.data.mask_values import ARTERY_VEIN_COLOURS
from f2vbench.data.near_duplicates import APPEARANCE_VERSION, appearance, is_appearance
from f2vbench.data.plausibility import field_remark, orientation_problem, photograph_measures
from f2vbench.errors import DataError
from f2vbench.utils.files import Memo, cache_folder, canonical_json, sha256
from f2vbench.utils.progress import Progress
from f2vbench.utils.system import cores

# Version of the facts. Increase it when `read_rgb`, `read_mask` or the facts change, so that cached facts are not used.
_VERSION = 2
_PHOTOGRAPHS = f"photographs-{_VERSION}-{APPEARANCE_VERSION}.jsonl"
_MASKS = f"masks-{_VERSION}-{APPEARANCE_VERSION}.jsonl"
# Vessels cover about a tenth of a fundus; masks that cover more than this are inverted or show something else.
_MAX_VESSEL_FRACTION = 0.5
# Modalities whose photographs show a bright retina; frames of angiograms may be dark. "" is unknown.
_COLOUR = ("CF", "")
_BRIGHT = (*_COLOUR, "OCT", "UWF")
_ROLES = {"photograph": "path", "label": "mask_path", "fov": "fov_path"}
_CLASS_ROLE = "label:"
"""Start of the role of the mask file of one class."""
_FINGERPRINT = ["image", "patient", "split", "sha256", "label_sha256", "fov_sha256"]
# Columns of task families other than segmentation.
_FAMILY_FINGERPRINT = ["label", "value", "time", "event", "view", "case", "phase", "seconds"]

# More threads do not read faster, and each keeps one decoded photograph in memory.
_MAX_THREADS = 8
# Minimum number of files for a progress bar.
_MIN_FILES_FOR_PROGRESS = 200

Facts = dict[str, dict[str, Any]]
"""Facts by role (photograph, label, fov): sha256, height, width, orientation; of photographs also appearance, blank and
field; of labels also colours and turned."""


def add_file_facts(index: DataFrame, progress: Progress | None = None) -> DataFrame:
    """Read every file of an index, unless its facts are cached, and add the facts as columns.

    - ``sha256``, ``label_sha256``, ``fov_sha256``: `content_hash` of the decoded pixels, "" without a file;
    - ``height``, ``width``: size of the photograph, 0 if it is unreadable;
    - ``appearance``: see `f2vbench.data.near_duplicates`, "" if the photograph is unreadable or blank;
    - ``present``: the classes that a segmentation task declares and that have pixels in the image, joined by ";";
    - ``problem``: "", or the problems of the row's files: unreadable, of different sizes, a mask of several values that
      the card does not declare, a vessel mask that is turned against its photograph, or is empty or nearly full inside
      the field of view;
    - ``warning``: "", or what should be checked: a blank photograph, an implausible computed field of view, a mask of
      several colours, an EXIF orientation in one of two files only.

    Problems do not raise an error here: `f2vbench.data.validation.check` lists all of them at once.

    Facts of rows without a problem are cached as soon as they are known, by path, size and modification time. An
    interrupted call therefore continues where it stopped.

    Args:
        index: One row per image, see `f2vbench.data.index.build_index`.
        progress: Receives the files that are read, if there are many.

    Returns:
        The index with the additional columns.
    """
    rows = index.to_dict("records")
    parts = [row.get("part", "") for row in rows]
    files = [_files(row) for row in rows]
    declared = [_declared(row, roles) for row, roles in zip(rows, files, strict=True)]
    facts = list(_read_all(files, parts, declared, progress))
    warned = [_remarks(row, found.pop("remarks")) for row, found in zip(rows, facts, strict=True)]
    described = index.assign(
        **{column: [row[column] for row in facts] for column in _as_columns({}, "") if column != "remarks"}
    )
    described["warning"] = warned
    described.attrs["notes"] = list(index.attrs.get("notes", []))
    if any(not row["problem"] for row in facts) and not any(cache_folder().glob(f"*{_PHOTOGRAPHS}")):
        described.attrs["notes"].append(
            f"the cache folder {cache_folder()} is not writable: images are read again each time; set F2VBENCH_CACHE"
        )
    return described


def data_fingerprint(index: DataFrame) -> str:
    """SHA-256 (hex) of all ids, patients, splits, labels and contents, independent of row order and file locations.

    Args:
        index: The index with the columns of `add_file_facts`.
    """
    added = [column for column in _FAMILY_FINGERPRINT if column in index]
    columns = [*_FINGERPRINT, *added, *(["eye", "modality"] if added else [])]
    rows = sorted(index[columns].astype(str).to_numpy().tolist())
    return sha256(canonical_json(rows))


def _files(row: dict[Any, Any]) -> dict[str, Path]:
    files = {role: Path(row[column]) for role, column in _ROLES.items() if row[column]}
    return files | {_CLASS_ROLE + name: Path(path) for name, path in json.loads(row.get("mask_files") or "{}").items()}


def _declared(row: dict[Any, Any], roles: Iterable[str]) -> dict[str, str]:
    """The declared values of the masks of a row, by role."""
    declared = {"label": row.get("mask_values", ""), "fov": row.get("fov_values", "")}
    if row.get("mask_classes"):
        classes = ClassDeclaration.parse(row["mask_classes"])
        declared["label"] = row["mask_classes"]
        of_classes = (role.removeprefix(_CLASS_ROLE) for role in roles if role.startswith(_CLASS_ROLE))
        declared |= {_CLASS_ROLE + name: classes.values_of(name) for name in of_classes}
    return declared


def _read_all(
    rows: list[dict[str, Path]], parts: list[str], declared: list[dict[str, str]], progress: Progress | None
) -> Iterator[dict[str, Any]]:
    """The additional columns of every row, in order; files without cached facts are read in several threads.

    The key ``remarks`` contains the facts for `_remarks`.

    Args:
        rows: The files of each row by role.
        parts: Part of the photograph's file, by row.
        declared: Declared values of the masks by role, by row.
        progress: Receives the files that are read, if there are many.
    """
    # Each part of a photograph's file, and each declaration of a mask's values, has its own facts.
    photographs = {part: Memo(f"{part}-{_PHOTOGRAPHS}".lstrip("-")) for part in set(parts)}
    keys = [{role: _memo_of_masks(role, text) for role, text in values.items()} for values in declared]
    masks = {key: Memo(key) for key in {key for of_row in keys for key in of_row.values()}}
    memos = [
        {"photograph": photographs[part], **{role: masks[key] for role, key in of_row.items()}}
        for part, of_row in zip(parts, keys, strict=True)
    ]
    cached = [_cached_facts(files, memo) for files, memo in zip(rows, memos, strict=True)]
    unread = [row for row, facts in enumerate(cached) if facts is None]
    shown = progress if progress is not None and len(unread) >= _MIN_FILES_FOR_PROGRESS else None
    if shown is not None:
        shown.begin("reading images", len(unread))
    inspected = _inspect_all(*([column[row] for row in unread] for column in (rows, parts, declared)))
    for files, memo, facts in zip(rows, memos, cached, strict=True):
        if facts is not None:
            yield _as_columns(facts, "; ".join(_size_problems(files, facts)))
            continue
        found, problems = next(inspected)
        if not problems:
            for role, path in files.items():
                with contextlib.suppress(OSError):  # if the file was moved, the next reader raises the error
                    memo[role].put(path, found[role])
        if shown is not None:
            shown.advance(files["photograph"].name)
        yield _as_columns(found, "; ".join(problems))
    if shown is not None:
        shown.end()


def _memo_of_masks(role: str, declared: str) -> str:
    text = f"{role} {declared}" if role.startswith(_CLASS_ROLE) else declared
    return f"{sha256(text.encode())[:8]}-{_MASKS}" if text else _MASKS


def _inspect_all(*columns: Iterable[Any]) -> Iterator[tuple[Facts, list[str]]]:
    pool = ThreadPoolExecutor(min(cores(), _MAX_THREADS))
    try:
        yield from pool.map(_inspect, *columns)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)  # on ctrl-C, wait only for the files that are being read


def _cached_facts(files: dict[str, Path], memos: dict[str, Memo]) -> Facts | None:
    """Cached facts of all files of a row, or None if a file is new, changed or missing."""
    cached: Facts = {}
    for role, path in files.items():
        try:
            fact = memos[role].get(path)
        except OSError:
            return None
        if fact is None or not _is_valid(fact, role):
            return None
        cached[role] = fact
    return cached


def _is_valid(fact: Any, role: str) -> bool:
    """Whether a line of the cache has the expected content; the file may have been edited."""
    return (
        isinstance(fact, dict)
        and isinstance(fact.get("sha256"), str)
        and len(fact["sha256"]) == 64
        and isinstance(fact.get("height"), int)
        and isinstance(fact.get("width"), int)
        and isinstance(fact.get("orientation"), int)
        and (role != "photograph" or (is_appearance(fact.get("appearance")) and isinstance(fact.get("blank"), bool)))
        and (role != "label" or isinstance(fact.get("colours"), list))
        and (not role.startswith(_CLASS_ROLE) or isinstance(fact.get("shares"), dict))
    )


def _inspect(files: dict[str, Path], part: str, declared: dict[str, str]) -> tuple[Facts, list[str]]:
    """Read the files of a row: facts about the readable ones, and all problems."""
    pixels: dict[str, np.ndarray] = {}
    problems: list[str] = []
    for role, path in files.items():
        try:
            pixels[role] = read_part(path, part) if role == "photograph" else _read_mask(path, role, declared[role])
        except DataError as error:
            problems += error.problems
    facts: Facts = {
        role: {
            "sha256": content_hash(array),
            "height": array.shape[0],
            "width": array.shape[1],
            "orientation": exif_orientation(files[role]),
        }
        for role, array in pixels.items()
    }
    if "photograph" in pixels:
        rgb = pixels["photograph"]
        computed = None if "fov" in files else field_of_view(rgb)
        facts["photograph"] |= {"appearance": appearance(rgb), **photograph_measures(rgb, computed)}
    problems += _size_problems(files, facts)
    for role in (role for role in pixels if role.startswith(_CLASS_ROLE)):
        facts[role]["shares"] = {role.removeprefix(_CLASS_ROLE): float(pixels[role].mean())}
    if _is_of_classes(declared["label"]) and "label" in pixels:
        bits = pixels.pop("label")
        names = ClassDeclaration.parse(declared["label"]).names
        shares = {name: float((bits >> np.uint32(number) & np.uint32(1)).mean()) for number, name in enumerate(names)}
        facts["label"] |= {"colours": [], "turned": "", "shares": shares}
    if "label" in pixels:
        facts["label"] |= {"colours": _colours(files["label"], declared["label"]), "turned": ""}
    if not problems:
        problems = _implausible_masks(files, pixels)
    if not problems and {"photograph", "label"} <= pixels.keys():
        orientations = [facts[role]["orientation"] for role in ("photograph", "label")]
        sentence, is_clear = orientation_problem(pixels["photograph"], pixels["label"], *orientations)
        problems += [f"{files['label']}: {sentence}"] if is_clear else []
        facts["label"]["turned"] = "" if is_clear else sentence
    return facts, problems


def _read_mask(path: Path, role: str, declared: str) -> np.ndarray:
    if role == "label" and _is_of_classes(declared):
        bits, ignored = read_class_bits(path, ClassDeclaration.parse(declared))
        packed: np.ndarray = bits.astype(np.uint32) | ignored.astype(np.uint32) << np.uint32(MOST_CLASSES)
        return packed
    key = {"label": "mask_values", "fov": "fov_values"}.get(role, "values")
    return read_mask(path, declared, key)


def _is_of_classes(declared: str) -> bool:
    """Whether the declared values of a label are a `ClassDeclaration`."""
    return declared.startswith("{")


def _colours(path: Path, declared: str) -> list[str]:
    """Names of the colours of a vessel mask that all count as vessel; empty for one colour or a declaration."""
    colours = [] if declared else mask_colours(path)
    return [ARTERY_VEIN_COLOURS[colour] for colour in colours] if len(colours) > 1 else []


def _remarks(row: dict[Any, Any], facts: Facts) -> str:
    """What should be checked about the files of a row, "" for nothing."""
    photograph, label = facts.get("photograph", {}), facts.get("label", {})
    found = []
    if row["modality"] in _BRIGHT and photograph.get("blank"):
        found.append(f"{row['path']}: the photograph is black or of one colour")
    elif row["modality"] in _COLOUR and photograph.get("field"):
        remark = field_remark(*photograph["field"])
        found += [f"{row['path']}: {remark}"] if remark else []
    if label.get("colours"):
        found.append(
            f"{row['mask_path']}: the mask has the colours {', '.join(label['colours'])}, which all count as vessel; "
            'declare others in the task card, as in `mask_values: ["#ff0000"]`'
        )
    if label.get("turned"):
        found.append(f"{row['mask_path']}: {label['turned']}")
    found += [
        f"{row['image']}: the class {name} covers {share:.0%} of the picture: check that its values are not inverted"
        for name, share in _shares(facts).items()
        if share > _MAX_VESSEL_FRACTION
    ]
    return "; ".join(found)


def _size_problems(files: dict[str, Path], facts: Facts) -> list[str]:
    """Masks that differ in size from their photograph; nothing is resized silently."""
    photograph = facts.get("photograph")
    if photograph is None:
        return []
    height, width = photograph["height"], photograph["width"]
    problems = []
    for role, fact in facts.items():
        if (fact["height"], fact["width"]) == (height, width):
            continue
        remedy = "replace it by the matching file"
        if (fact["width"], fact["height"]) == (height, width) and fact["orientation"] != photograph["orientation"]:
            remedy = (
                f"EXIF turns one of them (orientation {photograph['orientation']} in the photograph, "
                f"{fact['orientation']} in the mask): save both files upright, without EXIF"
            )
        problems.append(
            f"{files[role]} has {fact['height']} × {fact['width']} pixels (height × width), but its photograph "
            f"{files['photograph'].name} has {height} × {width}: {remedy}"
        )
    return problems


def _implausible_masks(files: dict[str, Path], pixels: dict[str, np.ndarray]) -> list[str]:
    """Empty fields of view, and vessel masks that are empty or nearly full."""
    if "fov" in pixels and not pixels["fov"].any():
        return [f"{files['fov']}: this mask of the field of view has no pixel set: correct or remove it"]
    if "label" not in pixels:
        return []
    fov = pixels["fov"] if "fov" in pixels else field_of_view(pixels["photograph"])
    fraction = float(pixels["label"][fov].mean())
    if fraction == 0:
        return [f"{files['label']}: this mask has no vessel pixel inside the field of view: correct or remove it"]
    if fraction > _MAX_VESSEL_FRACTION:
        return [f"{files['label']}: this mask marks {fraction:.0%} of the field of view as vessel: is it inverted?"]
    return []


def _shares(facts: Facts) -> dict[str, float]:
    """Share of the picture by class, of the classes that a segmentation task declares."""
    return {name: share for fact in facts.values() for name, share in fact.get("shares", {}).items() if name != IGNORE}


def _label_sha256(facts: Facts) -> str:
    """Content of the label; where each class has a file, of all of them."""
    of_classes = sorted([role, fact["sha256"]] for role, fact in facts.items() if role.startswith(_CLASS_ROLE))
    return sha256(canonical_json(of_classes)) if of_classes else str(facts.get("label", {}).get("sha256", ""))


def _as_columns(facts: Facts, problem: str) -> dict[str, Any]:
    photograph = facts.get("photograph", {})
    return {
        "sha256": photograph.get("sha256", ""),
        "label_sha256": _label_sha256(facts),
        "present": SEPARATOR.join(name for name, share in _shares(facts).items() if share > 0),
        "fov_sha256": facts.get("fov", {}).get("sha256", ""),
        "height": photograph.get("height", 0),
        "width": photograph.get("width", 0),
        "appearance": photograph.get("appearance", ""),
        "problem": problem,
        "remarks": facts,
    }
