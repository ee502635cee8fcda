"""Result files: their paths, which of them may be overwritten, and which are complete.

Each result has a strip and a record beside it:

    eye.gif  eye.gif-strip.png  eye.gif.json             a file
    eye/01.png … eye/12.png  eye-strip.png  eye.json     frames

The record has everything that determines the result, and the sha256 of its files. It is written first and lists the
names of the files. An interrupted call therefore resumes, a damaged file is generated again, and files that no record
lists are never changed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from f2vbench.errors import SettingsError, StoreError, did_you_mean
from f2vbench.utils.files import remove_stale_parts, sha256, write_atomically
from f2vbench.videos.settings import Format, GenerateSettings

FORMATS: tuple[Format, ...] = ("frames", "gif", "mp4", "png")

_MAX_VALUE_LENGTH = 40


@dataclass(frozen=True)
class Result:
    """The result files of one photograph.

    Attributes:
        photograph: The input file.
        path: The generated file, or the folder of frames.
        format: Of the result.
    """

    photograph: Path
    path: Path
    format: Format

    @property
    def strip(self) -> Path:
        """The picture of photograph and frames."""
        return self.path.with_name(f"{self.path.name}-strip.png")

    @property
    def record(self) -> Path:
        """The record of the result."""
        return self.path.with_name(f"{self.path.name}.json")

    def is_complete(self, request: Mapping[str, Any]) -> bool:
        """Whether all files exist unchanged and were generated for this request."""
        record = _read_record(self.record)
        if record is None or record["request"] != request:
            return False
        return all(_has_sha256(self.path.parent / name, digest) for name, digest in record["files"].items())

    def problem(self, request: Mapping[str, Any], overwrite: bool) -> str | None:
        """The reason why the result must not be written, or None.

        Args:
            request: What determines the result.
            overwrite: Replace results of other requests.
        """
        record = _read_record(self.record)
        if record is not None and record["request"] != request and not overwrite:
            return (
                f"{self.path}: was generated with other settings ({_differences(record['request'], request)}); choose "
                "another out, or use overwrite=yes to replace it"
            )
        recorded = set(record["files"]) if record is not None else set()
        foreign = [
            file for file in self._existing_files() if file.relative_to(self.path.parent).as_posix() not in recorded
        ]
        if not foreign:
            return None
        files = str(foreign[0]) if len(foreign) == 1 else f"{foreign[0]} and {len(foreign) - 1} more"
        return f"{files}: exists and was not written by f2vbench generate; choose another out, or remove it"

    def write(self, request: Mapping[str, Any], files: Mapping[str, bytes], details: Mapping[str, Any]) -> None:
        """Write the record and the files, and remove files of an earlier result that this one does not have.

        Args:
            request: What determines the result.
            files: Content by name: the result's own name or ``<its name>/01.png``, and that of the strip.
            details: Additional entries of the record.

        Raises:
            StoreError: A file can't be written.
        """
        folder = self.path.parent
        try:
            for file in self._existing_files():
                if file.relative_to(folder).as_posix() not in files:
                    file.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{file}: can't be removed ({error.strerror}); choose another out") from error
        digests = {name: sha256(content) for name, content in files.items()}
        record = {"request": dict(request), "files": digests, **details}
        write_atomically(self.record, json.dumps(record, indent=1, ensure_ascii=False).encode() + b"\n")
        for name, content in files.items():
            write_atomically(folder / name, content)
        for written in {(folder / name).parent for name in files}:
            remove_stale_parts(written)

    def _existing_files(self) -> Iterator[Path]:
        """Files at the paths of this result."""
        if self.path.is_dir():
            frames = [file for file in sorted(self.path.iterdir()) if not file.name.startswith(".")]
            yield from frames if self.format == "frames" else [self.path]
        elif self.path.exists():
            yield self.path
        if self.strip.exists():
            yield self.strip


def plan_results(
    settings: GenerateSettings, photographs: Mapping[str, Path], single: bool, frames: int
) -> list[Result]:
    """The result of each photograph.

    Args:
        settings: With ``out`` and ``format``.
        photographs: By name.
        single: The input is one photograph, and ``out`` is its result.
        frames: Number of frames that the model generates.

    Raises:
        SettingsError: A suffix or format is unknown, or does not fit the model.
        StoreError: Results would overwrite each other or the photographs.
    """
    out = settings.out.expanduser()
    if single:
        chosen = _single_format(out, settings.format)
        results = [Result(file, out.absolute(), chosen) for file in photographs.values()]
    else:
        default: Format = "png" if frames == 1 else "frames"
        chosen = default if settings.format == "auto" else settings.format
        if out.suffix.lower().lstrip(".") in FORMATS and not out.is_dir():
            raise SettingsError(
                f"out={out}: several photographs need a folder for their results: out={out.with_suffix('')} "
                f"format={out.suffix.lower().lstrip('.')}"
            )
        suffix = "" if chosen == "frames" else f".{chosen}"
        results = [Result(file, (out / f"{name}{suffix}").absolute(), chosen) for name, file in photographs.items()]
    if frames == 1 and chosen in ("gif", "mp4"):
        family = settings.model.partition(":")[0]
        raise SettingsError(f"{family} generates one frame, which is no {chosen.upper()} video: use .png (format=png)")
    if frames > 1 and chosen == "png":
        raise SettingsError(
            f"{frames} frames are not a single PNG: use .gif, .mp4 or a folder of frames (a strip of all frames is "
            "written beside each as a PNG)"
        )
    _check_collisions(results)
    return results


def check_writable(results: Sequence[Result]) -> None:
    """Check before generation that the folders of the results can be written.

    Raises:
        StoreError: A file has the path of a folder, or permissions are missing.
    """
    for folder in sorted({result.path.parent for result in results}):
        nearest = next(parent for parent in (folder, *folder.parents) if parent.exists())
        if not nearest.is_dir():
            raise StoreError(f"{nearest}: is a file, but results need a folder there; choose another out")
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise StoreError(f"{nearest}: no permission to write there; choose another out")


def _single_format(out: Path, requested: str) -> Format:
    """The format of a single result, by its suffix and the setting ``format``."""
    suffix = out.suffix.lower().lstrip(".")
    named = next((known for known in FORMATS if known == suffix and known != "frames"), None)
    if requested != "auto":
        if requested != (named or "frames"):
            conflict = f"ends with .{named}" if named else f"is a folder; use out={out.with_suffix(f'.{requested}')}"
            raise SettingsError(
                f"format={requested}, but out={out} {conflict}" + ("; leave format out" if named else "")
            )
        return named or "frames"
    if named is not None:
        return named
    if suffix and not out.is_dir():
        raise SettingsError(
            f"out={out}: .{suffix} can't be written{did_you_mean(suffix, FORMATS)}; possible are .gif, .mp4, .png "
            "(single-frame models), and folders of frames (for a folder with a dot in its name, use format=frames)"
        )
    return "frames"


def _check_collisions(results: Sequence[Result]) -> None:
    photographs = {result.photograph.absolute() for result in results}
    owners: dict[Path, Result] = {}
    problems: list[str] = []
    for result in results:
        for path in (result.path, result.strip, result.record):
            if path in photographs:
                problems.append(f"{path}: is a photograph; choose another out")
            elif path in owners:
                first, second = owners[path].photograph, result.photograph
                problems.append(f"{first} and {second}: both results would be {path}; rename one")
            owners[path] = result
    shared = {file.parent for file in photographs} & {result.strip.parent for result in results}
    if len(results) > 1 and shared and not problems:
        problems.append(
            f"{min(shared)}: results among the photographs would be read as photographs by the next call; choose "
            "another out"
        )
    if problems:
        raise StoreError(problems)


def _read_record(path: Path) -> dict[str, Any] | None:
    """A record, or None where it is missing or damaged."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(record, dict):
        return None
    return record if all(isinstance(record.get(key), dict) for key in ("request", "files")) else None


def _has_sha256(file: Path, digest: str) -> bool:
    try:
        return sha256(file.read_bytes()) == digest
    except OSError:
        return False


def _differences(stored: Mapping[str, Any], current: Mapping[str, Any]) -> str:
    keys = [key for key in sorted(stored.keys() | current.keys()) if stored.get(key) != current.get(key)]
    return ", ".join(f"{key} {_shorten(stored.get(key))}, now {_shorten(current.get(key))}" for key in keys)


def _shorten(value: Any) -> str:
    text = str(value)
    return f"{text[:12]}…" if len(text) > _MAX_VALUE_LENGTH else text
