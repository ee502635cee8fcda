"""Training of classification heads on stored embeddings: heads of one shape as one stack."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from f2vbench.adapters.base import UnitContext
from f2vbench.adapters.classification_data import ClassificationData, Prediction, Training
from f2vbench.adapters.stored_head import TrainedHead
from f2vbench.heads.base import Head, Parameters
from f2vbench.heads.batched_training import HeadData, predict_probabilities, train_heads
from f2vbench.heads.fusion import Fusion
from f2vbench.heads.mlp import Mlp


def predict_with_heads(contexts: Sequence[UnitContext], data: Sequence[ClassificationData]) -> list[Prediction]:
    """Predict the test images of several units with heads.

    Heads are trained on the support images; without support images they keep their random initial parameters.

    Args:
        contexts: Contexts of the units.
        data: Data of the units.

    Returns:
        The predictions, in the order of the units.
    """
    by_shape: dict[tuple[object, ...], list[int]] = {}
    for position, (context, unit_data) in enumerate(zip(contexts, data, strict=True)):
        fusion = context.model.architecture if context.model.kind == "fusion" else ""
        widths = tuple(vectors.shape[1] for vectors in unit_data.test.vectors.values())
        shape = (fusion, widths, len(unit_data.classes), unit_data.multi_label)
        by_shape.setdefault(shape, []).append(position)
    predictions: dict[int, Prediction] = {}
    for positions in by_shape.values():
        of_shape = _predict_with_stack(contexts[positions[0]], [data[position] for position in positions])
        predictions |= zip(positions, of_shape, strict=True)
    return [predictions[position] for position in range(len(data))]


def torch_seed(seed: int) -> int:
    """Reduce a 64-bit seed to 63 bits, which torch generators accept on every platform."""
    return seed % 2**63


def _predict_with_stack(context: UnitContext, data: Sequence[ClassificationData]) -> list[Prediction]:
    """Predict with heads of one shape."""
    head = _head(context, data[0])
    if not len(data[0].support):
        initial = [head.initial_parameters(torch.Generator().manual_seed(torch_seed(each.seed))) for each in data]
        return [_prediction(context, head, *each) for each in zip(data, initial, strict=True)]
    trained = train_heads(head, [_head_data(each) for each in data], context.settings.head, context.device)
    return [
        _prediction(context, head, each, result.parameters, Training(result.epoch, result.validation, result.steps))
        for each, result in zip(data, trained, strict=True)
    ]


def _head(context: UnitContext, data: ClassificationData) -> Head:
    settings = context.settings.head
    inputs = [vectors.shape[1] for vectors in data.test.vectors.values()]
    classes = len(data.classes)
    if context.model.kind == "fusion":
        method, width = context.model.architecture, settings.fusion_width
        return Fusion(inputs, method, width, settings.widths, classes, settings.dropout)
    return Mlp(inputs[0], settings.widths, classes, settings.dropout)


def _head_data(data: ClassificationData) -> HeadData:
    return HeadData(
        _tensors(data.support.vectors),
        torch.from_numpy(data.support.targets),
        _tensors(data.selection.vectors) if len(data.selection) else None,
        torch.from_numpy(data.selection.targets) if len(data.selection) else None,
        seed=torch_seed(data.seed),
        multi_label=data.multi_label,
    )


def _prediction(
    context: UnitContext,
    head: Head,
    data: ClassificationData,
    parameters: Parameters,
    training: Training | None = None,
) -> Prediction:
    features = _tensors(data.test.vectors)
    attention = None
    if isinstance(head, Fusion) and head.method == "attention":
        with torch.inference_mode():
            stacked = {name: tensor[None] for name, tensor in parameters.items()}
            attention = head.attention(stacked, [each[None] for each in features])[0].numpy()
    probabilities = predict_probabilities(head, parameters, features, data.multi_label, context.device)
    validation = None
    if len(data.val):
        of_val = _tensors(data.val.vectors)
        validation = predict_probabilities(head, parameters, of_val, data.multi_label, context.device)
    return Prediction(probabilities, validation, training, attention, _stored_head(head, data, parameters))


def _stored_head(head: Head, data: ClassificationData, parameters: Parameters) -> TrainedHead | None:
    """A trained head for storage; None for a fusion and for a head without support images."""
    if not isinstance(head, Mlp) or not data.scalers:
        return None
    (scaler,) = data.scalers.values()
    arrays = {"mean": scaler.mean, "deviation": scaler.deviation}
    arrays |= {name: tensor.cpu().numpy() for name, tensor in parameters.items()}
    return TrainedHead("perceptron", arrays, tuple(data.classes), data.multi_label)


def _tensors(vectors: Mapping[str, NDArray[np.float32]]) -> list[torch.Tensor]:
    return [torch.from_numpy(each) for each in vectors.values()]
