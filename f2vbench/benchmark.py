"""The programmatic face of f2vbench: `Benchmark` plans and runs, and gives `Results`."""

from __future__ import annotations

from typing import Any

import pandas as pd

from f2vbench.config.parsing import build
from f2vbench.config.run import RunSettings
from f2vbench.data.duplicates import count_duplicates
from f2vbench.data.episodes import Episode
from f2vbench.results import Results
from f2vbench.runner.context import Context
from f2vbench.runner.costs import record_costs
from f2vbench.runner.estimate import Estimate, estimate, learn_rates
from f2vbench.runner.executor import execute
from f2vbench.runner.plan import Plan, make_plan
from f2vbench.runner.work_items import items_of, workers
from f2vbench.runner.worker import Extract, Item, Solve
from f2vbench.store.record_schema import CallRecord
from f2vbench.utils.progress import Progress, Silent, for_this_terminal
from f2vbench.utils.system import machine, software


class Benchmark:
    """A grid of encoders × tasks × protocols × shots × seeds.

    Takes the keys of `f2vbench run` as keyword arguments, or ready settings:

        bench = Benchmark(task="rite", model=["fundus2video:untrained", "timm:resnet18"], shots=[1, 2, 4], seeds=5)
        bench.plan()
        results = bench.run()

    Raises:
        SettingsError: all problems of the arguments at once.
    """

    def __init__(self, settings: RunSettings | None = None, **words: Any):
        self.settings = settings if settings is not None else build(RunSettings, words)
        self._plan: Plan | None = None

    def plan(self) -> pd.DataFrame:
        """One row a (model, task, protocol, shots): ``units``, ``done``, ``missing``.

        Raises:
            F2VBenchError: the data, a model or the run folder can't be used; nothing has been written.
        """
        plan = self.make_plan()
        rows = [
            {
                "model": unit.encoder,
                "task": unit.task,
                "protocol": unit.protocol,
                "shots": unit.shots,
                "done": unit.name in plan.done,
            }
            for unit in plan.units
        ]
        grouped = pd.DataFrame(rows).groupby(["model", "task", "protocol", "shots"], dropna=False, sort=False).done
        table = grouped.agg(units="size", done="sum").reset_index()
        table["shots"] = table.shots.astype("Int64")
        return table.assign(missing=table.units - table.done)

    def make_plan(self, progress: Progress | None = None) -> Plan:
        """The plan as it stands in the run folder now.

        Args:
            progress: told of while simulated data are made, on their first use.
        """
        self._plan = make_plan(self.settings, progress)
        return self._plan

    def estimate(self, progress: Progress | None = None, rehearse: bool = True) -> Estimate | None:
        """Time and disk that the missing units will take.

        Args:
            rehearse: time kinds of work that were never done on this machine, briefly; else None is returned
                when there are such.
        """
        plan = self._plan or self.make_plan()
        return estimate(plan, _context(plan), (progress or Silent()).note, rehearse)

    def run(self, progress: Progress | None = None) -> Results:
        """Do what is missing, and load the results of the whole folder.

        Can be interrupted and killed at any moment; the next call goes on from the last finished unit.

        Args:
            progress: by default a bar on a terminal and plain lines elsewhere.
        """
        progress = progress or for_this_terminal()
        plan = self.make_plan(progress)
        plan.folder.open_for_writing()
        context = _context(plan)
        units = plan.missing
        if units:
            plan.folder.log_call(_call(self.settings, plan))
            try:
                self._work(plan, items_of(units, context), context, progress)
            finally:
                progress.end()
        for note in plan.folder.set_aside:
            progress.note(note)
        results = Results.load(plan.folder.path, progress=progress)
        results.to_csv(plan.folder.path / "results.csv")
        return results

    def results(self) -> Results:
        """The results in the run folder, whole or unfinished."""
        return Results.load(self.settings.folder())

    def _work(self, plan: Plan, items: list[Item], context: Context, progress: Progress) -> None:
        encoding = to_encode = sum(isinstance(item, Extract) for item in items)
        elsewhere = 0
        if not encoding:
            record_costs(plan, context)
        if encoding:
            progress.begin("preparing photographs, groups of up to 8", encoding)
        phase = "encoding" if encoding else ""
        for item, outcome in execute(context, items, workers(self.settings)):
            for note in outcome.notes:
                progress.note(note)
            learn_rates(context, item, outcome)
            if isinstance(item, Extract):
                to_encode -= 1
                if not to_encode:
                    record_costs(plan, context)
            if not isinstance(item, Extract) and phase != "units":
                phase = "units"
                progress.begin("units", sum(len(each.units) for each in items if isinstance(each, Solve)))
            if isinstance(item, Extract) == (phase == "encoding"):
                for label in [item.label] if isinstance(item, Extract) else [unit.label for unit in item.units]:
                    progress.advance(label)
            elsewhere += outcome.elsewhere
        if elsewhere:
            progress.note(f"{elsewhere} units are in the hands of another process; run again to see them")


def _context(plan: Plan) -> Context:
    parts = {part.name: part for spec in plan.models.values() for part in spec.parts}
    return Context(plan.settings, plan.tasks, parts | plan.models, plan.folder.path, plan.weights)


def _episodes(plan: Plan, task: str) -> list[Episode]:
    places = dict.fromkeys((unit.protocol, unit.shots, unit.seed) for unit in plan.units if unit.task == task)
    return [plan.tasks[task].episode(*place) for place in places]


def _call(settings: RunSettings, plan: Plan) -> CallRecord:
    return {
        "settings": settings.model_dump(mode="json"),
        "models": {name: spec.identity() for name, spec in plan.models.items()},
        "data": {
            name: {
                "folder": str(task.folder),
                "fingerprint": task.fingerprint,
                "images": len(task.index),
                "patients": task.index.patient.nunique(),
                "card": task.card.model_dump(mode="json"),
                "notes": task.notes,
                "doubles": count_duplicates(task.index, _episodes(plan, name)).as_record(),
            }
            for name, task in plan.tasks.items()
        },
        "left_out": plan.left_out,
        "software": software(),
        "machine": machine(),
    }
