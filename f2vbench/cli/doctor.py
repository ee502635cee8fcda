"""The state of this installation: what is there, what is missing, and how to get it."""

from __future__ import annotations

import os
from pathlib import Path

from f2vbench.config.parsing import build
from f2vbench.config.run import RunSettings
from f2vbench.data.index import find_folder
from f2vbench.data.task_cards import all_cards
from f2vbench.encoders.registry import trainable_families
from f2vbench.errors import F2VBenchError, WeightsError
from f2vbench.pretrained.weights_cards import default_card, weights_card, weights_cards
from f2vbench.pretrained.weights_files import find_weights
from f2vbench.runner.work_items import workers
from f2vbench.utils.files import cache_folder, write_atomically
from f2vbench.utils.system import cores, machine, memory_bytes, software

Finding = tuple[str, str, str]
_OK, _MISSING, _OPEN = "ok", "!!", "–"


def examine(out: Path) -> list[tuple[str, list[Finding]]]:
    """Groups of findings: (mark, what, found); the mark is ``ok``, ``!!`` (mend this) or ``–`` (optional).

    Args:
        out: the folder runs go to.
    """
    return [
        ("Versions", _versions()),
        ("Machine", _machine()),
        ("Folders", [_writable("run folders (out=)", out), _writable("cache (F2VBENCH_CACHE)", cache_folder())]),
        ("Weights", [_hub(), *_shipped_weights()]),
        ("Data sets", _data()),
    ]


def _versions() -> list[Finding]:
    held = software()
    git = f", git {held['git'][:12]}" if held["git"] else ""
    rows: list[Finding] = [(_OK, "f2vbench", held["f2vbench"] + git), (_OK, "python", held["python"])]
    for name, version in held["libraries"].items():
        absent = version == "absent"
        rows.append((_MISSING if absent else _OK, name, "absent: pip install f2vbench again" if absent else version))
    return rows


def _machine() -> list[Finding]:
    memory = memory_bytes()
    rows: list[Finding] = [
        (_OK, "system", machine()["system"]),
        (_OK, "processor", f"{machine()['processor']}, {cores()} cores usable"),
        (
            _OK,
            "workers",
            f"{workers(build(RunSettings, {'task': 'any'}))} by default, of 1 thread each (jobs=, threads=)",
        ),
        (_OK, "memory", f"{memory / 2**30:.0f} GiB" if memory else "unknown"),
    ]
    try:
        import torch
    except (ImportError, OSError) as error:
        return [*rows, (_MISSING, "torch", f"can't be imported ({error}): install f2vbench again")]
    if not torch.cuda.is_available():
        return [*rows, (_OPEN, "GPU", "none usable: device=auto means cpu; preset=quick is made for that")]
    names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return [*rows, *((_OK, f"cuda:{number}", name) for number, name in enumerate(names))]


def _writable(what: str, folder: Path) -> Finding:
    """Try it: write a file there and remove it again, without leaving a new folder behind."""
    existing = next(parent for parent in [folder.absolute(), *folder.absolute().parents] if parent.is_dir())
    probe = existing / f".f2vbench-{os.getpid()}"
    try:
        write_atomically(probe, b"")
        probe.unlink()
    except F2VBenchError as error:
        return (_MISSING, what, f"{folder.absolute()}: not writable ({error.__cause__})")
    return (_OK, what, f"{folder.absolute()}{'' if folder.is_dir() else ' (made when needed)'}")


def _hub() -> Finding:
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_OFFLINE:
        return (_OPEN, "Hugging Face Hub", "HF_HUB_OFFLINE is set: only weights already on this machine are used")
    if get_token() is None:
        return (
            _OPEN,
            "Hugging Face Hub",
            "not logged in; open weights load all the same, gated ones need `hf auth login`",
        )
    return (_OK, "Hugging Face Hub", "a login token is there")


def _shipped_weights() -> list[Finding]:
    rows: list[Finding] = []
    none = [family for family in trainable_families() if default_card(family) is None]
    if none:
        advice = "no weights of their own here: train one (f2vbench train), give weights=path, or name it :untrained"
        rows.append((_OPEN, ", ".join(none), advice))
    for name in weights_cards():
        try:
            card = weights_card(name)
        except WeightsError as error:
            rows.append((_MISSING, name, f"damaged card: {error}"))
            continue
        try:
            rows.append((_OK, name, str(find_weights(card)) + (f", of {card.used_for}" if card.family else "")))
        except WeightsError as error:
            rows.append((_OPEN if card.kind == "download" else _MISSING, name, f"for {card.used_for}: {error}"))
    return rows


def _data() -> list[Finding]:
    root = os.environ.get("F2VBENCH_DATA")
    rows: list[Finding] = [
        (_OK, "data root (F2VBENCH_DATA)", root)
        if root and Path(root).is_dir()
        else (
            _OPEN,
            "data root (F2VBENCH_DATA)",
            f"{root}: no such folder" if root else "not set; data=folder works as well",
        )
    ]
    for name, card in all_cards().items():
        if isinstance(card, F2VBenchError):
            rows.append((_MISSING, name, f"damaged card: {card}"))
            continue
        try:
            rows.append((_OK, name, str(find_folder(card, None))))
        except F2VBenchError:
            found = "not found; " if card.phantom is None else ""
            rows.append((_OPEN, name, found + " ".join(card.obtain.split())))
    return rows
