"""Settings that are malformed, unbounded or of another type."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.hostile.inputs import Hostile, command, eyes

NINE = ", ".join(["*{0}"] * 9)
BOMB = "a: &a [x, x, x]\n" + "".join(
    f"{n}: &{n} [{NINE.format(m)}]\n" for m, n in zip("abcdefg", "bcdefgh", strict=True)
)
FILES: dict[str, str] = {
    "aliases that expand without bound": BOMB,
    "a list that contains itself": "task: &a [*a]",
    "a mapping that contains itself": "task: &a {b: *a}",
    "five thousand brackets": "[" * 5000,
    "an impossible date": "task: 2020-13-45",
    "a number of five thousand digits": "seeds: " + "9" * 5000,
    "a Python object": "task: !!python/object/apply:os.system ['true']",
    "a list": "- task\n- folder",
    "a word": "folder",
    "a tab": "task:\n\t- folder",
    "a key twice": "task: folder\ntask: rite",
    "two documents": "task: folder\n---\ntask: rite",
}
ARGUMENTS = [
    "shots=0-999999999",
    "shots=5-2",
    "shots=-1",
    "shots=1.5",
    "shots=",
    "seeds=999999999",
    "seeds=0-99999999",
    "seeds=" + "9" * 5000,
    "head.widths=1-99999999",
    "decoder.learning_rate=1e400",
    "decoder.learning_rate=nan",
    "head.dropout=inf",
    "image_size=1e3",
    "image_size=-5",
    "image_size=99999999999",
    "decoder.crop=4096",
    "device=tpu",
    "jobs=0",
    "threads=0",
    "cut=20",
    "nonsense=1",
    "=1",
    "task==",
    "preset=fast",
    "shard=2/1",
    "epochs=0",
    "@nowhere.yaml",
    "decoder=@nowhere.yaml",
    "model=timm:nonsense",
    "model=pix2pixhd:nowhere.pth",
    "split=nowhere.csv",
    "split=official",
]
KEYS = ["task", "model", "shots", "seeds", "preset", "image_size", "out", "device", "data", "head"]


def _file(text: str, at: Path) -> int:
    eyes(at)
    (at / "settings.yaml").write_text(text)
    return command("plan", "task=folder", "data=.", "@settings.yaml")


def _argument(argument: str, at: Path) -> int:
    eyes(at)
    return command("plan", "task=folder", "data=.", argument)


def _mapping(key: str, at: Path) -> int:
    eyes(at)
    (at / "settings.yaml").write_text(f"task: folder\ndata: .\n{key}: {{a: {{b: [1]}}}}\n")
    return command("plan", "@settings.yaml")


def inputs() -> Iterator[Hostile]:
    """The inputs of this category."""
    for name, text in FILES.items():
        yield Hostile(f"a file with {name}", partial(_file, text), "settings.yaml|task|seeds")
    for argument in ARGUMENTS:
        yield Hostile(argument[:40], partial(_argument, argument), "error: ")
    for key in KEYS:
        yield Hostile(f"a mapping as {key}", partial(_mapping, key), key)
