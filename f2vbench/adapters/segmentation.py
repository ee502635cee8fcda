"""Task adapter for segmentation: which models, protocols and features it supports, and how a unit runs.

A task without ``mask_classes`` is vessel segmentation: one class, which every image has. With them it has any classes,
which may overlap and be absent from images.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any, get_args

import numpy as np
from pandas import DataFrame

from f2vbench.adapters.base import CompletedUnit, FeatureKind, TaskAdapter, UnitContext
from f2vbench.adapters.segmentation_metrics import (
    SegmentationMetrics,
    evaluate_classes,
    evaluate_score_maps,
)
from f2vbench.adapters.segmenters import (
    PerClassSegmenter,
    ScoreMap,
    SegmentationPredictions,
    Segmenter,
    TrainingFreeSegmenter,
    fit_and_score,
)
from f2vbench.config.run import Protocol, RunSettings
from f2vbench.data.episodes import Episode
from f2vbench.data.mask_files import images_with_class
from f2vbench.data.photographs import Photograph
from f2vbench.data.task_cards import TaskCard
from f2vbench.data.task_data import TaskData
from f2vbench.encoders.model_family import SegmentationDecoder
from f2vbench.encoders.spec import ModelSpec
from f2vbench.encoders.vessel_scores import (
    NO_TRUTH_LAYER,
    VESSEL,
    VesselScore,
    subtract_background,
    truth_positions,
    vessel_score_of,
)
from f2vbench.errors import SettingsError
from f2vbench.metrics.names import LOWER_IS_BETTER_OF_MASKS
from f2vbench.store.record_schema import MapEntry, Solution, Threshold
from f2vbench.store.score_maps import decode, encode

_ZERO_SHOT_SETTINGS = ("image_size", "precision", "vessel_score", "score_views")
_ZERO_SHOT_CLASSES_SETTINGS = ("image_size", "precision", "score_views")
_MASK_DECODERS = ("mask-decoder", "mask-decoder-click")
_MASK_DECODER_SETTINGS = ("image_size", "epochs", "steps", "batch_size", "sam2", "precision")
_DECODER_SETTINGS = ("image_size", "finetune", "epochs", "steps", "batch_size", "augment", "decoder", "precision")
_CROP_VERSION = 2


class Segmentation(TaskAdapter):
    """Decoders on feature maps, generated angiograms, training-free filters, and a network from scratch.

    Args:
        classes: Names of the classes that the card declares; None for vessel segmentation.
    """

    name = "segmentation"
    version = 1
    protocols = ("zero-shot", "few-shot", "supervised")
    main_metrics = ("auroc", "dice")
    slow_on_cpu = True

    def __init__(self, classes: tuple[str, ...] | None = None):
        self._declared = classes
        self._classes = classes or (VESSEL,)
        if classes:
            names = LOWER_IS_BETTER_OF_MASKS
            self.lower_is_better = (*names, *(f"{metric}:{name}" for metric in names for name in classes))

    def for_card(self, card: TaskCard) -> Segmentation:
        """Return the adapter for the classes of a card."""
        declared = card.class_declaration
        return Segmentation(declared.names) if declared else self

    def unsupported_reason(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> str | None:
        """Refuse models without maps, and under zero-shot models without vessel score."""
        if model.kind == "fusion":
            return "a fusion joins embeddings and has no feature maps for segmentation"
        if model.kind == "vector":
            return "has one vector per photograph, and no feature maps for segmentation"
        if model.kind == "video":
            return "has video frames, which only generation tasks use"
        if protocol != "zero-shot" and model.kind == "generator":
            return "generates angiograms, and has no feature maps for segmentation"
        if model.decoder in _MASK_DECODERS:
            if protocol == "zero-shot":
                return (
                    "its masks need a prompt or fine-tuning: without either, SAM2 has objects of any kind and no score "
                    "for vessels"
                )
            if self._declared and model.decoder == "mask-decoder-click":
                return "a click on each class needs every class in every photograph; use it without @oracle-click"
            is_frozen = settings.finetune == "frozen"
            return None if is_frozen else f"finetune={settings.finetune}: only its mask decoder can be fine-tuned"
        if model.kind == "score" and self._declared:
            return f"scores vessels of any kind; it has no score for {', '.join(self._classes)}"
        if protocol != "zero-shot" or model.kind == "score":
            return None
        if model.kind == "scratch":
            return "is trained on support images, and zero-shot has none"
        if self._declared:
            return self._not_predicted(model)
        if not model.has_vessel_score:
            return "generates no angiogram"
        lacks_vessels = settings.vessel_score == "probability" and not model.predicts_vessels
        return NO_TRUTH_LAYER if lacks_vessels else None

    def _not_predicted(self, model: ModelSpec) -> str | None:
        """Why a model has no zero-shot score of the declared classes."""
        if not model.predicts_vessels:
            return f"its outputs are no classes, and zero-shot needs a score for {', '.join(self._classes)}"
        unknown = [name for name in self._classes if not truth_positions(name)]
        if unknown:
            return (
                f"its classes are those of simulated eyes, without {', '.join(unknown)} (names of classes: "
                "`f2vbench.phantom.truth_classes.TRUTH_CLASSES`)"
            )
        return None

    def feature_kind(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> FeatureKind | None:
        """Return ``score`` for filters, ``vessel_score`` in zero-shot, ``pyramid`` for frozen encoders, or None."""
        if model.kind == "score":
            return "score"
        if model.kind == "scratch":
            return None
        if protocol == "zero-shot":
            return "truth" if self._declared else "vessel_score"
        return "pyramid" if settings.finetune == "frozen" else None

    def fingerprint_settings(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> tuple[str, ...]:
        """Return the settings of the threshold, and of the decoder, the angiogram or the scratch network."""
        names: tuple[str, ...] = ("threshold",)
        if model.kind == "scratch":
            names += ("scratch",)
        elif model.kind == "features" and model.decoder in _MASK_DECODERS:
            names += _MASK_DECODER_SETTINGS
        elif model.is_network:
            zero_shot = _ZERO_SHOT_CLASSES_SETTINGS if self._declared else _ZERO_SHOT_SETTINGS
            names += zero_shot if protocol == "zero-shot" else _DECODER_SETTINGS
        return names

    def recorded_settings(self, model: ModelSpec, protocol: Protocol, settings: RunSettings) -> dict[str, Any]:
        """Return the values of the `fingerprint_settings`; for vessels ``finetune=vessels`` is ``full``.

        The sampling of crops is named where it is not uniform, so that units of earlier versions remain valid.
        Augmented crops that are smaller than the image have the key ``crop_version``; version 1 reduced the image.
        """
        recorded = super().recorded_settings(model, protocol, settings)
        if recorded.get("finetune") == "vessels":
            recorded["finetune"] = "full"
        if recorded.get("decoder", {}).get("sampling") == "uniform":
            del recorded["decoder"]["sampling"]
        if recorded.get("augment") == "live" and settings.decoder.crop < settings.image_size:
            recorded["crop_version"] = _CROP_VERSION
        return recorded

    def fit_steps(self, model: ModelSpec, protocol: Protocol, settings: RunSettings, episode: Episode) -> int:
        """Return the number of optimiser steps."""
        if model.kind == "score" or protocol == "zero-shot":
            return 0
        if model.decoder in _MASK_DECODERS:
            return settings.decoder_steps(len(episode.support), views=1) * len(self._classes)
        return settings.scratch.steps if model.kind == "scratch" else settings.decoder_steps(len(episode.support))

    def timing_trial(
        self, model: ModelSpec, index: DataFrame, protocol: Protocol, settings: RunSettings, steps: int
    ) -> tuple[Episode, RunSettings]:
        """Return a unit of one support and one test image with ``steps`` optimiser steps."""
        episode, _ = super().timing_trial(model, index, protocol, settings, steps)
        scratch = settings.scratch.model_copy(update={"steps": steps})
        return episode, settings.model_copy(update={"steps": steps, "scratch": scratch})

    def notes(self, units: Iterable[tuple[ModelSpec, Protocol]], settings: RunSettings) -> list[str]:
        """Explain the zero-shot scores, and which models have which decoder."""
        by_text: dict[str, set[str]] = {}
        decoders: dict[SegmentationDecoder, set[str]] = {name: set() for name in get_args(SegmentationDecoder)}
        for model, protocol in units:
            if not model.is_network:
                continue
            if protocol != "zero-shot":
                decoders[model.decoder].add(model.name)
            elif self._declared:
                by_text.setdefault(VesselScore("truth", False).text, set()).add(model.name)
            elif model.has_vessel_score:
                by_text.setdefault(_vessel_score(model, settings).text, set()).add(model.name)
        key = "" if self._declared else f"vessel_score={settings.vessel_score}: "
        what = "score" if self._declared else "vessel score"
        notes = [
            f"{key}the zero-shot {what} of {', '.join(sorted(names))} is {text}"
            f"{', mean of eight mirrored and rotated views' if settings.score_views > 1 else ''}."
            for text, names in by_text.items()
        ]
        if decoders["generator"]:
            names = ", ".join(sorted(decoders["generator"]))
            others = f"; that of {', '.join(sorted(decoders['unet']))} is a new U-Net" if decoders["unet"] else ""
            notes.append(f"The decoder of {names} is the generator's second half with a new output layer{others}.")
        own = decoders["mask-decoder"] | decoders["mask-decoder-click"]
        if own:
            notes.append(
                f"The decoder of {', '.join(sorted(own))} is SAM2's own, fine-tuned on whole photographs without "
                "augmentation; sam2.* and not decoder.* sets its training."
            )
        if decoders["mask-decoder-click"]:
            names = ", ".join(sorted(decoders["mask-decoder-click"]))
            notes.append(
                f"{names}: each test photograph is prompted with a click on a vessel of its annotation, which no other "
                "model receives."
            )
        return notes

    def run_unit(self, context: UnitContext, episode: Episode) -> CompletedUnit:
        """Fit on the support images, store the score map of each test image, and evaluate the maps as stored."""
        segmenter = self._segmenter(context)
        predictions = fit_and_score(segmenter, episode, context.photograph, context.settings, len(self._classes))
        entries: dict[str, MapEntry] = {}

        def stored_maps() -> Iterator[tuple[Photograph, ScoreMap]]:
            for photograph, score_map in predictions.maps:
                if not np.isfinite(score_map.values).all():
                    raise SettingsError(_not_finite(context, photograph.name))
                shape = score_map.values.shape
                joined = score_map.values.reshape(-1, shape[-1])
                png, encoding = encode(joined, probability=predictions.probability)
                predictions.timing["map_bytes"] += len(png)
                view = None if score_map.view is None else asdict(score_map.view)
                stored = context.store_map(png)
                entries[photograph.name] = {
                    "sha256": stored["sha256"],
                    "bytes": stored["bytes"],
                    "scale": encoding["scale"],
                    "low": encoding["low"],
                    "high": encoding["high"],
                    "steps": encoding["steps"],
                    "view": view,
                }
                if self._declared:
                    entries[photograph.name]["planes"] = shape[0]
                yield photograph, ScoreMap(decode(png, encoding).reshape(shape), score_map.view)

        started = time.perf_counter()
        evaluation, thresholds = self._evaluate(stored_maps(), predictions)
        timing = dict(predictions.timing)
        timing["measure_seconds"] = time.perf_counter() - started - timing["score_seconds"]
        result: Solution = {
            "metrics": evaluation.metrics,
            "reasons": evaluation.reasons,
            "per_image": evaluation.per_image,
            "maps": entries,
        }
        if self._declared:
            result["mask_classes"] = list(self._declared)
            result["thresholds"] = thresholds
            result["support_by_class"] = _images_by_class(context.task, episode.support)
            result["test_by_class"] = evaluation.images
        else:
            result["threshold"] = thresholds[VESSEL]
        return CompletedUnit(result, timing)

    def episode_notes(self, task: TaskData, episodes: Iterable[Episode]) -> list[str]:
        """Note the classes that no support image or no test image of an episode has."""
        if not self._declared:
            return []
        lacking: dict[str, list[int]] = {}
        count = 0
        for episode in episodes:
            count += 1
            for place, images in (("support", episode.support), ("test", episode.test)):
                found = _images_by_class(task, images) if images else {}
                for name in self._declared:
                    if images and not found[name]:
                        lacking.setdefault(f"no {place} image has the class {name}", []).append(count)
        return [f"in {len(numbers)} of {count} episodes, {text}" for text, numbers in lacking.items()]

    def _evaluate(
        self, maps: Iterable[tuple[Photograph, ScoreMap]], predictions: SegmentationPredictions
    ) -> tuple[SegmentationMetrics, dict[str, Threshold]]:
        """Evaluate score maps, and return the threshold of each class for the record."""
        thresholds = dict(zip(self._classes, predictions.thresholds, strict=True))
        if self._declared:
            evaluation = evaluate_classes(maps, thresholds)
        else:
            evaluation = evaluate_score_maps(maps, *thresholds[VESSEL])
        return evaluation, {name: {"value": each.value, "rule": each.rule} for name, each in thresholds.items()}

    def _segmenter(self, context: UnitContext) -> Segmenter:
        """Return the segmenter of a unit's model and protocol."""
        settings, model = context.settings, context.model
        if model.kind == "score":
            return TrainingFreeSegmenter(lambda photo: ScoreMap(context.score_map(photo)[None]), threshold=None)
        if model.decoder in _MASK_DECODERS:
            return self._mask_decoder(context)
        from f2vbench.adapters.trained_segmenters import DecoderSegmenter, ScratchSegmenter

        if model.kind == "scratch":
            return ScratchSegmenter(settings, context.device)
        if context.unit.protocol == "zero-shot":
            return self._truth_scores(context) if self._declared else _generated_scores(context)
        read_pyramid = context.feature_reader("pyramid")
        return DecoderSegmenter(
            context.encoder(), read_pyramid, settings, context.device, context.precision, self._classes
        )

    def _mask_decoder(self, context: UnitContext) -> Segmenter:
        """SAM2's mask decoder, which has one mask: with several classes, one decoder for each."""
        from f2vbench.adapters.mask_decoder_segmenter import MaskDecoderSegmenter

        clicks = context.model.decoder == "mask-decoder-click"
        read_maps = context.feature_reader("pyramid")

        def make() -> Segmenter:
            return MaskDecoderSegmenter(context.encoder(), read_maps, context.settings, context.device, clicks)

        return PerClassSegmenter(make, len(self._classes)) if len(self._classes) > 1 else make()

    def _truth_scores(self, context: UnitContext) -> Segmenter:
        """The probabilities that a generator predicts for the declared classes."""
        read_truth = context.feature_reader("truth")
        positions = [list(truth_positions(name)) for name in self._classes]

        def score(photograph: Photograph) -> ScoreMap:
            truth = read_truth(photograph)[0].astype(np.float32)
            return ScoreMap(np.stack([truth[each].max(axis=0) for each in positions]), photograph.view)

        return TrainingFreeSegmenter(score, threshold=0.5)


def _images_by_class(task: TaskData, images: Sequence[str]) -> dict[str, int]:
    """Number of these images in which each class occurs."""
    rows = task.index[task.index["image"].isin(images)]
    return {name: int(images_with_class(rows, name).sum()) for name in task.classes}


def _generated_scores(context: UnitContext) -> Segmenter:
    """The vessel score that is read from a generator's output."""
    read_score = context.feature_reader("vessel_score")
    vessel_score = _vessel_score(context.model, context.settings)

    def score_generated(photograph: Photograph) -> ScoreMap:
        score = read_score(photograph)[0].astype(np.float32)
        if vessel_score.is_contrast:
            score = subtract_background(score, photograph.view.crop(photograph.fov, len(score)))
        return ScoreMap(score[None], photograph.view)

    return TrainingFreeSegmenter(score_generated, threshold=vessel_score.threshold)


def _not_finite(context: UnitContext, image: str) -> str:
    """Message for scores with NaN or infinity."""
    trained = context.unit.protocol != "zero-shot" and context.model.kind != "scratch"
    name, value = "decoder", context.settings.decoder.learning_rate
    if context.model.decoder in _MASK_DECODERS:
        name, value = "sam2", context.settings.sam2.learning_rate
    rate = f"{name}.learning_rate than {value:g}"
    advice = f"the training diverged; try a smaller {rate}, or precision=float32"
    if not trained:
        advice = "check the weights of the model, or try precision=float32"
    return f"{context.unit.label}: scores of {image} are NaN or infinite: {advice}. Completed units are stored"


def _vessel_score(model: ModelSpec, settings: RunSettings) -> VesselScore:
    """Return the zero-shot score of a generator."""
    return vessel_score_of(model.family, model.has_truth_layer, settings.vessel_score)
