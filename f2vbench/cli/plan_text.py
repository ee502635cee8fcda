"""A plan in words: what a run is about, and what it will take."""

from __future__ import annotations

from textwrap import fill

from f2vbench.adapters.registry import adapter_for
from f2vbench.runner.estimate import Estimate
from f2vbench.runner.plan import Plan
from f2vbench.utils.system import has_gpu
from f2vbench.utils.text import duration, layout

_UNKNOWN = "time unknown: nothing like it was run here yet (see f2vbench plan)"


def head(plan: Plan) -> str:
    """Folder, data, and what is special about this run, a line each."""
    state = "" if plan.folder.exists() else " (new)"
    lines = [f"run folder: {plan.folder.path}{state}"]
    for name, task in plan.tasks.items():
        index = task.index
        lines.append(f"{name}: {len(index)} images of {index.patient.nunique()} patients in {task.folder}")
        lines.append(f"{name}: labels: {task.card.labels}")
    lines += plan.notes
    lines += [f"left out: {reason}" for reason in plan.left_out]
    untrained = [name for name, spec in plan.models.items() if spec.weights == "untrained"]
    if untrained:
        lines.append(f"untrained, random weights and not models: {', '.join(untrained)}")
    return "\n".join(fill(line, 118, subsequent_indent="  ", break_on_hyphens=False) for line in lines) + "\n"


def ahead(plan: Plan, found: Estimate | None) -> str:
    """What is still to run and for how long, and a warning where that takes a GPU that is not there.

    Args:
        found: None where the time is not known without a rehearsal.
    """
    known = f"about {time_and_disk(found)}" if found else _UNKNOWN
    lines = [f"{len(plan.missing)} of {len(plan.units)} units to run, {known}"]
    learning = any(
        adapter_for(plan.tasks[unit.task].card.family).slow_on_cpu
        and plan.models[unit.encoder].uses_torch
        and unit.protocol != "zero-shot"
        for unit in plan.missing
    )
    if learning and plan.settings.preset == "paper" and not has_gpu():
        lines.append("no GPU here: with preset=paper this can take days; preset=quick is made for a CPU")
    return "\n".join(lines)


def costs(plan: Plan, found: Estimate | None) -> str:
    """A table of the models with what is done, what is missing and how long it takes, and the sum.

    Args:
        found: None where nothing is missing.
    """
    rows = []
    for name, spec in plan.models.items():
        units = [unit for unit in plan.units if unit.encoder == name]
        missing = sum(unit.name not in plan.done for unit in units)
        cost = found.models.get(name) if found else None
        rows.append(
            [
                name,
                "baseline" if spec.is_baseline else spec.weights_label,
                str(len(units)),
                str(len(units) - missing),
                str(missing),
                f"{cost.stored} of {cost.images}" if cost and cost.images else "–",
                duration(cost.seconds) if cost else "–",
                cost.source if cost else "–",
            ]
        )
    header = ["model", "weights", "units", "done", "missing", "features stored", "time of one worker", "estimated from"]
    total = f"\n{len(plan.units)} units: {len(plan.units) - len(plan.missing)} done, {len(plan.missing)} missing"
    return layout(header, rows) + "\n" + total + (f"; about {time_and_disk(found)}" if found else "")


def time_and_disk(found: Estimate) -> str:
    """``12 min with 2 workers and 0.3 GB of disk``"""
    noun = "worker" if found.workers == 1 else "workers"
    return f"{duration(found.seconds)} with {found.workers} {noun} and {found.disk_bytes / 1e9:.1f} GB of disk"
