"""Outputs over files of others: every verb that writes, and several kinds of folders and files that it must not touch.

An input is handled if the command refuses, and every file that was there is unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from benchmarks.hostile.inputs import Hostile, command, eye, eyes, save
from tests.helpers.stored_runs import grid, write_run

Make = Callable[[Path], object]


def _data_set(folder: Path) -> None:
    eyes(folder)


def _phantom(folder: Path) -> None:
    save(folder / "photographs" / "P00001_left.png", eye(0)[0])
    (folder / "phantom.json").write_text('{"simulator": 1}\n')
    (folder / "README.txt").write_text("simulated eyes\n")


def _training(folder: Path) -> None:
    folder.mkdir(parents=True)
    for name in ("settings.yaml", "log.jsonl", "checkpoint.pt", "generator.safetensors", "generator.json"):
        (folder / name).write_text(f"{name} of a training\n")


def _foreign_results(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "results.csv").write_text("participant,consent\n1,yes\n")


def _foreign_units(folder: Path) -> None:
    (folder / "units").mkdir(parents=True)
    (folder / "units" / "ward-3.txt").write_text("beds\n")


def _project(folder: Path) -> None:
    (folder / ".git").mkdir(parents=True)
    (folder / "README.md").write_text("# Mine\n")
    (folder / "report.html").write_text("<html>mine</html>\n")


def _file(path: Path) -> None:
    path.write_text("mine\n")


FOLDERS: dict[str, Make] = {
    "a data set": _data_set,
    "a phantom": _phantom,
    "a training": _training,
    "a foreign results.csv": _foreign_results,
    "a foreign folder units": _foreign_units,
    "a project": _project,
    "a file": _file,
}
RUN = ("run", "task=folder", "data=own", "model=tophat", "baselines=none", "shots=1", "seeds=1", "jobs=1", "out=there")
TO_FOLDERS: dict[str, tuple[str, ...]] = {
    "run": RUN,
    "plan": ("plan", *RUN[1:]),
    "report": ("report", "run=stored", "figures=none", "format=html,csv,md,latex", "out=there"),
    "phantom": ("phantom", "out=there", "patients=1", "size=64", "jobs=1", "parts=vessels"),
    "weights push --dry-run": ("weights", "push", "mae-mini", "repo=a/b", "--dry-run", "out=there"),
}
TO_FILES: dict[str, tuple[str, ...]] = {
    "data check, .csv": ("data", "check", "task=folder", "data=own", "out=there.csv"),
    "data check, .json": ("data", "check", "task=folder", "data=own", "out=there.json"),
    "data split": ("data", "split", "task=classes", "data=own-classes", "out=there.csv"),
    "phantom, sheet": ("phantom", "sheet=there.png", "patients=1", "size=64", "eyes=1"),
    "score": ("score", "real=videos", "generated=videos", "out=there.csv", "resamples=0"),
    "search, .png": ("search", "own/images/a.png", "index=own/images", "model=thumbnail", "k=2", "out=there.png"),
    "search, the query": ("search", "own/images/a.png", "index=own/images", "model=thumbnail", "out=own/images/a.png"),
    "generate, .gif": ("generate", "own/images/a.png", "out=there.gif", "size=64"),
    "generate, .mp4": ("generate", "own/images/a.png", "out=there.mp4", "size=64"),
}
CARD = """\
name: classes
title: Classes
family: classification
layout: class_folders
label_kind: binary
classes:
  - {name: Healthy, meaning: healthy}
  - {name: Ill, meaning: ill}
split: random
test_fraction: 0.5
labels: me
source: me
terms: mine
citation: none
obtain: ask me
"""


def _prepare(at: Path) -> None:
    eyes(at / "own")
    for number in range(12):
        save(at / "own-classes" / ("Healthy" if number % 2 else "Ill") / f"eye{number}.png", eye(number)[0])
    (at / "tasks").mkdir()
    (at / "tasks" / "classes.yaml").write_text(CARD)
    for number in range(2):
        save(at / "videos" / "case" / f"{number}.png", eye(number)[0][..., 1])
    write_run(at / "stored", grid({"a": 0.9, "b": 0.8}, seeds=2))


def _unchanged(arguments: tuple[str, ...], at: Path) -> int:
    """Exit code of a command; 99 if a file of others changed."""
    before = {path: path.read_bytes() for path in at.rglob("*") if path.is_file()}
    code = command(*arguments)
    changed = [path for path, content in before.items() if not path.is_file() or path.read_bytes() != content]
    if changed:
        print(f"changed: {changed[0]}")
        return 99
    return code


def _to_folder(arguments: tuple[str, ...], make: Make, at: Path) -> int:
    _prepare(at)
    make(at / "there")
    return _unchanged(arguments, at)


def _to_file(arguments: tuple[str, ...], at: Path) -> int:
    _prepare(at)
    name = next(argument for argument in arguments if argument.startswith(("out=", "sheet="))).partition("=")[2]
    if not (at / name).exists():
        (at / name).write_text("mine\n")
    return _unchanged(arguments, at)


def _other_run(at: Path) -> int:
    _prepare(at)
    write_run(at / "there", grid({"c": 0.7}, seeds=2))
    (at / "there" / "results.csv").write_text("its own\n")
    return _unchanged(("report", "run=stored", "figures=none", "format=csv", "out=there"), at)


def _own(arguments: tuple[str, ...], at: Path) -> int:
    """Exit code of the same command a second time, over its own files."""
    _prepare(at)
    first = command(*arguments)
    return first or command(*arguments)


def inputs() -> Iterator[Hostile]:
    """The inputs of this category."""
    for verb, arguments in TO_FOLDERS.items():
        for name, make in FOLDERS.items():
            yield Hostile(f"{verb} into {name}", partial(_to_folder, arguments, make), "there")
    for verb, arguments in TO_FILES.items():
        yield Hostile(f"{verb} over a foreign file", partial(_to_file, arguments), "not written by|is a photograph")
    yield Hostile("report into another run", _other_run, "folder of another run")
    for verb in ("run", "report", "phantom"):
        yield Hostile(f"{verb} over its own files", partial(_own, TO_FOLDERS[verb]), "", (0,))
    for verb in ("data check, .csv", "data check, .json", "data split", "phantom, sheet", "score", "search, .png"):
        yield Hostile(f"{verb} over its own file", partial(_own, TO_FILES[verb]), "", (0,))
