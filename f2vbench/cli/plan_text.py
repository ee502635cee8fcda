"""A plan as text for the terminal: its data and models, the missing units, and their cost."""

from __future__ import annotations

from textwrap import fill

from f2vbench.adapters.registry import adapter_for
from f2vbench.runner.estimate import Estimate
from f2vbench.runner.plan import Plan
from f2vbench.runner.work_items import Extract
from f2vbench.runner.worker_times import time_on_workers
from f2vbench.utils.system import has_gpu
from f2vbench.utils.text import duration, layout, plural

_WORKER_COUNTS = (1, 4, 16, 64)
_PARTS = {
    "encoding": "encoding",
    "reading": "reading and preparing images and features",
    "training": "training of heads",
    "testing": "predictions and metrics",
}


def plan_header(plan: Plan) -> str:
    """Run folder, data, notes, and combinations that are left out, one paragraph each."""
    new = "" if plan.folder.exists() else " (new)"
    lines = [f"run folder: {plan.folder.path}{new}"]
    for name, task in plan.tasks.items():
        index = task.index
        lines.append(f"{name}: {len(index)} images of {index.patient.nunique()} patients in {task.folder}")
        lines.append(f"{name}: labels: {task.card.labels}")
    lines += plan.notes
    lines += [f"skipped: {reason}" for reason in plan.left_out]
    untrained = [name for name, spec in plan.models.items() if spec.weights == "untrained"]
    if untrained:
        lines.append(f"untrained (random weights): {', '.join(untrained)}")
    return "\n".join(fill(line, 118, subsequent_indent="  ", break_on_hyphens=False) for line in lines) + "\n"


def remaining_text(plan: Plan, estimate: Estimate) -> str:
    """Number and cost of the missing units, and a warning where they would need a GPU.

    Args:
        plan: The plan.
        estimate: The estimate.
    """
    cost = f"about {_cost_text(estimate)}"
    if estimate.unknown:
        cost += f", without {plural(estimate.unknown, 'unit')} of kinds that were not timed (f2vbench plan times them)"
    lines = [f"{len(plan.missing)} of {len(plan.units)} units to run, {cost}"]
    slow = any(
        adapter_for(plan.tasks[unit.task].card.family).slow_on_cpu
        and plan.models[unit.encoder].uses_torch
        and unit.protocol != "zero-shot"
        for unit in plan.missing
    )
    if slow and plan.settings.preset != "quick" and not has_gpu():
        lines.append(f"no GPU on this machine: preset={plan.settings.preset} can take days; use preset=quick on a CPU")
    return "\n".join(lines)


def plan_table(plan: Plan, estimate: Estimate | None) -> str:
    """Table of the models with done and missing units and their cost, and the totals.

    Args:
        plan: The plan.
        estimate: The estimate; None where no unit is missing.
    """
    rows = []
    for name, spec in plan.models.items():
        units = [unit for unit in plan.units if unit.encoder == name]
        missing = sum(unit.name not in plan.done for unit in units)
        cost = estimate.models.get(name) if estimate else None
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
    if estimate:
        total += f"; about {_cost_text(estimate)}\n\n{worker_times_text(estimate)}"
    return layout(header, rows) + "\n" + total


def worker_times_text(estimate: Estimate) -> str:
    """Expected time on 1, 4, 16 and 64 workers, the longest work item, and the share of each part of the work.

    Args:
        estimate: The estimate.
    """
    times = ", ".join(f"{count}: {duration(time_on_workers(estimate.items, count))}" for count in _WORKER_COUNTS)
    longest = max(estimate.items, key=lambda each: each.seconds)
    item = longest.item
    size = plural(len(item.images), "image") if isinstance(item, Extract) else plural(len(item.units), "unit")
    shares = {
        _PARTS[part]: seconds / estimate.parts.seconds if estimate.parts.seconds else 0.0
        for part, seconds in vars(estimate.parts).items()
    }
    parts = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    lines = [
        f"expected time on n workers as fast as this machine's, n: time = {times}",
        f"no less than the longest work item, {duration(longest.seconds)}: {item.labels[0]} ({size})",
        f"work: {parts}; most of it is {max(shares, key=lambda name: shares[name])}",
    ]
    return "\n".join(fill(line, 118, subsequent_indent="  ", break_on_hyphens=False) for line in lines)


def _cost_text(estimate: Estimate) -> str:
    """``12 min with 2 workers and 0.3 GB of disk``."""
    noun = "worker" if estimate.workers == 1 else "workers"
    return f"{duration(estimate.seconds)} with {estimate.workers} {noun} and {estimate.disk_bytes / 1e9:.1f} GB of disk"
