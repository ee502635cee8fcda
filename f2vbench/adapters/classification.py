"""Classification as a task family: heads and read-outs on embeddings, of encoders frozen or trained along.

Everything learnt comes from the support images: the scale of the features, the head, and, where `select` or the
supervised protocol asks for it, the epoch from the validation part. What is measured are the probabilities as stored.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame

from f2vbench.adapters.base import TIMING, CompletedUnit, FeatureKind, TaskAdapter, UnitContext
from f2vbench.adapters.classification_data import Material, Prediction, gather, labelled, passes
from f2vbench.adapters.probes import logistic_regression, nearest_neighbours, prototype
from f2vbench.config.run import Protocol, RunSettings
from f2vbench.data.episodes import Episode
from f2vbench.encoders.spec import ModelSpec
from f2vbench.metrics.classification import Kind, Values, evaluate
from f2vbench.metrics.names import CHANCE
from f2vbench.store.record_schema import Solution
from f2vbench.utils.system import has_gpu

_READ = ("prototype", "knn", "probe")
_TRAINED = ("few-shot", "supervised")


class Classification(TaskAdapter):
    """An MLP on embeddings, with its encoder frozen or trained; fusions of frozen ones; read-outs without training."""

    name = "classification"
    version = 1
    protocols = ("zero-shot", "prototype", "knn", "few-shot", "supervised", "probe")
    main_metrics = ("auroc", "average_precision", "balanced_accuracy", "brier")
    lower_is_better = ("brier", "calibration_error")
    shots_suffix = " a class"

    def unsupported_reason(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> str | None:
        if model.kind == "fusion":
            if settings.finetune == "full" and protocol in _TRAINED:
                return "finetune=full trains one encoder, and a fusion joins frozen ones: run it without"
            return "a fusion has to be trained" if protocol in _READ else None
        return None if model.kind in ("features", "vector") else "it gives no embedding to tell classes by"

    def feature_kind(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> FeatureKind | None:
        return None if _tunes(model, protocol, settings) else "embedding"

    def fingerprint_settings(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> tuple[str, ...]:
        names: tuple[str, ...] = () if model.kind == "vector" else ("precision",)
        if protocol == "few-shot":
            names += ("select",)
        if protocol in ("zero-shot", *_TRAINED):
            names += ("head",)
        if _tunes(model, protocol, settings):
            names += ("finetune", "augment", "tune")
        return (*names, "neighbours") if protocol == "knn" else names

    def runs_jointly(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> bool:
        return protocol in _TRAINED and not _tunes(model, protocol, settings)

    def uses_torch(self, protocol: Protocol) -> bool:
        return protocol not in _READ

    def required_images(self, episode: Episode, protocol: Protocol, settings: RunSettings) -> tuple[str, ...]:
        chooses = protocol == "supervised" or (protocol == "few-shot" and settings.select == "val")
        return (*episode.support, *(episode.val if chooses else ()), *episode.test)

    def fit_steps(self, model: ModelSpec, protocol: Protocol, settings: RunSettings, episode: Episode) -> int:
        """Of the optimiser; where an encoder is trained, passes of a photograph: they take the time."""
        support = len(episode.support)
        if _tunes(model, protocol, settings):
            val = len(self.required_images(episode, protocol, settings)) - support - len(episode.test)
            return passes(support, val, settings.head)
        return settings.head.epochs * math.ceil(support / settings.head.batch_size) if protocol in _TRAINED else 0

    def timing_trial(
        self, model: ModelSpec, index: DataFrame, protocol: Protocol, settings: RunSettings, steps: int
    ) -> tuple[Episode, RunSettings]:
        """Of two images; an encoder is trained on a batch, for one epoch."""
        first = str(index.image.iloc[0])
        other = index[index.label != index.label.iloc[0]]
        last = str(other.image.iloc[-1] if len(other) else index.image.iloc[-1])
        epochs, support = steps, () if protocol == "zero-shot" else (first, last)
        if _tunes(model, protocol, settings):
            others = [name for name in index.image.astype(str) if name not in support]
            epochs, support = 1, (*support, *others[: max(0, min(2 * steps, settings.head.batch_size) - 2)])
        head = settings.head.model_copy(update={"epochs": epochs, "warmup_epochs": 0})
        return Episode(support, (first, last), seed=0), settings.model_copy(update={"head": head})

    def notes(self, units: Iterable[tuple[ModelSpec, Protocol]], settings: RunSettings) -> list[str]:
        solved = list(units)
        protocols = {protocol for _, protocol in solved}
        notes = []
        if any(_tunes(model, protocol, settings) for model, protocol in solved):
            notes.append(
                "finetune=full: few-shot and supervised train every network with its head, random from random weights; "
                "baselines without a network, and protocols that train none, are as with frozen encoders"
            )
            if settings.device in ("auto", "cpu") and not has_gpu():
                notes.append("no GPU here: to train encoders can take days; f2vbench plan says how long")
        if "zero-shot" in protocols:
            notes.append(
                "zero-shot classification is a head with random weights that nobody trained: chance in expectation, as "
                "the paper has it; prototype and knn are what embeddings give without training"
            )
        if "few-shot" in protocols and settings.select == "val":
            notes.append(
                "few-shot heads are trained on the support images, but the epoch is chosen on the labelled images of "
                "the validation part (select=val, as in the paper); select=last takes the last epoch and uses no others"
            )
        return notes

    def run_unit(self, context: UnitContext, episode: Episode) -> CompletedUnit:
        return next(self.run_units([context], [episode]))

    def run_units(self, context: Sequence[UnitContext], episodes: Sequence[Episode]) -> Iterator[CompletedUnit]:
        """Solve units of one protocol and shots; heads of one shape are trained as one stack, encoders one by one."""
        if _tunes(context[0].model, context[0].unit.protocol, context[0].settings):
            for own, episode in zip(context, episodes, strict=True):
                yield self._with_encoder(own, episode)
            return
        started = time.perf_counter()
        material = [
            gather(own, episode, self.required_images(episode, own.unit.protocol, own.settings))
            for own, episode in zip(context, episodes, strict=True)
        ]
        prepared = time.perf_counter()
        found = _probabilities(context, material)
        share = {
            "prepare_seconds": (prepared - started) / len(material),
            "fit_seconds": (time.perf_counter() - prepared) / len(material),
        }
        for own, episode, unit, predicted in zip(context, episodes, material, found, strict=True):
            yield _measured(own, episode, unit, predicted, share)

    def _with_encoder(self, context: UnitContext, episode: Episode) -> CompletedUnit:
        from f2vbench.adapters.fine_tuning import tuned_prediction

        unit = labelled(context, episode, self.required_images(episode, context.unit.protocol, context.settings))
        return _measured(context, episode, unit, *tuned_prediction(context, unit))


def _tunes(model: ModelSpec, protocol: Protocol, settings: RunSettings) -> bool:
    """Whether the encoder is trained with the head."""
    return settings.finetune == "full" and model.kind == "features" and protocol in _TRAINED


def _probabilities(context: Sequence[UnitContext], material: Sequence[Material]) -> list[Prediction]:
    protocol, settings = context[0].unit.protocol, context[0].settings
    if protocol not in _READ:
        from f2vbench.adapters.head_training import predictions

        return predictions(context, material)
    found = []
    for unit in material:
        (support,), (test,) = unit.support.vectors.values(), unit.test.vectors.values()
        targets = unit.support.targets
        if protocol == "prototype":
            read = prototype(support, targets, test, unit.several)
        elif protocol == "knn":
            read = nearest_neighbours(support, targets, test, settings.neighbours)
        else:
            read = logistic_regression(support, targets, test, unit.several)
        found.append(Prediction(read))
    return found


def _measured(
    context: UnitContext, episode: Episode, unit: Material, predicted: Prediction, share: Mapping[str, float]
) -> CompletedUnit:
    started = time.perf_counter()
    targets = unit.test.targets
    metrics, reasons = evaluate(predicted.probabilities, targets, unit.kind, unit.classes)
    metrics |= _chance(targets, unit.kind, metrics)
    stored: dict[str, NDArray[Any]] = {"probabilities": predicted.probabilities, "targets": targets.astype(np.uint8)}
    result: dict[str, Any] = {
        "classes": unit.classes,
        "label_kind": unit.kind,
        "images": list(episode.test),
        "support_by_class": dict(zip(unit.classes, unit.support.targets.sum(axis=0).tolist(), strict=True)),
        **predicted.training,
    }
    if predicted.attention is not None:
        stored["attention"] = predicted.attention
        result["attention"] = _by_class(predicted.attention, targets, unit.classes, list(unit.test.vectors))
    result |= {"metrics": metrics, "reasons": reasons, "per_image": _per_image(episode.test, predicted, targets, unit)}
    result["predictions"] = context.store_predictions(stored)
    timing = {**TIMING, **share, "fit_steps": predicted.steps, "scored": len(targets)}
    timing["map_bytes"] = result["predictions"].get("bytes", 0)
    timing["measure_seconds"] = time.perf_counter() - started
    return CompletedUnit(cast(Solution, result), timing)


def _chance(targets: NDArray[np.bool_], kind: Kind, metrics: Values) -> Values:
    """What a random order of the test images is expected to give, or a class guessed at random."""
    from f2vbench.metrics.retrieval import chance_average_precision

    positives = targets.sum(axis=0)[1:] if kind == "binary" else targets.sum(axis=0)
    precisions = [chance_average_precision(int(count), len(targets)) for count in positives]
    levels = {
        "auroc": 0.5,
        "average_precision": float(np.mean(precisions)),
        "balanced_accuracy": 0.5 if kind == "multilabel" else 1 / targets.shape[1],
        "quadratic_kappa": 0.0,
    }
    return {name + CHANCE: level for name, level in levels.items() if metrics.get(name) is not None}


def _per_image(
    images: Sequence[str], predicted: Prediction, targets: NDArray[np.bool_], unit: Material
) -> dict[str, Values]:
    """``correct`` (with several classes the part of them told right) and the ``probability`` of the true class."""
    p = predicted.probabilities
    if unit.several:
        right = ((p >= 0.5) == targets).mean(axis=1)
        return {image: {"correct": float(value)} for image, value in zip(images, right, strict=True)}
    truth = targets.argmax(axis=1)
    return {
        image: {"correct": float(row.argmax() == own), "probability": float(row[own])}
        for image, row, own in zip(images, p, truth, strict=True)
    }


def _by_class(
    attention: NDArray[np.float32], targets: NDArray[np.bool_], classes: Sequence[str], encoders: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Mean weight of each encoder over the test images of each class that has some."""
    return {
        name: dict(zip(encoders, attention[mine].mean(axis=0, dtype=np.float64).tolist(), strict=True))
        for name, mine in zip(classes, targets.T, strict=True)
        if mine.any()
    }
