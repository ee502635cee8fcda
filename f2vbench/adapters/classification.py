"""Task adapter for classification: heads and other classifiers on embeddings, with frozen or trained encoders.

Everything that is fitted uses the support images: the scale of the features, the head, and the encoder where it is
trained. With the recipe ``paper``, validation images select the epoch under the supervised protocol and ``select=val``.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pandas import DataFrame

from f2vbench.adapters.base import TIMING, CompletedUnit, FeatureKind, TaskAdapter, UnitContext
from f2vbench.adapters.classification_data import (
    ClassificationData,
    Prediction,
    count_passes,
    load_classification_data,
    load_labels,
)
from f2vbench.adapters.own_head import own_head_note, own_head_probabilities
from f2vbench.adapters.probes import fit_logistic_regression, predict_by_neighbours, predict_by_prototype
from f2vbench.adapters.stored_head import Arrays, TrainedHead
from f2vbench.config.run import Protocol, RunSettings
from f2vbench.data.episodes import Episode
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import SettingsError
from f2vbench.heads.wide_mlp import fit_wide_mlp
from f2vbench.metrics.classification import Kind, Values, evaluate
from f2vbench.metrics.names import CHANCE
from f2vbench.metrics.retrieval import chance_average_precision
from f2vbench.store.record_schema import Solution
from f2vbench.utils.system import has_gpu

_PROBE_PROTOCOLS = ("prototype", "knn", "probe")
_HEAD_PROTOCOLS = ("few-shot", "supervised")

Classifier = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""(n, width) embeddings → (n, classes) probabilities."""


class Classification(TaskAdapter):
    """MLP heads on embeddings of frozen or trained encoders, heads on fusions of encoders, and probes."""

    name = "classification"
    version = 1
    protocols = ("zero-shot", "prototype", "knn", "few-shot", "supervised", "probe")
    main_metrics = ("auroc", "average_precision", "balanced_accuracy", "brier")
    lower_is_better = ("brier", "calibration_error")

    def unsupported_reason(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> str | None:
        """Refuse models without embeddings, and fusions where no head is trained or where encoders are trained."""
        if model.kind == "fusion":
            if settings.finetune == "full" and protocol in _HEAD_PROTOCOLS:
                return "finetune=full trains one encoder, and a fusion joins frozen encoders: omit finetune=full"
            return "a fusion needs a trained head" if protocol in _PROBE_PROTOCOLS else None
        return None if model.kind in ("features", "vector") else "has no embedding for classification"

    def feature_kind(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> FeatureKind | None:
        """Return ``embedding``, or None where the encoder is trained."""
        return None if _trains_encoder(model, protocol, settings) else "embedding"

    def fingerprint_settings(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> tuple[str, ...]:
        """Return the settings of the head, of its training and of the encoder, as far as they are used."""
        names: tuple[str, ...] = () if model.kind == "vector" else ("precision",)
        if protocol == "few-shot" and not _is_wide_mlp(model, protocol, settings):
            names += ("select",)
        if protocol in ("zero-shot", *_HEAD_PROTOCOLS):
            names += ("head",)
        if _trains_encoder(model, protocol, settings):
            names += ("finetune", "augment", "tune")
        return (*names, "neighbours") if protocol == "knn" else names

    def recorded_settings(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> dict[str, Any]:
        """Return the values of the `fingerprint_settings`; of ``head``, the keys of the recipe that is used.

        The recipe ``paper`` is not named, so that units of earlier versions, which had no other, remain valid.
        """
        values = super().recorded_settings(model, protocol, settings)
        if "head" in values:
            recipe = values["head"].pop("recipe")
            if _is_wide_mlp(model, protocol, settings):
                values["head"] = {"recipe": recipe}
        return values

    def runs_jointly(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> bool:
        """Return True for heads on frozen embeddings, which are trained as one stack."""
        return protocol in _HEAD_PROTOCOLS and not _trains_encoder(model, protocol, settings)

    def trains_head(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> bool:
        """Return True for heads on the frozen embeddings of one encoder."""
        return protocol in _HEAD_PROTOCOLS and model.kind != "fusion" and not _trains_encoder(model, protocol, settings)

    def uses_torch(self, protocol: Protocol) -> bool:
        """Return True for protocols with a head."""
        return protocol not in _PROBE_PROTOCOLS

    def required_images(self, episode: Episode, protocol: Protocol, settings: RunSettings) -> tuple[str, ...]:
        """Return the support, validation and test images."""
        return (*episode.support, *episode.val, *episode.test)

    def fit_steps(self, model: ModelSpec, protocol: Protocol, settings: RunSettings, episode: Episode) -> int:
        """Return the number of optimiser steps; where the encoder is trained, of passes of an image through it."""
        support = len(episode.support)
        if _trains_encoder(model, protocol, settings):
            selects = _selects_epoch(model, protocol, settings)
            return count_passes(support, len(episode.val) if selects else 0, settings.head)
        if protocol not in _HEAD_PROTOCOLS or _is_wide_mlp(model, protocol, settings):
            return 0
        return settings.head.epochs * math.ceil(support / settings.head.batch_size)

    def timing_trial(
        self, model: ModelSpec, index: DataFrame, protocol: Protocol, settings: RunSettings, steps: int
    ) -> tuple[Episode, RunSettings]:
        """Return a unit of two images and ``steps`` epochs; where the encoder is trained, of a batch and one epoch."""
        first = str(index.image.iloc[0])
        other_class = index[index.label != index.label.iloc[0]]
        last = str(other_class.image.iloc[-1] if len(other_class) else index.image.iloc[-1])
        epochs, support = steps, () if protocol == "zero-shot" else (first, last)
        if _trains_encoder(model, protocol, settings):
            others = [name for name in index.image.astype(str) if name not in support]
            epochs, support = 1, (*support, *others[: max(0, min(2 * steps, settings.head.batch_size) - 2)])
        head = settings.head.model_copy(update={"epochs": epochs, "warmup_epochs": 0})
        return Episode(support, (first, last), seed=0), settings.model_copy(update={"head": head})

    def notes(self, units: Iterable[tuple[ModelSpec, Protocol]], settings: RunSettings) -> list[str]:
        """Explain fine-tuning, zero-shot heads and the selection of the epoch, where they occur."""
        pairs = list(units)
        notes = []
        if any(_trains_encoder(model, protocol, settings) for model, protocol in pairs):
            notes.append(
                "finetune=full: few-shot and supervised train each network with its head; the baseline random starts "
                "from random weights, imagenet-lite0 from those of ImageNet. Other baselines and protocols are "
                "unaffected."
            )
            if settings.device in ("auto", "cpu") and not has_gpu():
                notes.append("No GPU: the training of encoders can take days; `f2vbench plan` estimates the time.")
        own_heads = {model.name: model for model, _ in pairs if model.outputs}
        notes += [own_head_note(model) for model in own_heads.values()]
        if any(protocol == "zero-shot" and not model.outputs for model, protocol in pairs):
            notes.append(
                "Zero-shot classification uses an untrained head with random weights, as in the paper: its expected "
                "performance is chance. prototype and knn classify embeddings without training a network."
            )
        with_wide_mlp = [model for model, protocol in pairs if _is_wide_mlp(model, protocol, settings)]
        by_epochs = [
            (model, protocol)
            for model, protocol in pairs
            if protocol in _HEAD_PROTOCOLS and not _is_wide_mlp(model, protocol, settings)
        ]
        if with_wide_mlp and any(model.kind == "fusion" for model, _ in by_epochs):
            notes.append(
                "Fusions are trained with the recipe of the papers, other models with head=mlp: use head=paper to "
                "compare fusions with their parts."
            )
        changed = [f"head.{key}" for key in sorted(settings.head.model_fields_set - {"recipe"})]
        if changed and with_wide_mlp:
            notes.append(
                f"{', '.join(changed)}: not used with head.recipe=mlp, except in fusions, zero-shot and finetune=full; "
                "add head.recipe=paper to use it everywhere."
            )
        if any(protocol == "few-shot" for _, protocol in by_epochs) and settings.select == "val":
            notes.append(
                "Few-shot heads are trained on the support images, but the epoch is selected on the labelled "
                "validation images (select=val, as in the paper). With select=last, the last epoch is kept and "
                "validation images are not used."
            )
        return notes

    def run_unit(self, context: UnitContext, episode: Episode) -> CompletedUnit:
        """Fit a classifier on the support images, or train the encoder, and predict the test images."""
        return next(self.run_units([context], [episode]))

    def run_units(self, contexts: Sequence[UnitContext], episodes: Sequence[Episode]) -> Iterator[CompletedUnit]:
        """Run units; heads of one shape are trained as one stack, encoders one after another.

        Yields:
            The results, in the order of the units.
        """
        first = contexts[0]
        if _trains_encoder(first.model, first.unit.protocol, first.settings):
            for context, episode in zip(contexts, episodes, strict=True):
                yield self._fine_tune(context, episode)
            return
        started = time.perf_counter()
        data = [
            load_classification_data(
                context,
                episode,
                _selects_epoch(context.model, context.unit.protocol, context.settings),
                scale=not (
                    context.model.outputs or _is_wide_mlp(context.model, context.unit.protocol, context.settings)
                ),
            )
            for context, episode in zip(contexts, episodes, strict=True)
        ]
        prepared = time.perf_counter()
        predictions = _predict(contexts, data)
        seconds_per_unit = {
            "prepare_seconds": (prepared - started) / len(data),
            "fit_seconds": (time.perf_counter() - prepared) / len(data),
        }
        for context, episode, unit_data, prediction in zip(contexts, episodes, data, predictions, strict=True):
            yield _complete(context, episode, unit_data, prediction, seconds_per_unit)

    def _fine_tune(self, context: UnitContext, episode: Episode) -> CompletedUnit:
        from f2vbench.adapters.fine_tuning import fine_tune_and_predict

        selects = _selects_epoch(context.model, context.unit.protocol, context.settings)
        data = load_labels(context, episode, selects)
        return _complete(context, episode, data, *fine_tune_and_predict(context, data))


def _trains_encoder(model: ModelSpec, protocol: Protocol, settings: RunSettings) -> bool:
    """Return whether the encoder is trained together with the head."""
    return settings.finetune == "full" and model.kind == "features" and protocol in _HEAD_PROTOCOLS


def _is_wide_mlp(model: ModelSpec, protocol: Protocol, settings: RunSettings) -> bool:
    """Return whether the head of a unit has the recipe ``mlp``."""
    return (
        settings.head.recipe == "mlp"
        and protocol in _HEAD_PROTOCOLS
        and model.kind != "fusion"
        and not _trains_encoder(model, protocol, settings)
    )


def _selects_epoch(model: ModelSpec, protocol: Protocol, settings: RunSettings) -> bool:
    """Return whether the validation images may select the epoch of a unit."""
    if _is_wide_mlp(model, protocol, settings):
        return False
    return protocol == "supervised" or (protocol == "few-shot" and settings.select == "val")


def _predict(contexts: Sequence[UnitContext], data: Sequence[ClassificationData]) -> list[Prediction]:
    """Predict the test images of units of one protocol from embeddings."""
    protocol, settings = contexts[0].unit.protocol, contexts[0].settings
    if contexts[0].model.outputs:
        return [_predict_with_own_head(context, unit_data) for context, unit_data in zip(contexts, data, strict=True)]
    if protocol in _PROBE_PROTOCOLS:
        return _predict_with_probes(protocol, settings, data)
    from f2vbench.adapters.head_training import predict_with_heads

    wide = [_is_wide_mlp(context.model, protocol, settings) for context in contexts]
    trained = [position for position, is_wide in enumerate(wide) if not is_wide]
    of_trained = predict_with_heads([contexts[i] for i in trained], [data[i] for i in trained])
    predictions = dict(zip(trained, of_trained, strict=True))
    for position, (is_wide, unit_data) in enumerate(zip(wide, data, strict=True)):
        if is_wide:
            (support,) = unit_data.support.vectors.values()
            fitted = fit_wide_mlp(support, unit_data.support.targets, unit_data.multi_label)
            arrays: Arrays = {"support": support, "targets": unit_data.support.targets.astype(np.uint8)}
            head = TrainedHead("kernel-classifier", arrays, tuple(unit_data.classes), unit_data.multi_label)
            predictions[position] = replace(_apply(fitted, unit_data), head=head)
    return [predictions[position] for position in range(len(data))]


def _predict_with_own_head(context: UnitContext, data: ClassificationData) -> Prediction:
    def predict(outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        return own_head_probabilities(outputs, context.model, context.task, data.kind)

    return _apply(predict, data)


def _predict_with_probes(
    protocol: Protocol, settings: RunSettings, data: Sequence[ClassificationData]
) -> list[Prediction]:
    predictions = []
    for unit_data in data:
        (support,) = unit_data.support.vectors.values()
        targets, multi_label = unit_data.support.targets, unit_data.multi_label
        predict: Classifier
        if protocol == "prototype":
            predict = partial(predict_by_prototype, support, targets, multi_label=multi_label)
        elif protocol == "knn":
            predict = partial(predict_by_neighbours, support, targets, neighbours=settings.neighbours)
        else:
            predict = fit_logistic_regression(support, targets, multi_label)
        predictions.append(_apply(predict, unit_data))
    return predictions


def _apply(predict: Classifier, data: ClassificationData) -> Prediction:
    """Predict the test and the validation images with a classifier of one encoder's embeddings."""
    (test,) = data.test.vectors.values()
    val = next(iter(data.val.vectors.values()), None)
    return Prediction(predict(test), None if val is None else predict(val))


def _complete(
    context: UnitContext,
    episode: Episode,
    data: ClassificationData,
    prediction: Prediction,
    seconds: Mapping[str, float],
) -> CompletedUnit:
    """Compute the metrics of a prediction and store it."""
    started = time.perf_counter()
    targets, training = data.test.targets, prediction.training
    if not np.isfinite(prediction.probabilities).all():
        raise SettingsError(
            f"{context.unit.label}: predicted probabilities are NaN or infinite: the training diverged, or embeddings "
            f"are not finite; try a smaller head.learning_rate than {context.settings.head.learning_rate:g}, or "
            "precision=float32. Completed units are stored"
        )
    metrics, reasons = evaluate(prediction.probabilities, targets, data.kind, data.classes)
    metrics |= _chance_levels(targets, data.kind, metrics)
    arrays: dict[str, NDArray[Any]] = {
        "probabilities": prediction.probabilities,
        "targets": targets.astype(np.uint8),
    }
    if prediction.validation is not None:
        arrays["validation_probabilities"] = prediction.validation
        arrays["validation_targets"] = data.val.targets.astype(np.uint8)
    if prediction.attention is not None:
        arrays["attention"] = prediction.attention
    stored = context.store_predictions(arrays)
    if prediction.head is not None:
        context.store_head(prediction.head)
    result: Solution = {
        "classes": data.classes,
        "label_kind": data.kind,
        "images": list(episode.test),
        "support_by_class": dict(zip(data.classes, data.support.targets.sum(axis=0).tolist(), strict=True)),
        "metrics": metrics,
        "reasons": reasons,
        "per_image": _per_image(episode.test, prediction.probabilities, targets, data.multi_label),
        "predictions": stored,
    }
    if training is not None:
        result["epoch"], result["validation_auroc"] = training.epoch, training.validation_auroc
        if training.skipped_blocks is not None:
            result["skipped_blocks"] = training.skipped_blocks
    if prediction.attention is not None:
        result["attention"] = _attention_by_class(prediction.attention, targets, data.classes, list(data.test.vectors))
    timing = {**TIMING, **seconds, "scored": len(targets), "map_bytes": stored["bytes"]}
    timing["fit_steps"] = 0 if training is None else training.steps
    timing["measure_seconds"] = time.perf_counter() - started
    return CompletedUnit(result, timing)


def _chance_levels(targets: NDArray[np.bool_], kind: Kind, metrics: Values) -> Values:
    """Return the expected value of each defined metric for random predictions."""
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
    images: Sequence[str], probabilities: NDArray[np.float32], targets: NDArray[np.bool_], multi_label: bool
) -> dict[str, Values]:
    """Return for each image ``correct``, and the ``probability`` of its class.

    In the multi-label case, ``correct`` is the fraction of classes that are predicted correctly, and there is no
    ``probability``.
    """
    if multi_label:
        fractions = ((probabilities >= 0.5) == targets).mean(axis=1)
        return {image: {"correct": float(fraction)} for image, fraction in zip(images, fractions, strict=True)}
    truth = targets.argmax(axis=1)
    return {
        image: {"correct": float(row.argmax() == label), "probability": float(row[label])}
        for image, row, label in zip(images, probabilities, truth, strict=True)
    }


def _attention_by_class(
    attention: NDArray[np.float32], targets: NDArray[np.bool_], classes: Sequence[str], encoders: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return the mean weight of each encoder over the test images of each class that has any."""
    return {
        name: dict(zip(encoders, attention[members].mean(axis=0, dtype=np.float64).tolist(), strict=True))
        for name, members in zip(classes, targets.T, strict=True)
        if members.any()
    }
