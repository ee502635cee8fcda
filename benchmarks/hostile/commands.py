"""Words on the command line: verbs, actions, options and empty values."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.hostile.inputs import Hostile, command, eyes

RUN = ("task=folder", "data=.", "model=tophat", "baselines=none", "shots=1", "seeds=1", "jobs=1")
REFUSED: dict[tuple[str, ...], str] = {
    ("rum",): "did you mean 'run'",
    ("",): "unknown verb",
    ("Run",): "did you mean 'run'",
    ("list", "modles"): "did you mean 'models'",
    ("data", "chek"): "did you mean 'check'",
    ("weights", "lst"): "did you mean 'list'",
    ("list", "tasks", "extra"): "not a setting",
    ("list", "models", "format=xml"): "text, json",
    ("doctor", "details=perhaps"): "details",
    ("run", "task"): "not a setting",
    ("run",): "task: required",
    ("run", "task=folder", "task=rite"): "set twice",
    ("run", "--task", "folder", "task=rite"): "set twice",
    ("run", "data.folder=a", "data=b", "task=folder"): "keep one of the two",
    ("run", "data=b", "data.folder=a", "task=folder"): "keep one of the two",
    ("run", *RUN, "model=none"): "set twice",
    ("run", "task=folder", "data=.", "model=none,tophat"): "none excludes",
    ("run", "task=folder", "data=.", "model=none", "baselines=none"): "nothing to run",
    ("run", "task=folder", "data=@"): "the name of the yaml file is missing",
    ("run", "@"): "can't be read",
    ("run", "task=Folder", "data=."): "did you mean 'folder'",
    ("run", "task=folder", "Model=tophat"): "did you mean 'model'",
    ("run", "task=folder", "baselines=floor"): "no such baseline",
    ("report", "baseline=nope"): "no run folder",
    ("report", "format=docx"): "unknown format",
    ("report", "interval=normal"): "student, papers",
    ("search",): "image: required",
    ("search", "a.png", "b.png", "index=."): "one image at a time",
    ("train", "preset=fast"): "preset",
    ("generate", "nowhere.png", "out=x.gif"): "no such file",
    ("generate", "images/a.png", "out=x.avi"): "can't be written",
    ("score", "real=nowhere", "generated=."): "folder not found",
    ("phantom",): "no output",
    ("phantom", "sheet=eyes.jpg"): "png",
    ("data", "split", "task=folder"): "needs one task and a file",
    ("data", "check", "task=folder", "data=.", "out=findings.txt"): "suffix",
    ("export", "nowhere"): "not a run folder",
    ("export",): "give <run folder>",
    ("weights", "make", "nowhere", "name=x"): "nowhere",
    ("weights", "show", "nowhere"): "there is no weights card",
    ("weights", "push", "nowhere", "repo=a/b"): "neither a weights card nor|neither a weights card",
}
EMPTY: list[tuple[str, ...]] = [
    ("run", *RUN[:1], *RUN[2:], "data="),
    ("run", *RUN, "out="),
    ("run", *RUN, "out= "),
    ("run", *RUN, ""),
    ("run", *RUN, "split="),
    ("run", *RUN, "weights="),
    ("run", *RUN, "data.folder="),
    ("plan", "task=", "data=."),
    ("report", "run="),
    ("report", "out="),
    ("report", "baseline="),
    ("search", "", "index=."),
    ("search", "images/a.png", "index="),
    ("train", "data="),
    ("train", "out="),
    ("generate", "", "out=x.gif"),
    ("generate", "images/a.png", "out="),
    ("score", "real=", "generated="),
    ("phantom", "out="),
    ("phantom", "sheet="),
    ("data", "check", "task=folder", "data="),
    ("data", "split", "task=folder", "data=.", "out="),
    ("list", "runs", "root="),
    ("doctor", "out="),
    ("export", ""),
    ("weights", "make", "", "name=x"),
    ("weights", "push", "", "repo=a/b"),
]
UNDERSTOOD: dict[tuple[str, ...], str] = {
    ("version",): "f2vbench [0-9]",
    ("-V",): "f2vbench [0-9]",
    ("--version",): "f2vbench [0-9]",
    (): "usage: f2vbench <verb>",
    ("list", "datasets"): "[0-9]+ tasks:",
    ("list", "data"): "[0-9]+ tasks:",
    ("list", "model"): "[0-9]+ encoders",
    ("list", "encoders"): "[0-9]+ encoders",
    ("list", "models", "format=json"): '"model": "fundus2video"',
    ("list", "models", "--format", "json"): '"model": "fundus2video"',
    ("list", "tasks", "format=json"): '"task": "rite"',
    ("list", "runs", "format=json"): r"\[\]",
    ("data", "list", "format=json"): '"name": "rite"',
    ("data", "where", "task=rite", "format=json"): '"citation"',
    ("weights", "list", "format=json"): '"name": "mae-mini"',
    ("doctor",): "no problem found|to fix",
    ("doctor", "format=json"): '"section"',
    ("plan", "--task", "folder", "--data", ".", "--model", "none", "--baselines", "tophat", "--shots", "1"): "tophat",
    ("run", *RUN, "--dry-run"): "missing",
    ("plan", "task=folder", "data=.", "model=none", "baselines=tophat", "shots=0"): "tophat",
}


def _act(arguments: tuple[str, ...], at: Path) -> int:
    eyes(at)
    before = sorted(at.rglob("*"))
    code = command(*arguments)
    made = [path for path in sorted(at.rglob("*")) if path not in before]
    if code == 2 and made:
        print(f"refused, but it wrote {made[0]}")
        return 99
    return code


def inputs() -> Iterator[Hostile]:
    """The inputs of this category."""
    for arguments, expected in REFUSED.items():
        yield Hostile(" ".join(arguments)[:60] or "an empty verb", partial(_act, arguments), expected)
    for arguments in EMPTY:
        name = " ".join(argument or "''" for argument in arguments if argument not in RUN)
        yield Hostile(f"empty: {name}"[:60], partial(_act, arguments), "empty|required|unset|keep one")
    for arguments, expected in UNDERSTOOD.items():
        yield Hostile(f"understood: {' '.join(arguments)}"[:60], partial(_act, arguments), expected, (0,))
