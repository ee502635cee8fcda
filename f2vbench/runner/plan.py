"""Plan of a run: all units of the grid with their fingerprints, and which of them are done.

Nothing in this module imports torch, so that a completed run is planned and reported without it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from f2vbench.adapters.own_head import own_head_problems
from f2vbench.adapters.registry import ADAPTERS, adapter_of
from f2vbench.adapters.unit import Unit
from f2vbench.analysis.frames import PRETRAINED_MARK
from f2vbench.config.run import RunSettings
from f2vbench.data.task_cards import TaskCard
from f2vbench.data.task_data import TaskData
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.registry import baseline_names
from f2vbench.encoders.spec import ModelSpec
from f2vbench.encoders.weights_argument import unused_weights, why_not_installed
from f2vbench.errors import DataError, F2VBenchError, SettingsError, did_you_mean
from f2vbench.runner.exchange import import_problems
from f2vbench.runner.open_tasks import open_tasks, read_cards
from f2vbench.runner.resume import find_done_units, lacks_head, unit_identity
from f2vbench.store.runs import RunFolder
from f2vbench.utils.files import canonical_json, sha256
from f2vbench.utils.progress import Progress


@dataclass(frozen=True)
class Plan:
    """Units of a run, and the tasks, models and run folder that they need.

    Attributes:
        settings: Settings of the run.
        tasks: Tasks by name.
        models: Models by name.
        units: Units of this call, after sharding.
        done: Names of the units whose records are stored.
        left_out: Combinations of model and protocol that are not possible, with the reason.
        notes: Notes for the user about data and settings.
        folder: The run folder.
        requested: All units of the settings, those of other shards included.
        weights: Model → SHA-256 of the tensors that produced its units in the run folder.
    """

    settings: RunSettings
    tasks: dict[str, TaskData]
    models: dict[str, ModelSpec]
    units: list[Unit]
    done: frozenset[str]
    left_out: list[str]
    notes: list[str]
    folder: RunFolder
    requested: list[Unit]
    weights: dict[str, str]

    @property
    def missing(self) -> list[Unit]:
        """Units without a stored record."""
        return [unit for unit in self.units if unit.name not in self.done]


def make_plan(settings: RunSettings, progress: Progress | None = None) -> Plan:
    """Read task cards and data, list the units of the grid, and find those that are done.

    Args:
        settings: Settings of the run.
        progress: Receives messages while simulated data is generated.

    Returns:
        The plan. Nothing is written to the run folder.

    Raises:
        SettingsError: Tasks, models or baselines are unusable; one problem each.
        DataError: The data of a task is unusable for a model, or has too few images.
        StoreError: The run folder has units of other data, settings or weights.
    """
    problems: list[str] = []
    cards = read_cards(settings, problems)
    baselines, not_installed = _baseline_names(settings, cards, problems)
    models = _parse_models(settings, baselines, problems)
    tasks = open_tasks(settings, cards, problems, progress)
    if problems:
        raise SettingsError(problems)
    units, left_out = _expand_grid(settings, tasks, models)
    set_aside: list[str] = []
    _check_data(units, tasks, models, set_aside)
    if not units:
        raise SettingsError(["nothing to run:", *left_out] if left_out else "nothing to run: the grid has no unit")
    for unit in units:  # too few images raise an error before anything is computed
        tasks[unit.task].episode(unit.protocol, unit.shots, unit.seed)
    folder = RunFolder(settings.folder())
    folder.check_no_other_files()
    done, weights = find_done_units(folder, units)
    done -= {unit.name for unit in units if unit.name in done and _lacks_head(folder, unit, settings, tasks, models)}
    shard, requested = settings.shard_position(), units
    if shard is not None:
        units = units[shard[0] - 1 :: shard[1]]
    notes = set_aside + not_installed + _notes(settings, tasks, models, units)
    return Plan(settings, tasks, models, units, frozenset(done), left_out, notes, folder, requested, weights)


def _lacks_head(
    folder: RunFolder, unit: Unit, settings: RunSettings, tasks: dict[str, TaskData], models: dict[str, ModelSpec]
) -> bool:
    return lacks_head(folder, unit, adapter_of(tasks[unit.task].card), models[unit.encoder], settings)


def _notes(
    settings: RunSettings, tasks: dict[str, TaskData], models: dict[str, ModelSpec], units: list[Unit]
) -> list[str]:
    used = {name for unit in units for name in unit.identity["settings"]}
    notes = [f"preset={settings.preset} differs from the paper: {change}" for change in settings.preset_changes(used)]
    for name, task in tasks.items():
        of_task = [unit for unit in units if unit.task == name]
        pairs_of_task = [(models[unit.encoder], unit.protocol) for unit in of_task]
        notes += [note for note in adapter_of(task.card).notes(pairs_of_task, settings) if note not in notes]
        drawn = dict.fromkeys((unit.protocol, unit.shots, unit.seed) for unit in of_task)
        episodes = [task.episode(*condition) for condition in drawn]
        notes += [f"{name}: {note}" for note in adapter_of(task.card).episode_notes(task, episodes)]
    if settings.keep_heads:
        with_head = [
            unit
            for unit in units
            if adapter_of(tasks[unit.task].card).trains_head(models[unit.encoder], unit.protocol, settings)
        ]
        notes.append(f"keep_heads=yes: {len(with_head)} of {len(units)} units train a head, which is stored.")
    pairs = dict.fromkeys((unit.encoder, unit.task) for unit in units)
    notes += [
        f"{encoder} was trained on images of {', '.join(seen)}, the data of {task}; its results there are marked "
        f"{PRETRAINED_MARK}"
        for encoder, task in pairs
        if (seen := models[encoder].trained_on(tasks[task].card.data_sets))
    ]
    return notes + [f"{name}: {note}" for name, task in tasks.items() for note in task.notes]


def _baseline_names(settings: RunSettings, cards: list[TaskCard], problems: list[str]) -> tuple[list[str], list[str]]:
    """Names of the requested baselines, and a note on each whose weights are not installed.

    ``all`` means the baselines of the task families in the run, without those that are not installed.
    """
    families = dict.fromkeys(card.family for card in cards) or ADAPTERS
    known = list(dict.fromkeys(name for family in families for name in baseline_names(family)))
    if settings.baselines == ["none"]:
        return [], []
    if settings.baselines == ["all"]:
        absent = {name: why for name in known if (why := why_not_installed(name))}
        return [name for name in known if name not in absent], list(absent.values())
    for name in settings.baselines:
        if name not in known:
            hint = did_you_mean(name, known)
            problems.append(f"baselines={name}: no such baseline; choose from {', '.join(known)}, all or none{hint}")
    return [name for name in settings.baselines if name in known], []


def _parse_models(settings: RunSettings, baselines: list[str], problems: list[str]) -> dict[str, ModelSpec]:
    """Models and baselines of the run by name; problems are appended to ``problems``."""
    models: dict[str, ModelSpec] = {}
    earlier = len(problems)
    arguments = [] if settings.model == ["none"] else settings.model
    if not arguments and not baselines:
        problems.append("model=none baselines=none: nothing to run; keep models, baselines or both")
    for position, argument in enumerate([*arguments, *baselines]):
        try:
            spec = parse_model(argument, settings.weights, settings.cut, settings.pooling, settings.decoder.network)
        except F2VBenchError as error:
            problems.extend(error.problems)
            continue
        if spec.name in models:
            if position >= len(arguments):
                continue  # the baseline is also listed as a model
            problems.append(
                f"model={argument}: two models have the name '{spec.name}'; leave one out, or rename its weights file"
            )
        models[spec.name] = spec
    encoders: dict[str, ModelSpec] = {}
    for spec in [encoder for model in models.values() for encoder in model.parts or (model,)]:
        if encoders.setdefault(spec.name, spec) != spec:
            problems.append(f"two different models have the name '{spec.name}'; rename the weights file of one")
    requested = [encoder for model in list(models.values())[: len(arguments)] for encoder in model.parts or (model,)]
    if len(problems) == earlier:
        problems.extend(unused_weights(requested, settings.weights))
    if isinstance(settings.weights, str):
        users = [spec.name for spec in encoders.values() if spec.weights == str(Path(settings.weights).absolute())]
        if len(users) > 1:
            problems.append(
                f"weights={settings.weights} applies to several models, {', '.join(users)}: write weights.<model>=file"
            )
    return models


def _expand_grid(
    settings: RunSettings, tasks: dict[str, TaskData], models: dict[str, ModelSpec]
) -> tuple[list[Unit], list[str]]:
    """All units of the grid, and why others are left out, each reason once."""
    units: list[Unit] = []
    left_out: list[str] = []
    for task in tasks.values():
        adapter = adapter_of(task.card)
        conditions = adapter.conditions(settings)
        if not conditions:
            left_out.append(f"{task.card.name}: {adapter.name} supports only protocol={','.join(adapter.protocols)}")
        for protocol, shots in conditions:
            for spec in models.values():
                if _is_for_other_family(settings, spec, adapter.name):
                    continue
                reason = adapter.left_out_reason(spec, protocol, settings)
                if reason:
                    left_out.append(f"{spec.name} · {protocol}: {reason}")
                    continue
                identity = unit_identity(settings, task, spec, protocol)
                for seed in settings.seeds:
                    condition = {"protocol": protocol, "shots": shots, "seed": seed}
                    fingerprint = sha256(canonical_json({**identity, **condition}))
                    units.append(Unit(spec.name, task.card.name, protocol, shots, seed, fingerprint, identity))
    return units, list(dict.fromkeys(left_out))


def _check_data(
    units: Iterable[Unit], tasks: dict[str, TaskData], models: dict[str, ModelSpec], set_aside: list[str]
) -> None:
    """Raise a DataError that lists why the data of tasks is unusable for models.

    Messages about damaged vectors are added to ``set_aside``, and are part of the error.
    """
    problems: dict[str, None] = {}
    for task, model in dict.fromkeys((unit.task, unit.encoder) for unit in units):
        found = adapter_of(tasks[task].card).data_problems(models[model], tasks[task].index)
        found = [*found, *own_head_problems(models[model], tasks[task])]
        found = [*found, *import_problems(models[model], tasks[task], set_aside.append)]
        problems.update(dict.fromkeys(f"{task}: {problem}" for problem in found))
    if problems:
        raise DataError([*set_aside, *problems])


def _is_for_other_family(settings: RunSettings, spec: ModelSpec, family: str) -> bool:
    """Whether a model is a baseline of another task family and not requested with ``model=``."""
    names = {spec.name, f"{spec.family}:{spec.architecture}"}
    return spec.is_baseline and not names & {*settings.model, *baseline_names(family)}
