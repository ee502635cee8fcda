"""`Benchmark`: plans and runs a benchmark from Python."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING, Any

import pandas as pd

from f2vbench.config.parsing import build
from f2vbench.config.run import RunSettings
from f2vbench.data.duplicates import count_duplicates
from f2vbench.data.episodes import Episode
from f2vbench.loggers.open_loggers import check_loggers, open_loggers
from f2vbench.results import Results
from f2vbench.runner.context import Context
from f2vbench.runner.costs import record_costs
from f2vbench.runner.engines.base import Engine
from f2vbench.runner.engines.open_engine import check_installed, open_engine
from f2vbench.runner.estimate import Estimate, estimate_cost, store_item_rates
from f2vbench.runner.plan import Plan, make_plan
from f2vbench.runner.scheduling import make_work_items
from f2vbench.runner.work_items import Phase, PhaseProgress
from f2vbench.store.record_schema import CallRecord, PlannedUnits
from f2vbench.utils.progress import Lines, Progress, Silent, for_this_terminal
from f2vbench.utils.system import machine, software

if TYPE_CHECKING:
    from f2vbench.runner.engines.slurm import ArrayJob


class Benchmark:
    """A grid of encoders × tasks × protocols × shots × seeds.

    Takes the keys of `f2vbench run` as keyword arguments, or a settings object::

        bench = Benchmark(task="rite", model=["fundus2video:untrained", "timm:resnet18"], shots=[1, 2, 4], seeds=5)
        bench.plan()
        results = bench.run()

    Args:
        settings: Settings of the run; replaces all keyword arguments.
        **arguments: Keys of `f2vbench run`.

    Raises:
        SettingsError: Arguments are invalid; lists all problems.
    """

    def __init__(self, settings: RunSettings | None = None, **arguments: Any):
        self.settings = settings if settings is not None else build(RunSettings, arguments)
        self._plan: Plan | None = None

    def __repr__(self) -> str:
        settings = self.settings
        names = [f"{key}={','.join(values)}" for key, values in (("task", settings.task), ("model", settings.model))]
        return f"<Benchmark: {' '.join(names)} seeds={len(settings.seeds)} out={settings.folder()}>"

    def __len__(self) -> int:
        """Number of units that the settings ask for, done or missing.

        Raises:
            F2VBenchError: The data, a model or the run folder is unusable.
        """
        return len((self._plan or self.make_plan()).requested)

    def __bool__(self) -> bool:
        """True, without planning."""
        return True

    def _repr_html_(self) -> str:
        """Settings, and the units once they are planned, for notebooks."""
        title = f"<p>{escape(repr(self)[1:-1])}</p>"
        return title if self._plan is None else title + self._table(self._plan).to_html(index=False, na_rep="–")

    def plan(self) -> pd.DataFrame:
        """Count the units that are done and missing.

        Returns:
            One row per model, task, protocol and shots, with the columns ``units``, ``done`` and ``missing``.

        Raises:
            F2VBenchError: The data, a model or the run folder is unusable. Nothing is written.
        """
        return self._table(self.make_plan())

    @staticmethod
    def _table(plan: Plan) -> pd.DataFrame:
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
        """Plan the run from the present state of the run folder.

        Args:
            progress: Receives messages while simulated data is generated.

        Raises:
            F2VBenchError: The data, a model or the run folder is unusable. Nothing is written.
        """
        self._plan = make_plan(self.settings, progress)
        return self._plan

    def estimate(self, progress: Progress | None = None, rehearsal_seconds: float = math.inf) -> Estimate:
        """Estimate time and disk of the missing units.

        Args:
            progress: Receives a message before each rehearsal.
            rehearsal_seconds: Kinds of work that were never done on this machine are timed by a short rehearsal; none
                starts after this time, and ``unknown`` counts the units that are not included.
        """
        plan = self._plan or self.make_plan()
        return estimate_cost(plan, _make_context(plan), (progress or Silent()).note, rehearsal_seconds)

    def run(self, progress: Progress | None = None, *, whole_folder: bool = False) -> Results:
        """Run the missing units, and load the results.

        The run can be interrupted or killed at any time. The next call continues after the last completed unit. With
        ``engine=slurm`` it waits for the tasks of the array job, and runs what they left out on this machine.

        Args:
            progress: Receives the progress; by default a bar on a terminal, and lines elsewhere.
            whole_folder: Return also the results of units that earlier calls left in the run folder and that these
                settings do not ask for.

        Returns:
            Results of the units that the settings ask for, those of other shards included. ``results.csv`` in the run
            folder has all units of the folder.

        Raises:
            F2VBenchError: The data, a model or the run folder is unusable, a worker process died, or a run logger can't
                be used; results are stored then.
        """
        progress = progress or for_this_terminal()
        check_loggers(self.settings.log)
        if self.settings.engine == "slurm":
            self.submit(progress).wait()
        engine = open_engine(self.settings, progress.note)
        plan = self.make_plan(progress)
        plan.folder.open_for_writing()
        if plan.missing:
            plan.folder.log_call(_call_record(self.settings, plan))
            try:
                self._run_missing(plan, engine, progress)
            finally:
                progress.end()
        for note in plan.folder.set_aside:
            progress.note(note)
        results = Results.load(plan.folder.path, progress=progress)
        results.to_csv(plan.folder.path / "results.csv")
        requested = results.select_units({unit.fingerprint for unit in plan.requested})
        _log_means(self.settings, requested)
        return results if whole_folder else requested

    def submit(self, progress: Progress | None = None) -> ArrayJob:
        """Submit the missing units as an array job of Slurm; ``engine=slurm``.

        Args:
            progress: Receives messages while simulated data is generated.

        Returns:
            The submitted job: ``print(job.text)``, ``job.wait()``.

        Raises:
            F2VBenchError: The data, a model or the run folder is unusable, or Slurm refuses the job.
        """
        check_installed("submitit", "engine=slurm")
        from f2vbench.runner.engines.slurm import submit

        plan = self.make_plan(progress)
        plan.folder.open_for_writing()
        return submit(self.settings, len(plan.missing), _run_shard)

    def results(self) -> Results:
        """Load the results of all units in the run folder, complete or not.

        Raises:
            StoreError: The folder is no run folder, or has no completed unit.
        """
        return Results.load(self.settings.folder())

    def _run_missing(self, plan: Plan, engine: Engine, progress: Progress) -> None:
        context = _make_context(plan)
        items = make_work_items(plan.missing, context)
        phases = PhaseProgress(items, progress)
        to_encode = sum(item.phase is Phase.ENCODE for item in items)
        if not to_encode:
            record_costs(plan, context, progress.note)
        claimed_elsewhere = 0
        for item, outcome in engine.execute(context, items, phases.step):
            for note in outcome.notes:
                progress.note(note)
            store_item_rates(context, item, outcome)
            claimed_elsewhere += outcome.claimed_elsewhere
            if item.phase is Phase.ENCODE:
                to_encode -= 1
                if not to_encode:
                    record_costs(plan, context, progress.note)
            phases.advance(item)
        if claimed_elsewhere:
            progress.note(f"Another process works on {claimed_elsewhere} units; run again later to include them.")


def _run_shard(settings: RunSettings) -> None:
    """Run the missing units of one task of an array job."""
    Benchmark(settings).run(Lines())


def _log_means(settings: RunSettings, results: Results) -> None:
    """Send the settings and the means over seeds to the run loggers.

    A value is named ``task/protocol/model/metric``; its step is the number of support images, so that few-shot results
    are a curve. Zero-shot and supervised values have step 0.
    """
    if not settings.log:
        return
    frame = results.frame[results.frame.value.notna()]
    means = frame.groupby([frame.shots.fillna(0).astype(int), "task", "protocol", "encoder", "metric"]).value.mean()
    by_step: dict[int, dict[str, float]] = {}
    for (step, *names), value in means.items():
        by_step.setdefault(int(step), {})["/".join(map(str, names))] = float(value)
    first = min(by_step, default=0)
    given = settings.model_dump(mode="json", exclude={"log", "dry_run"})
    for logger in open_loggers(settings.log, settings.folder(), given, first):
        for step, values in sorted(by_step.items()):
            logger.log(values, step)
        logger.close()


def _make_context(plan: Plan) -> Context:
    parts = {part.name: part for spec in plan.models.values() for part in spec.parts}
    return Context(plan.settings, plan.tasks, parts | plan.models, plan.folder.path, plan.weights)


def _episodes(plan: Plan, task: str) -> list[Episode]:
    """Episodes of the units of a task, each once."""
    draws = dict.fromkeys((unit.protocol, unit.shots, unit.seed) for unit in plan.units if unit.task == task)
    return [plan.tasks[task].episode(*draw) for draw in draws]


def _planned_units(plan: Plan) -> list[PlannedUnits]:
    """The units that a call asks for, one entry per model and condition."""
    seeds: dict[tuple[str, str, str, int | None], list[int]] = {}
    for unit in plan.requested:
        seeds.setdefault((unit.encoder, unit.task, unit.protocol, unit.shots), []).append(unit.seed)
    return [
        {"encoder": encoder, "task": task, "protocol": protocol, "shots": shots, "seeds": own}
        for (encoder, task, protocol, shots), own in seeds.items()
    ]


def _call_record(settings: RunSettings, plan: Plan) -> CallRecord:
    return {
        "settings": settings.model_dump(mode="json", exclude={"log"}),
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
        "planned": _planned_units(plan),
        "software": software(),
        "machine": machine(),
    }
