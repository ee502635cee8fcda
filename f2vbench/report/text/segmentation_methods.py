"""Sentences of a methods section on segmentation: what a score map is, and what was trained for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from f2vbench.encoders.registry import FAMILIES
from f2vbench.encoders.vessel_scores import VesselScore, vessel_score_of
from f2vbench.store.record_schema import UnitRecord

_TRAINED_ON = {
    "few-shot": "In few-shot segmentation, {what} on the support images alone",
    "supervised": "In supervised segmentation, {what} on all images outside the test set",
}
_DECODERS = {
    "unet": "a U-Net decoder of the encoder's feature maps was trained",
    "generator": "the second half of the generator was trained with a new output layer, which starts from the vessels "
    "that its weights predict where they do",
    "mask-decoder": "SAM2's own mask decoder was fine-tuned without prompts",
    "mask-decoder-click": "SAM2's own mask decoder was fine-tuned with a click on a vessel of the annotation as its "
    "prompt, in testing too",
}
_CLASSES = (
    "Metrics of {tasks} are means over classes ({classes}). AUROC, average precision, Dice, IoU, HD95 and normalised "
    "surface distance of a class are means over the test images in which it occurs, without pixels that the annotation "
    "excludes; pooled metrics count all test images."
)
_LOSS = " (cross-entropy and soft Dice loss inside the field of view)"


def segmentation_sentences(protocol: str, records: Sequence[UnitRecord]) -> list[str]:
    """Describe the segmentation of one protocol.

    Args:
        protocol: `zero-shot`, `few-shot` or `supervised`.
        records: The unit records of segmentation with this protocol.
    """
    return _zero_shot(records) if protocol == "zero-shot" else _trained(protocol, records)


def class_sentences(records: Sequence[UnitRecord]) -> list[str]:
    """Define the metrics of tasks with several classes, one sentence or more for each set of classes.

    Args:
        records: Unit records.
    """
    tasks: dict[str, set[str]] = {}
    for record in records:
        names = record["result"].get("mask_classes")
        if names:
            tasks.setdefault(", ".join(names), set()).add(record["unit"]["task"])
    return [_CLASSES.format(tasks=", ".join(sorted(own)), classes=names) for names, own in tasks.items()]


def _zero_shot(records: Sequence[UnitRecord]) -> list[str]:
    """What the score of a pixel was, by model."""
    by_text: dict[str, set[str]] = {}
    has_views = False
    for record in records:
        settings, model = _identity(record)
        family = FAMILIES.get(str(model.get("family")))
        if family is None or not (family.frames or family.predicts_truth):
            continue
        name = settings.get("vessel_score", "brightness")
        if record.get("result", {}).get("mask_classes"):
            score = VesselScore("truth", False)
        else:
            score = vessel_score_of(family.name, model.get("has_truth_layer", False), name)
        by_text.setdefault(score.text, set()).add(record["unit"]["encoder"])
        has_views |= settings.get("score_views", 1) > 1
    scores = [f"{text} ({', '.join(sorted(names))})" for text, names in by_text.items()]
    if any(record["floor"] for record in records):
        scores.append("the response of a filter (baselines)")
    if not scores:
        return []
    views = " Scores of generators are means of eight mirrored and rotated views." if has_views else ""
    return [
        "In zero-shot segmentation, nothing was trained on the images of the task: the score of a pixel was "
        f"{'; '.join(scores)}.{views}"
    ]


def _trained(protocol: str, records: Sequence[UnitRecord]) -> list[str]:
    """Which decoder was trained, by model, and whether the encoder was trained too."""
    by_decoder: dict[str, set[str]] = {}
    tuned: set[str] = set()
    is_balanced = False
    for record in records:
        settings, model = _identity(record)
        if record["floor"]:
            continue
        decoder = model.get("decoder", "unet")
        by_decoder.setdefault(decoder, set()).add(record["unit"]["encoder"])
        if settings.get("finetune") == "full":
            tuned.add(record["unit"]["encoder"])
        is_balanced |= settings.get("decoder", {}).get("sampling") == "balanced"
    parts = [
        _DECODERS[decoder] + (f" ({', '.join(sorted(names))})" if len(by_decoder) > 1 else "")
        for decoder, names in by_decoder.items()
    ]
    if not parts:
        return []
    sentences = [_TRAINED_ON[protocol].format(what="; ".join(parts)) + _LOSS + "."]
    if is_balanced:
        sentences.append("Half of the training crops contained a pixel of a class, of all classes in equal shares.")
    if tuned:
        sentences.append(f"The encoder was trained with the decoder ({', '.join(sorted(tuned))}).")
    return sentences


def _identity(record: UnitRecord) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Settings and model of a record; records of synthetic results may lack them."""
    identity = record["identity"]
    return identity.get("settings", {}), identity.get("model", {})
