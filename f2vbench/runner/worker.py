"""A worker: encodes photographs into the feature store, and runs units and stores their records."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial

from f2vbench.adapters.unit import Unit
from f2vbench.config.run import RunSettings
from f2vbench.data.episodes import Episode
from f2vbench.data.index_rows import added_columns
from f2vbench.runner.context import Context
from f2vbench.runner.embeddings import StoredEmbeddings
from f2vbench.runner.encoding import encode_group
from f2vbench.runner.resume import is_complete
from f2vbench.runner.unit_context import WorkerUnitContext
from f2vbench.runner.work_items import Extract, Item, Outcome
from f2vbench.runner.worker_cache import Resources
from f2vbench.store.features import FeatureSet
from f2vbench.store.record_schema import EpisodeRecord, Provenance, UnitRecord, UnitResult
from f2vbench.store.runs import RunFolder
from f2vbench.utils.step_reports import set_part
from f2vbench.utils.system import machine, software


class Worker:
    """Executes work items one after another, and keeps the models, photographs and embeddings of recent items.

    Args:
        context: Tasks, models and settings of the run.
        folder: Folder that receives records and predictions; by default the run folder.
    """

    def __init__(self, context: Context, folder: RunFolder | None = None):
        self._context = context
        self._settings = context.settings
        self._folder = folder or RunFolder(context.folder)
        self._resources = Resources(context)
        self._embeddings: dict[tuple[str, str], StoredEmbeddings] = {}

    def do(self, item: Item) -> Outcome:
        """Execute one item; results that are stored already are not computed again."""
        outcome = self._extract(item) if isinstance(item, Extract) else self._run_units(item.units)
        return Outcome(outcome.claimed_elsewhere, outcome.timing, outcome.notes + self.collect_notes())

    def rehearse(self, unit: Unit, steps: int) -> dict[str, float]:
        """Timing of a unit with few optimiser steps and images; nothing is recorded.

        Args:
            unit: The unit to time.
            steps: Number of optimiser steps.
        """
        index = self._context.tasks[unit.task].index
        adapter = self._context.adapter(unit.task)
        model = self._context.models[unit.encoder]
        episode, settings = adapter.timing_trial(model, index, unit.protocol, self._settings, steps)
        return adapter.run_unit(self._unit_context(unit, settings, folder=None), episode).timing

    def _extract(self, item: Extract) -> Outcome:
        missing = self._resources.missing_images(item.model, item.task, item.feature, item.images)
        openers = [partial(self._resources.photograph, item.task, name) for name in missing]
        return Outcome(timing=encode_group(self._resources, item.model, item.feature, openers))

    def _run_units(self, units: Sequence[Unit]) -> Outcome:
        """Run the units that are neither stored nor claimed by another process."""
        with ExitStack() as claims:
            claimed = [unit for unit in units if claims.enter_context(self._folder.claim(unit.name))]
            # Another process may have completed a unit in the meantime.
            missing = [unit for unit in claimed if not is_complete(self._folder, unit, self._context)]
            timings = list(self._run_and_record(missing)) if missing else []
        names = timings[0] if timings else {}
        mean = {name: sum(timing[name] for timing in timings) / len(timings) for name in names}
        return Outcome(len(units) - len(claimed), mean)

    def _run_and_record(self, units: Sequence[Unit]) -> Iterator[dict[str, float]]:
        """Run units together and store each record as soon as it is complete; yields their timing."""
        episodes = [self._context.tasks[unit.task].episode(unit.protocol, unit.shots, unit.seed) for unit in units]
        contexts = [self._unit_context(unit, self._settings, self._folder) for unit in units]
        completed_units = self._context.adapter(units[0].task).run_units(contexts, episodes)
        set_part(0, len(units))
        for number, (unit, episode, completed) in enumerate(zip(units, episodes, completed_units, strict=True), 1):
            set_part(number, len(units))  # of the next unit, which is computed when the loop continues
            result: UnitResult = {"episode": self._episode_record(unit.task, episode), **completed.result}
            self._folder.write(unit.name, self._record(unit, result, completed.timing))
            yield completed.timing

    def _episode_record(self, task: str, episode: Episode) -> EpisodeRecord:
        """An episode with the patient of each test image, and what is known of it beside its label.

        Statistical tests resample patients; subgroups are formed from the columns.
        """
        index = self._context.tasks[task].index
        patient_of = dict(zip(index.image, index.patient, strict=True))
        record: EpisodeRecord = {
            "support": list(episode.support),
            "test": list(episode.test),
            "seed": episode.seed,
            "patients": [patient_of[image] for image in episode.test],
            "patients_in_all": len(set(index.patient)),
        }
        if episode.val:
            record["val"] = list(episode.val)
        columns = {"eye": "eye", **added_columns(index)}
        tested = index.set_index("image").loc[list(episode.test), list(columns.values())]
        known = {name: tested[column].tolist() for name, column in columns.items() if (tested[column] != "").any()}
        if known:
            record["columns"] = known
        return record

    def _unit_context(self, unit: Unit, settings: RunSettings, folder: RunFolder | None) -> WorkerUnitContext:
        embeddings = self._embeddings_by_model(self._context.models[unit.encoder].part_names, unit.task)
        return WorkerUnitContext(unit, settings, self._resources, embeddings, folder)

    def _embeddings_by_model(self, models: Sequence[str], task: str) -> dict[str, StoredEmbeddings]:
        """Embeddings of a task by model; those of other models are released."""
        for key in [key for key in self._embeddings if key[0] not in models]:
            del self._embeddings[key]
        for model in models:
            if (model, task) not in self._embeddings:
                self._embeddings[model, task] = StoredEmbeddings(self._context, model, task, self._resources)
        return {model: self._embeddings[model, task] for model in models}

    def _record(self, unit: Unit, result: UnitResult, timing: dict[str, float]) -> UnitRecord:
        spec = self._context.models[unit.encoder]
        adapter = self._context.adapter(unit.task)
        uses_torch = self._context.uses_torch(unit)
        hashes = self._resources.weights
        provenance: Provenance = {
            "software": software(),
            "machine": machine(),
            "device": str(self._resources.device) if uses_torch else "cpu",
            "threads": self._settings.threads,
            "precision": self._resources.precision if uses_torch else "float32",
            "weights_sha256": hashes.get(unit.encoder),
        }
        if spec.parts:
            provenance["parts_sha256"] = {name: hashes.get(name) for name in spec.part_names}
        card = self._context.tasks[unit.task].card
        record: UnitRecord = {
            "unit": unit.coordinates(),
            "family": card.family,
            "main_metrics": list(adapter.main_metrics_of(card)),
            "lower_is_better": list(adapter.lower_is_better),
            "fingerprint": unit.fingerprint,
            "identity": unit.identity,
            "weights": spec.weights_label,
            "floor": spec.is_baseline,
            "result": result,
            "timing": timing,
            "provenance": provenance,
        }
        if seen := spec.trained_on(card.data_sets):
            record["pretrained_on"] = seen
        return record

    def collect_notes(self) -> tuple[str, ...]:
        """Messages about damaged files since the last call, of the run folder and the feature sets."""
        sources: list[RunFolder | FeatureSet] = [self._folder, *self._resources.feature_sets()]
        notes = tuple(note for source in sources for note in source.set_aside)
        for source in sources:
            source.set_aside.clear()
        return notes
