"""The plan of a run: the grid expanded to units, each with a fingerprint, sorted into done and missing.

Nothing here imports torch: a finished run is planned and reported without it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from f2vbench.adapters.registry import ADAPTERS, adapter_for
from f2vbench.adapters.unit import Unit
from f2vbench.config.run import RunSettings
from f2vbench.data.task_cards import TaskCard
from f2vbench.data.task_data import TaskData
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.registry import baseline_names
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import DataError, F2VBenchError, SettingsError, did_you_mean
from f2vbench.runner.open_tasks import open_tasks, read_cards
from f2vbench.runner.resume import done_units, identity_of
from f2vbench.store.runs import RunFolder
from f2vbench.utils.files import canonical_json, sha256
from f2vbench.utils.progress import Progress


@dataclass(frozen=True)
class Plan:
    """Everything a run needs to know before it starts.

    Attributes:
        units: of this call, after sharding.
        done: names of the units whose records are in the folder.
        left_out: (model, protocol) pairs that make no sense, with the reason.
        notes: what the user should know about data and settings.
        weights: model → SHA-256 of the tensors of its units in the folder.
    """

    settings: RunSettings
    tasks: dict[str, TaskData]
    models: dict[str, ModelSpec]
    units: list[Unit]
    done: frozenset[str]
    left_out: list[str]
    notes: list[str]
    folder: RunFolder
    weights: dict[str, str]

    @property
    def missing(self) -> list[Unit]:
        return [unit for unit in self.units if unit.name not in self.done]


def make_plan(settings: RunSettings, progress: Progress | None = None) -> Plan:
    """Read the cards and the data, expand the grid, and see what is done.

    Args:
        progress: told of while simulated data are made, on their first use.

    Raises:
        SettingsError, DataError, WeightsError: all unusable tasks and models together.
        StoreError: the run folder holds units of other data, settings or weights.
    """
    problems: list[str] = []
    cards = read_cards(settings, problems)
    models = _models(settings, cards, problems)
    tasks = open_tasks(settings, cards, problems, progress)
    if problems:
        raise SettingsError(problems)
    left_out: list[str] = []
    units = _expand(settings, tasks, models, left_out)
    left_out = list(dict.fromkeys(left_out))  # a protocol comes with several numbers of shots
    _refuse_unfit(units, tasks, models)
    if not units:
        raise SettingsError(["nothing to run:", *left_out] if left_out else "nothing to run: no unit in the grid")
    for unit in units:  # refuses too few images before anything is computed
        tasks[unit.task].episode(unit.protocol, unit.shots, unit.seed)
    folder = RunFolder(settings.folder())
    done, weights = done_units(folder, units)
    position = settings.shard_position()
    mine = units if position is None else units[position[0] - 1 :: position[1]]
    notes = [f"preset {settings.preset}: {change}" for change in settings.preset_changes()]
    for family in dict.fromkeys(task.card.family for task in tasks.values()):
        solved = [(models[unit.encoder], unit.protocol) for unit in mine if tasks[unit.task].card.family == family]
        notes += adapter_for(family).notes(solved, settings)
    notes += [f"{name}: {note}" for name, task in tasks.items() for note in task.notes]
    return Plan(settings, tasks, models, mine, frozenset(done), left_out, notes, folder, weights)


def _baselines(settings: RunSettings, cards: list[TaskCard], problems: list[str]) -> list[str]:
    """Names of the baselines asked for; all is those of the tasks' families."""
    families = dict.fromkeys(card.family for card in cards) or ADAPTERS
    known = list(dict.fromkeys(name for family in families for name in baseline_names(family)))
    if settings.baselines in (["all"], ["none"]):
        return known if settings.baselines == ["all"] else []
    for name in settings.baselines:
        if name not in known:
            hint = did_you_mean(name, known)
            problems.append(f"baselines={name}: no such baseline; there are {', '.join(known)}, and all or none{hint}")
    return [name for name in settings.baselines if name in known]


def _models(settings: RunSettings, cards: list[TaskCard], problems: list[str]) -> dict[str, ModelSpec]:
    baselines = _baselines(settings, cards, problems)
    models: dict[str, ModelSpec] = {}
    for place, text in enumerate([*settings.model, *baselines]):
        try:
            spec = parse_model(text, settings.weights, settings.cut)
        except F2VBenchError as error:
            problems.extend(error.problems)
            continue
        if spec.name in models:
            if place >= len(settings.model):
                continue  # a baseline that is among the models as well
            problems.append(
                f"model={text}: two models would both be called '{spec.name}'; leave one out, or rename its file"
            )
        models[spec.name] = spec
    named: dict[str, ModelSpec] = {}
    for spec in [alone for model in models.values() for alone in model.parts or (model,)]:
        if named.setdefault(spec.name, spec) != spec:
            problems.append(f"two different models would both be called '{spec.name}'; rename the file of one")
    if isinstance(settings.weights, str):
        users = [spec.name for spec in named.values() if spec.weights == str(Path(settings.weights).absolute())]
        if len(users) > 1:
            problems.append(
                f"weights={settings.weights} would serve {', '.join(users)}: say whose they are with weights.<model>=…"
            )
    return models


def _expand(
    settings: RunSettings, tasks: dict[str, TaskData], models: dict[str, ModelSpec], left_out: list[str]
) -> list[Unit]:
    units = []
    for task in tasks.values():
        adapter = adapter_for(task.card.family)
        places = adapter.conditions(settings)
        if not places:
            left_out.append(f"{task.card.name}: {adapter.name} knows the protocol {', '.join(adapter.protocols)} only")
        for protocol, shots in places:
            for spec in models.values():
                if _belongs_elsewhere(settings, spec, adapter.name):
                    continue
                reason = adapter.unsupported_reason(spec, protocol, settings)
                if reason:
                    left_out.append(f"{spec.name} · {protocol}: {reason}")
                    continue
                identity = identity_of(settings, task, spec, protocol)
                for seed in settings.seeds:
                    place = {"protocol": protocol, "shots": shots, "seed": seed}
                    fingerprint = sha256(canonical_json({**identity, **place}))
                    units.append(Unit(spec.name, task.card.name, protocol, shots, seed, fingerprint, identity))
    return units


def _refuse_unfit(units: Iterable[Unit], tasks: dict[str, TaskData], models: dict[str, ModelSpec]) -> None:
    """Raise DataError with all that makes a task's data unfit for one of its models."""
    problems: dict[str, None] = {}
    for task, model in dict.fromkeys((unit.task, unit.encoder) for unit in units):
        found = adapter_for(tasks[task].card.family).data_problems(models[model], tasks[task].index)
        problems.update(dict.fromkeys(f"{task}: {problem}" for problem in found))
    if problems:
        raise DataError(list(problems))


def _belongs_elsewhere(settings: RunSettings, spec: ModelSpec, family: str) -> bool:
    """Whether a baseline is in the run for tasks of another family, and nobody asked for it here."""
    words = {spec.name, f"{spec.family}:{spec.architecture}"}
    return spec.is_baseline and not words & {*settings.model, *baseline_names(family)}
