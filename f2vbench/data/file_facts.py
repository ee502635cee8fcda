"""What the files of an index hold: content hashes, sizes, and what is wrong with them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from pandas import DataFrame

from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.images import content_hash, read_mask, read_part
from f2vbench.data.near_duplicates import APPEARANCE_VERSION, appearance, is_appearance
from f2vbench.errors import DataError
from f2vbench.utils.files import Memo, cache_folder, canonical_json, sha256
from f2vbench.utils.progress import Progress
from f2vbench.utils.system import cores

# Raise it when `read_rgb`, `read_mask` or the facts change: what was remembered before is then not used.
_VERSION = 1
_PHOTOGRAPHS = f"photographs-{_VERSION}-{APPEARANCE_VERSION}.jsonl"
_MASKS = f"masks-{_VERSION}.jsonl"
# Vessels cover about a tenth of a fundus; labels beyond this are inverted or something else.
_MOST_VESSELS = 0.5
_ROLES = {"photograph": "path", "label": "mask_path", "fov": "fov_path"}
_FINGERPRINT = ["image", "patient", "split", "sha256", "label_sha256", "fov_sha256"]
# Other families than segmentation have some of these as well.
_FAMILY_FINGERPRINT = ["label", "view", "case", "phase", "seconds"]

# More threads than this don't read faster; each holds one decoded photograph.
_MOST_THREADS = 8
# So many files are worth a progress bar.
_MANY = 200

Facts = dict[str, dict[str, Any]]


def add_file_facts(index: DataFrame, progress: Progress | None = None) -> DataFrame:
    """The index with what its files hold; every file is read unless it is remembered from an earlier call.

    Added columns: ``sha256``, ``label_sha256`` and ``fov_sha256`` (`content_hash` of the decoded pixels, "" where
    there is no file), ``height`` and ``width`` of the photograph (0 where it can't be read), ``appearance`` (see
    `f2vbench.data.near_duplicates`; "" where it can't be read or shows nothing), and ``problem``: "" or what is wrong
    with the row's files – unreadable, of different sizes, no vessel (or little else) inside the field of view.
    Nothing is raised for a bad file: `f2vbench.data.validation.check` tells all of them at once.

    Facts are remembered in the cache folder by path, size and time of change as soon as they are known, and only for
    rows without a problem: a call that was stopped goes on from there.

    Args:
        progress: told of the files that have to be read, where they are many.
    """
    rows = index.to_dict("records")
    parts = [row.get("part", "") for row in rows]
    facts = list(_all_facts([_files(row) for row in rows], parts, progress))
    described = index.assign(**{column: [row[column] for row in facts] for column in _columns_of({}, "")})
    described.attrs["notes"] = list(index.attrs.get("notes", []))
    if any(not row["problem"] for row in facts) and not any(cache_folder().glob(f"*{_PHOTOGRAPHS}")):
        described.attrs["notes"].append(
            f"the cache folder {cache_folder()} can't be written: images are read again each time; set F2VBENCH_CACHE"
        )
    return described


def data_fingerprint(described: DataFrame) -> str:
    """SHA-256 (hex) of all ids, patients, splits and contents, whatever their order and place on the disk."""
    added = [column for column in _FAMILY_FINGERPRINT if column in described]
    columns = [*_FINGERPRINT, *added, *(["eye", "modality"] if added else [])]
    rows = sorted(described[columns].astype(str).to_numpy().tolist())
    return sha256(canonical_json(rows))


def _files(row: dict[Any, Any]) -> dict[str, Path]:
    return {role: Path(row[column]) for role, column in _ROLES.items() if row[column]}


def _all_facts(rows: list[dict[str, Path]], parts: list[str], progress: Progress | None) -> Iterator[dict[str, Any]]:
    """The columns of every row in order; files that are not remembered are read in several threads.

    Args:
        parts: of the photograph, by row.
    """
    masks = Memo(_MASKS)
    # A file of several images has other facts for each of its parts.
    photographs = {part: Memo(f"{part}-{_PHOTOGRAPHS}".lstrip("-")) for part in set(parts)}
    memos = [{"photograph": photographs[part], "label": masks, "fov": masks} for part in parts]
    known = [_remembered(files, memo) for files, memo in zip(rows, memos, strict=True)]
    unread = [row for row, facts in enumerate(known) if facts is None]
    told = progress if progress is not None and len(unread) >= _MANY else None
    if told is not None:
        told.begin("reading images", len(unread))
    inspected = _inspect_all([rows[row] for row in unread], [parts[row] for row in unread])
    for files, memo, facts in zip(rows, memos, known, strict=True):
        if facts is not None:
            yield _columns_of(facts, "; ".join(_size_problems(files, facts)))
            continue
        found, problems = next(inspected)
        if not problems:
            for role, path in files.items():
                with contextlib.suppress(OSError):  # moved away meanwhile: whoever reads it next will say so
                    memo[role].put(path, found[role])
        if told is not None:
            told.advance(files["photograph"].name)
        yield _columns_of(found, "; ".join(problems))
    if told is not None:
        told.end()


def _inspect_all(rows: Iterable[dict[str, Path]], parts: Iterable[str]) -> Iterator[tuple[Facts, list[str]]]:
    pool = ThreadPoolExecutor(min(cores(), _MOST_THREADS))
    try:
        yield from pool.map(_inspect, rows, parts)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)  # ctrl-C waits for the files in work, not for all that are queued


def _remembered(files: dict[str, Path], memos: dict[str, Memo]) -> Facts | None:
    """The facts of all the row's files, or None if one is unknown, changed or gone."""
    known: Facts = {}
    for role, path in files.items():
        try:
            fact = memos[role].get(path)
        except OSError:
            return None
        if fact is None or not _is_sound(fact, role):
            return None
        known[role] = fact
    return known


def _is_sound(fact: Any, role: str) -> bool:
    """Whether a line of the cache holds what is expected (somebody may have edited it)."""
    return (
        isinstance(fact, dict)
        and isinstance(fact.get("sha256"), str)
        and len(fact["sha256"]) == 64
        and isinstance(fact.get("height"), int)
        and isinstance(fact.get("width"), int)
        and (role != "photograph" or is_appearance(fact.get("appearance")))
    )


def _inspect(files: dict[str, Path], part: str) -> tuple[Facts, list[str]]:
    """Read the row's files: facts on those that can be read, and all that is wrong."""
    pixels: dict[str, np.ndarray] = {}
    problems: list[str] = []
    for role, path in files.items():
        try:
            pixels[role] = read_part(path, part) if role == "photograph" else read_mask(path)
        except DataError as error:
            problems += error.problems
    facts: Facts = {
        role: {"sha256": content_hash(array), "height": array.shape[0], "width": array.shape[1]}
        for role, array in pixels.items()
    }
    if "photograph" in pixels:
        facts["photograph"]["appearance"] = appearance(pixels["photograph"])
    problems += _size_problems(files, facts)
    if not problems:
        problems = _implausible(files, pixels)
    return facts, problems


def _size_problems(files: dict[str, Path], facts: Facts) -> list[str]:
    """A label or field of view of another size than its photograph; nothing is resized silently."""
    photograph = facts.get("photograph")
    if photograph is None:
        return []
    expected = (photograph["height"], photograph["width"])
    return [
        f"{files[role]} has {fact['height']} × {fact['width']} pixels (height × width), its photograph "
        f"{files['photograph'].name} has {expected[0]} × {expected[1]}: replace it by the one that belongs to it"
        for role, fact in facts.items()
        if (fact["height"], fact["width"]) != expected
    ]


def _implausible(files: dict[str, Path], pixels: dict[str, np.ndarray]) -> list[str]:
    """Masks that can't be right: an empty field of view, a label without vessels or of little else."""
    if "fov" in pixels and not pixels["fov"].any():
        return [f"{files['fov']}: this field-of-view mask has no pixel set: mend or remove it"]
    if "label" not in pixels:
        return []
    view = pixels["fov"] if "fov" in pixels else field_of_view(pixels["photograph"])
    vessels = float(pixels["label"][view].mean())
    if vessels == 0:
        return [f"{files['label']}: this label has no vessel pixel inside the field of view: mend or remove it"]
    if vessels > _MOST_VESSELS:
        return [f"{files['label']}: {vessels:.0%} of the field of view is vessel in this label: is it inverted?"]
    return []


def _columns_of(facts: Facts, problem: str) -> dict[str, Any]:
    photograph = facts.get("photograph", {})
    return {
        "sha256": photograph.get("sha256", ""),
        "label_sha256": facts.get("label", {}).get("sha256", ""),
        "fov_sha256": facts.get("fov", {}).get("sha256", ""),
        "height": photograph.get("height", 0),
        "width": photograph.get("width", 0),
        "appearance": photograph.get("appearance", ""),
        "problem": problem,
    }
