"""Where results go, what may be written over, and what is finished.

Beside every result lie its strip and its record:

    eye.gif  eye-strip.png  eye.gif.json                 a file
    eye/01.png … eye/12.png  eye-strip.png  eye.json     frames

The record tells what decided the result, and the sha256 of its files. It is written before them and so claims their
names: a stopped call goes on, a damaged file is made again, and what no record claims is never touched.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from f2vbench.errors import SettingsError, StoreError, did_you_mean
from f2vbench.utils.files import sha256, sweep, write_atomically
from f2vbench.videos.settings import Format, GenerateSettings

FORMATS: tuple[Format, ...] = ("frames", "gif", "mp4", "png")


@dataclass(frozen=True)
class Result:
    """What is made of one photograph.

    Attributes:
        photograph: its file.
        path: of the result: a file, or for ``frames`` a folder.
    """

    photograph: Path
    path: Path
    format: Format

    @property
    def strip(self) -> Path:
        return self.path.with_name(f"{self._stem}-strip.png")

    @property
    def record(self) -> Path:
        return self.path.with_name(f"{self.path.name}.json")

    @property
    def _stem(self) -> str:
        return self.path.name if self.format == "frames" else self.path.stem

    def is_finished(self, request: Mapping[str, Any]) -> bool:
        """Whether all its files are there as they were written, made as now requested."""
        record = _read(self.record)
        if record is None or record["request"] != request:
            return False
        return all(_holds(self.path.parent / name, digest) for name, digest in record["files"].items())

    def problem(self, request: Mapping[str, Any], overwrite: bool) -> str | None:
        """Why it may not be written here, or None."""
        record = _read(self.record)
        if record is not None and record["request"] != request and not overwrite:
            return (
                f"{self.path}: was made otherwise ({_differences(record['request'], request)}); choose another out, or "
                "say overwrite=yes to make it again"
            )
        stray = [file for file in self._there() if file.relative_to(self.path.parent).as_posix() not in self._claimed()]
        if stray:
            what = stray[0] if len(stray) == 1 else f"{stray[0]} and {len(stray) - 1} more"
            return f"{what}: there already, and not made by f2vbench generate; choose another out, or remove it"
        return None

    def write(self, request: Mapping[str, Any], files: Mapping[str, bytes], told: Mapping[str, Any]) -> None:
        """Write the result's files and its record; files of an earlier result that are not in this one go.

        Args:
            files: content by name: the result's own name or ``<its name>/01.png``, and the strip's.
            told: what the record tells beside, for the reader.

        Raises:
            StoreError: a file can't be written.
        """
        folder = self.path.parent
        try:
            for file in self._there():
                if file.relative_to(folder).as_posix() not in files:
                    file.unlink(missing_ok=True)
        except OSError as error:
            raise StoreError(f"{file}: can't be removed ({error.strerror}); choose another out") from error
        digests = {name: sha256(content) for name, content in files.items()}
        record = {"request": dict(request), "files": digests, **told}
        write_atomically(self.record, json.dumps(record, indent=1, ensure_ascii=False).encode() + b"\n")
        for name, content in files.items():
            write_atomically(folder / name, content)
        for written in {(folder / name).parent for name in files}:
            sweep(written)

    def _there(self) -> Iterator[Path]:
        """Files that stand where the result's own would."""
        if self.path.is_dir():
            inner = [file for file in sorted(self.path.iterdir()) if not file.name.startswith(".")]
            yield from inner if self.format == "frames" else [self.path]
        elif self.path.exists():
            yield self.path
        if self.strip.exists():
            yield self.strip

    def _claimed(self) -> set[str]:
        """Names in the records of this result and of the same photograph's in other formats, which share a strip."""
        names = [self._stem, *(f"{self._stem}.{other}" for other in FORMATS if other != "frames")]
        records = [_read(self.path.with_name(f"{name}.json")) for name in names]
        own = _read(self.record)
        claimed = {name for record in records if record for name in record["files"] if name == self.strip.name}
        return claimed | set(own["files"] if own else ())


def plan_results(settings: GenerateSettings, photographs: Mapping[str, Path], one: bool, frames: int) -> list[Result]:
    """Where each photograph's result goes.

    Args:
        photographs: by name.
        one: a single photograph was named, and ``out`` is its result.
        frames: how many the model makes.

    Raises:
        SettingsError: an ending or a format that is not known or does not suit the model.
        StoreError: results that would lie on each other or on the photographs.
    """
    out = settings.out.expanduser()
    if one:
        chosen = _format_of(out, settings.format)
        results = [Result(file, out.absolute(), chosen) for file in photographs.values()]
    else:
        usual: Format = "png" if frames == 1 else "frames"
        chosen = usual if settings.format == "auto" else settings.format
        if out.suffix.lower().lstrip(".") in FORMATS and not out.is_dir():
            raise SettingsError(
                f"out={out}: several photographs need a folder for their results: out={out.with_suffix('')} "
                f"format={out.suffix.lower().lstrip('.')}"
            )
        ending = "" if chosen == "frames" else f".{chosen}"
        results = [Result(file, (out / f"{name}{ending}").absolute(), chosen) for name, file in photographs.items()]
    if frames == 1 and chosen in ("gif", "mp4"):
        family = settings.model.partition(":")[0]
        raise SettingsError(f"{family} makes one frame, which is no {chosen.upper()} video: ask for .png (format=png)")
    if frames > 1 and chosen == "png":
        raise SettingsError(
            f"{frames} frames make no single PNG: ask for .gif, .mp4 or a folder of frames (a strip of all frames lies "
            "beside each as a PNG)"
        )
    _check_places(results)
    return results


def check_writable(results: Sequence[Result]) -> None:
    """Find out before the work whether the folders can be made and written.

    Raises:
        StoreError: a file stands in the way, or rights are missing.
    """
    for folder in sorted({result.path.parent for result in results}):
        nearest = next(place for place in (folder, *folder.parents) if place.exists())
        if not nearest.is_dir():
            raise StoreError(f"{nearest}: is a file, but results need a folder there; choose another out")
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise StoreError(f"{nearest}: no right to write there; choose another out")


def _format_of(out: Path, asked: str) -> Format:
    ending = out.suffix.lower().lstrip(".")
    named = next((known for known in FORMATS if known == ending and known != "frames"), None)
    if asked != "auto":
        if asked != (named or "frames"):
            told = f"ends with .{named}" if named else f"names a folder; write out={out.with_suffix(f'.{asked}')}"
            raise SettingsError(f"format={asked}, but out={out} {told}" + ("; leave format out" if named else ""))
        return named or "frames"
    if named is not None:
        return named
    if ending and not out.is_dir():
        raise SettingsError(
            f"out={out}: .{ending} can't be written{did_you_mean(ending, FORMATS)}; there are .gif, .mp4, .png (models "
            "of one frame), and folders of frames (with a dot in their name: say format=frames)"
        )
    return "frames"


def _check_places(results: Sequence[Result]) -> None:
    photographs = {result.photograph.absolute() for result in results}
    taken: dict[Path, Result] = {}
    problems: list[str] = []
    for result in results:
        for place in (result.path, result.strip, result.record):
            if place in photographs:
                problems.append(f"{place}: is a photograph; choose another out")
            elif place in taken:
                first, second = taken[place].photograph, result.photograph
                problems.append(f"{first} and {second}: results of both would be {place}; rename one")
            taken[place] = result
    holding = {file.parent for file in photographs} & {result.strip.parent for result in results}
    if len(results) > 1 and holding and not problems:
        problems.append(
            f"{min(holding)}: results among the photographs would be taken for photographs next time; choose another "
            "out"
        )
    if problems:
        raise StoreError(problems)


def _read(record: Path) -> dict[str, Any] | None:
    """A record, or None where there is none or it is damaged."""
    try:
        held = json.loads(record.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    fits = isinstance(held, dict) and isinstance(held.get("request"), dict) and isinstance(held.get("files"), dict)
    return held if fits else None


def _holds(file: Path, digest: str) -> bool:
    try:
        return sha256(file.read_bytes()) == digest
    except OSError:
        return False


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    keys = [key for key in sorted(there.keys() | here.keys()) if there.get(key) != here.get(key)]
    return ", ".join(f"{key} {_short(there.get(key))}, now {_short(here.get(key))}" for key in keys)


def _short(value: Any) -> str:
    text = str(value)
    return f"{text[:12]}…" if len(text) > 40 else text
