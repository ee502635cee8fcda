"""Checks of the installation: versions, machine, folders, weights and data sets."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import Literal, NamedTuple

from f2vbench.cli.settings import DoctorSettings
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
from f2vbench.utils.text import layout, plural

Status = Literal["ok", "!!", "–"]
"""``ok``, ``!!`` (has to be fixed) or ``–`` (optional)."""
_WRAP = 84
_ROOT = "data root (F2VBENCH_DATA)"
_HUB = "Hugging Face Hub"
_NO_ITEMS = (_ROOT, _HUB)  # findings that are no weights and no data set


class Finding(NamedTuple):
    """Result of one check."""

    status: Status
    item: str
    found: str


def diagnosis(settings: DoctorSettings) -> str:
    """The output of `f2vbench doctor`.

    Args:
        settings: Its keys.

    Returns:
        A summary and what has to be fixed, all checks with ``details=yes``, or all checks as JSON.
    """
    sections = examine(settings.out)
    if settings.format == "json":
        checks = [{"section": title, **finding._asdict()} for title, findings in sections for finding in findings]
        return json.dumps(checks, indent=1, ensure_ascii=False)
    if settings.details:
        tables = [f"{title}\n{layout(['', 'item', 'found'], findings, wrap=_WRAP)}" for title, findings in sections]
        return "\n\n".join([_summary(sections), *tables])
    problems = [finding for _, findings in sections for finding in findings if finding.status == "!!"]
    parts = [_summary(sections)]
    if problems:
        parts.append(f"To fix\n{layout(['', 'item', 'found'], problems, wrap=_WRAP)}")
    parts.append("every check, and how to get missing weights and data: f2vbench doctor details=yes")
    return "\n\n".join(parts)


def _summary(sections: Sequence[tuple[str, list[Finding]]]) -> str:
    """Problems, machine, folders, and the weights and data sets that are and are not on this machine."""
    by_title = dict(sections)
    found = {finding.item: finding.found for findings in by_title.values() for finding in findings}
    count = sum(finding.status == "!!" for findings in by_title.values() for finding in findings)
    lines = [
        f"{plural(count, 'problem')} to fix" if count else "no problem found",
        f"f2vbench {found['f2vbench']}, Python {found['python']}, torch {found.get('torch', '–')}",
        f"{found['processor']}, memory {found['memory']}, GPU: {_gpus(by_title['Machine'])}",
        *(f"{finding.item}: {finding.found}" for finding in by_title["Folders"]),
    ]
    for title, what in (("Weights", "weights cards"), ("Data sets", "data sets")):
        items = [finding for finding in by_title[title] if finding.item not in _NO_ITEMS]
        here = [finding.item for finding in items if finding.status == "ok"]
        text = f"{title.lower()}: {len(here)} of {len(items)} {what} on this machine"
        lines += [fill(f"{text}: {', '.join(here)}" if here else text, 116, subsequent_indent="  ")]
    return "\n".join(lines)


def _gpus(machine: Sequence[Finding]) -> str:
    names = [finding.found for finding in machine if finding.item.startswith("cuda")]
    return ", ".join(names) or "none"


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
        return Finding("–", _HUB, "HF_HUB_OFFLINE is set: only weights on this machine are used")
    if get_token() is None:
        return Finding("–", _HUB, "not logged in; only gated weights need `hf auth login`")
    return Finding("ok", _HUB, "login token found")


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
            findings.append(Finding("!!" if card.kind == "shipped" else "–", name, f"for {card.used_for}: {error}"))
    return findings


def _check_data() -> list[Finding]:
    item, root = _ROOT, os.environ.get("F2VBENCH_DATA")
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
