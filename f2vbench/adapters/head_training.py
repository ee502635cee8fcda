"""Heads of classification units: those of one shape trained as one stack, and what they say of the test images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from f2vbench.adapters.base import UnitContext
from f2vbench.adapters.classification_data import Material, Prediction
from f2vbench.config.run import HeadSettings
from f2vbench.heads.batched_training import Lesson, predict, train
from f2vbench.heads.fusion import Fusion
from f2vbench.heads.mlp import Head, Mlp, Parameters


def predictions(context: Sequence[UnitContext], material: Sequence[Material]) -> list[Prediction]:
    """What heads say of the test images: trained on the support images, or as drawn where there are none."""
    alike: dict[tuple[object, ...], list[int]] = {}
    for position, (own, unit) in enumerate(zip(context, material, strict=True)):
        fused = own.model.architecture if own.model.kind == "fusion" else ""
        inputs = tuple(vectors.shape[1] for vectors in unit.test.vectors.values())
        alike.setdefault((fused, inputs, len(unit.classes), unit.several), []).append(position)
    found: dict[int, Prediction] = {}
    for positions in alike.values():
        found |= zip(positions, _of_one_shape(context[positions[0]], [material[p] for p in positions]), strict=True)
    return [found[position] for position in range(len(material))]


def _of_one_shape(context: UnitContext, material: Sequence[Material]) -> list[Prediction]:
    head = _head(context, material[0])
    if not len(material[0].support):
        return [_prediction(context, head, unit, _drawn(head, unit.seed)) for unit in material]
    trained = train(head, [_lesson(unit) for unit in material], context.settings.head, context.device)
    return [
        _prediction(
            context, head, unit, own.parameters, {"epoch": own.epoch, "validation_auroc": own.validation}, own.steps
        )
        for unit, own in zip(material, trained, strict=True)
    ]


def _head(context: UnitContext, unit: Material) -> Head:
    settings: HeadSettings = context.settings.head
    inputs = [vectors.shape[1] for vectors in unit.test.vectors.values()]
    classes = len(unit.classes)
    if context.model.kind == "fusion":
        how, width = context.model.architecture, settings.fusion_width
        return Fusion(inputs, how, width, settings.widths, classes, settings.dropout)
    return Mlp(inputs[0], settings.widths, classes, settings.dropout)


def _drawn(head: Head, seed: int) -> Parameters:
    return head.initial(torch.Generator().manual_seed(_torch_seed(seed)))


def _lesson(unit: Material) -> Lesson:
    return Lesson(
        _tensors(unit.support.vectors),
        torch.from_numpy(unit.support.targets),
        _tensors(unit.val.vectors) if len(unit.val) else None,
        torch.from_numpy(unit.val.targets) if len(unit.val) else None,
        seed=_torch_seed(unit.seed),
        several=unit.several,
    )


def _prediction(
    context: UnitContext,
    head: Head,
    unit: Material,
    parameters: Parameters,
    training: dict[str, Any] | None = None,
    steps: int = 0,
) -> Prediction:
    features = _tensors(unit.test.vectors)
    attention = None
    if isinstance(head, Fusion) and head.how == "attention":
        with torch.inference_mode():
            mine = {name: tensor[None] for name, tensor in parameters.items()}
            attention = head.attention(mine, [each[None] for each in features])[0].numpy()
    return Prediction(
        predict(head, parameters, features, unit.several, context.device), training or {}, steps, attention
    )


def _tensors(vectors: Mapping[str, NDArray[np.float32]]) -> list[torch.Tensor]:
    return [torch.from_numpy(each) for each in vectors.values()]


def _torch_seed(seed: int) -> int:
    """A unit's seed has 64 bits, PyTorch's generators take those below 2⁶³ on every platform."""
    return seed % 2**63
