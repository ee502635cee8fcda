"""Checks of the installation: versions, machine, folders, weights and data sets."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, NamedTuple

from f2vbench.config.parsing import build
from f2vbench.config.run import RunSettings
from f2vbench.data.index import find_folder
from f2vbench.data.task_cards import all_cards
from f2vbench.encoders.registry import trainable_families
from f2vbench.errors import F2VBenchError, WeightsError
from f2vbench.pretrained.weights_cards import default_card, weights_card, weights_cards
from f2vbench.pretrained.weights_files import find_weights
from f2vbench.runner.scheduling import worker_count
from f2vbench.utils.files import cache_folder, write_atomically
from f2vbench.utils.system import cores, machine, memory_bytes, software

Status = Literal["ok", "!!", "–"]
"""``ok``, ``!!`` (has to be fixed) or ``–`` (optional)."""


class Finding(NamedTuple):
    """Result of one check."""

    status: Status
    item: str
    found: str


def examine(out: Path) -> list[tuple[str, list[Finding]]]:
    """Check the installation.

    Args:
        out: Folder for run folders.

    Returns:
        Titles and findings.
    """
    return [
        ("Versions", _check_versions()),
        ("Machine", _check_machine()),
        (
            "Folders",
            [_check_folder("run folders (out=)", out), _check_folder("cache (F2VBENCH_CACHE)", cache_folder())],
        ),
        ("Weights", [_check_hub(), *_check_weights()]),
        ("Data sets", _check_data()),
    ]


def _check_versions() -> list[Finding]:
    versions = software()
    git = f", git {versions['git'][:12]}" if versions["git"] else ""
    findings = [
        Finding("ok", "f2vbench", versions["f2vbench"] + git),
        Finding("ok", "python", versions["python"]),
    ]
    for library, version in versions["libraries"].items():
        if version == "absent":
            findings.append(Finding("!!", library, "not installed: pip install f2vbench again"))
        else:
            findings.append(Finding("ok", library, version))
    return findings


def _check_machine() -> list[Finding]:
    memory = memory_bytes()
    default_workers = worker_count(build(RunSettings, {"task": "any"}))
    findings = [
        Finding("ok", "system", machine()["system"]),
        Finding("ok", "processor", f"{machine()['processor']}, {cores()} usable cores"),
        Finding("ok", "workers", f"{default_workers} by default, with 1 thread each (jobs=, threads=)"),
        Finding("ok", "memory", f"{memory / 2**30:.0f} GiB" if memory else "unknown"),
    ]
    try:
        import torch
    except (ImportError, OSError) as error:
        return [*findings, Finding("!!", "torch", f"can't be imported ({error}): pip install f2vbench again")]
    if not torch.cuda.is_available():
        return [*findings, Finding("–", "GPU", "none usable: device=auto means cpu; preset=quick is made for a CPU")]
    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return [*findings, *(Finding("ok", f"cuda:{number}", name) for number, name in enumerate(gpus))]


def _check_folder(item: str, folder: Path) -> Finding:
    """Write a file to a folder, or to its nearest existing parent, and remove it."""
    existing = next(parent for parent in [folder.absolute(), *folder.absolute().parents] if parent.is_dir())
    test_file = existing / f".f2vbench-{os.getpid()}"
    try:
        write_atomically(test_file, b"")
        test_file.unlink()
    except F2VBenchError as error:
        return Finding("!!", item, f"{folder.absolute()}: not writable ({error.__cause__})")
    return Finding("ok", item, f"{folder.absolute()}{'' if folder.is_dir() else ' (created when needed)'}")


def _check_hub() -> Finding:
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_OFFLINE:
        return Finding("–", "Hugging Face Hub", "HF_HUB_OFFLINE is set: only weights on this machine are used")
    if get_token() is None:
        return Finding("–", "Hugging Face Hub", "not logged in; only gated weights need `hf auth login`")
    return Finding("ok", "Hugging Face Hub", "login token found")


def _check_weights() -> list[Finding]:
    findings: list[Finding] = []
    without_weights = [family for family in trainable_families() if default_card(family) is None]
    if without_weights:
        advice = "no default weights: train them (f2vbench train), or use weights=path or :untrained"
        findings.append(Finding("–", ", ".join(without_weights), advice))
    for name in weights_cards():
        try:
            card = weights_card(name)
        except WeightsError as error:
            findings.append(Finding("!!", name, f"damaged card: {error}"))
            continue
        try:
            model = f", of {card.used_for}" if card.family else ""
            findings.append(Finding("ok", name, f"{find_weights(card)}{model}"))
        except WeightsError as error:
            findings.append(Finding("–" if card.kind == "download" else "!!", name, f"for {card.used_for}: {error}"))
    return findings


def _check_data() -> list[Finding]:
    item, root = "data root (F2VBENCH_DATA)", os.environ.get("F2VBENCH_DATA")
    if root and Path(root).is_dir():
        findings = [Finding("ok", item, root)]
    else:
        findings = [Finding("–", item, f"{root}: no such folder" if root else "not set; data=folder works as well")]
    for name, card in all_cards().items():
        if isinstance(card, F2VBenchError):
            findings.append(Finding("!!", name, f"damaged card: {card}"))
            continue
        try:
            findings.append(Finding("ok", name, str(find_folder(card, None))))
        except F2VBenchError:
            prefix = "not found; " if card.phantom is None else ""
            findings.append(Finding("–", name, prefix + " ".join(card.obtain.split())))
    return findings
