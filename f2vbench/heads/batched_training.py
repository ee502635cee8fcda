"""Training of many small heads as one batch of parameters.

Heads of one shape differ in their data and random numbers only. Heads with the same number of steps per epoch share
each forward and backward pass. The result of a head does not depend on the other heads in the stack: each has its own
random stream and its own sums, and the optimiser works element by element.

On a CPU, the results are equal to the last bit. For this, widths are padded to whole cache lines
(`f2vbench.heads.stacked_layers`), and batches are padded with rows of weight 0 to a size that depends on the head's own
number of images.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from f2vbench.config.fitting import HeadSettings
from f2vbench.heads.base import Head, Parameters, class_probabilities, cross_entropy_by_row, smooth_targets
from f2vbench.heads.epoch_selection import EpochSelection, ValidationScore, ValidationStack
from f2vbench.heads.stacked_layers import (
    CACHE_LINE,
    pad_features,
    pad_parameter,
    stack_padded,
    stacked_dropout_masks,
)
from f2vbench.utils.step_reports import report_step

_ROW_MULTIPLE = 8
"""A single batch is padded to a multiple of this number of rows."""


@dataclass(frozen=True)
class HeadData:
    """Training data of one head.

    Attributes:
        features: (n, width) float32 for each encoder.
        targets: (n, classes) bool.
        val_features: Features of the validation images that select the epoch; None to keep the last epoch.
        val_targets: Targets of the validation images, or None.
        seed: Seed of the head's random stream.
        multi_label: Whether an image can have several classes (sigmoid) or exactly one (softmax).
    """

    features: Sequence[Tensor]
    targets: Tensor
    val_features: Sequence[Tensor] | None
    val_targets: Tensor | None
    seed: int
    multi_label: bool = False


@dataclass
class TrainedHead:
    """A trained head.

    Attributes:
        parameters: Parameters of this head, without stack axis.
        epoch: The selected epoch, from 1.
        steps: Number of optimiser steps.
        validation: AUROC on the validation images after each epoch; None where it is undefined.
    """

    parameters: Parameters
    epoch: int
    steps: int
    validation: list[float | None] = field(default_factory=list)


def train_heads(
    head: Head, data: Sequence[HeadData], settings: HeadSettings, device: torch.device
) -> list[TrainedHead]:
    """Train one head for each data set: AdamW, cross-entropy with label smoothing, linear warm-up and cosine decay.

    With validation images, the epoch with the best macro AUROC is kept (`EpochSelection`). Classes that no validation
    image has, or that all have, do not count.

    Args:
        head: Shape of the heads.
        data: Data of each head.
        settings: Settings of the training.
        device: Device for the training.

    Returns:
        The trained heads, in the order of ``data``.
    """
    by_batches: dict[tuple[int, int], list[int]] = {}
    for position, each in enumerate(data):
        by_batches.setdefault(_batches_and_rows(len(each.targets), settings), []).append(position)
    trained: dict[int, TrainedHead] = {}
    for (batches, rows), positions in by_batches.items():
        stack = _HeadStack(head, [data[position] for position in positions], batches, rows, settings, device)
        trained.update(zip(positions, stack.train(), strict=True))
    return [trained[position] for position in range(len(data))]


def steps_per_epoch(images: int, settings: HeadSettings) -> int:
    """Return the number of batches in an epoch."""
    return math.ceil(images / settings.batch_size)


def _batches_and_rows(images: int, settings: HeadSettings) -> tuple[int, int]:
    """Return the number of batches in an epoch, and of rows in each, padding included."""
    batches = steps_per_epoch(images, settings)
    if batches > 1:
        return batches, settings.batch_size
    return batches, min(settings.batch_size, images + -images % _ROW_MULTIPLE)


def learning_rate_at(settings: HeadSettings, epoch: float) -> float:
    """Return the learning rate: linear from 0 to the peak during the warm-up, then a half cosine to the minimum.

    Args:
        settings: Peak and minimum, and the numbers of epochs.
        epoch: Completed epochs, with the fraction of the current one.
    """
    if epoch < settings.warmup_epochs:
        return settings.learning_rate * epoch / settings.warmup_epochs
    progress = (epoch - settings.warmup_epochs) / max(settings.epochs - settings.warmup_epochs, 1)
    span = settings.learning_rate - settings.min_learning_rate
    return settings.min_learning_rate + span * (1 + math.cos(math.pi * progress)) / 2


def predict_probabilities(
    head: Head, parameters: Parameters, features: Sequence[Tensor], multi_label: bool, device: torch.device
) -> NDArray[np.float32]:
    """Predict with one head.

    Args:
        head: Shape of the head.
        parameters: Its parameters, without stack axis.
        features: (n, width) for each encoder.
        multi_label: Whether an image can have several classes.
        device: Device for computation.

    Returns:
        (n, classes) probabilities.
    """
    with torch.inference_mode():
        stacked = {name: tensor[None].to(device) for name, tensor in parameters.items()}
        logits = head.logits(stacked, [each[None].to(device) for each in features])[0]
        probabilities: NDArray[np.float32] = class_probabilities(logits, multi_label).cpu().numpy()
        return probabilities


class _HeadStack:
    """Heads with the same number of batches in an epoch, and the same number of rows in a batch."""

    def __init__(
        self,
        head: Head,
        data: Sequence[HeadData],
        batches: int,
        rows: int,
        settings: HeadSettings,
        device: torch.device,
    ):
        self._head, self._settings, self._device = head, settings, device
        self._multi_label = data[0].multi_label
        self._batches, self._rows = batches, rows
        self._generators = [Generator().manual_seed(each.seed) for each in data]
        initial = [head.initial_parameters(generator) for generator in self._generators]
        self._shapes = {name: tensor.shape for name, tensor in initial[0].items()}
        self._parameters = {
            name: torch.stack([pad_parameter(name, each[name]) for each in initial]).to(device).requires_grad_()
            for name in initial[0]
        }
        # One tensor for all heads: each head starts at a whole cache line, so its step does not depend on its position.
        self._optimiser = torch.optim.AdamW(
            self._parameters.values(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self._sizes = [len(each.targets) for each in data]
        self._features = [
            stack_padded([pad_features(each.features[encoder]) for each in data], max(self._sizes)).to(device)
            for encoder in range(len(data[0].features))
        ]
        targets = [smooth_targets(each.targets, settings.label_smoothing, self._multi_label) for each in data]
        self._targets = stack_padded(targets, max(self._sizes)).to(device)
        self._lengths = [[min(rows, size - batch * rows) for size in self._sizes] for batch in range(batches)]
        row = torch.arange(rows)
        self._weights = [
            torch.stack([(row < length) / length for length in lengths]).to(device) for lengths in self._lengths
        ]
        self._selections = [EpochSelection() for _ in data]
        self._validation = _validation_stacks(head, data, device)

    def train(self) -> list[TrainedHead]:
        """Train all heads."""
        epochs = self._settings.epochs
        for epoch in range(epochs):
            self._train_epoch(epoch)
            report_step(epoch + 1, epochs)
            scores: dict[int, ValidationScore] = {}
            for stack in self._validation:
                scores.update(stack.evaluate(self._parameters))
            for position, selection in enumerate(self._selections):
                if selection.select(scores.get(position, ValidationScore()), last=epoch + 1 == epochs):
                    selection.parameters = self._parameters_of(position)
        return [
            TrainedHead(self._unpadded(each.parameters), each.epoch, self._batches * epochs, each.validation)
            for each in self._selections
        ]

    def _train_epoch(self, epoch: int) -> None:
        orders = [torch.randperm(size, generator=g) for size, g in zip(self._sizes, self._generators, strict=True)]
        order = stack_padded(orders, self._batches * self._rows).to(self._device)
        masks = stacked_dropout_masks(
            self._generators, self._lengths, self._rows, self._head.hidden_widths, self._head.dropout
        )
        for batch, rows in enumerate(torch.split(order, self._rows, 1)):
            learning_rate = learning_rate_at(self._settings, epoch + batch / self._batches)
            self._step(rows, batch, [each.to(self._device) for each in masks[batch]], learning_rate)

    def _parameters_of(self, position: int) -> Parameters:
        """Return a copy of one head's parameters, on the CPU."""
        return {name: tensor.detach()[position].cpu().clone() for name, tensor in self._parameters.items()}

    def _unpadded(self, parameters: Parameters) -> Parameters:
        return {name: tensor[: self._shapes[name][0], : self._shapes[name][1]] for name, tensor in parameters.items()}

    def _step(self, rows: Tensor, batch: int, masks: Sequence[Tensor], learning_rate: float) -> None:
        """Take one step with every head, on the rows (stack, batch size) of its own data."""
        heads = torch.arange(len(rows), device=self._device)[:, None]
        logits = self._head.logits(self._parameters, [each[heads, rows] for each in self._features], masks)
        losses = cross_entropy_by_row(logits, self._targets[heads, rows], self._multi_label)
        gradients = torch.autograd.grad((losses * self._weights[batch]).sum(), list(self._parameters.values()))
        for parameter, gradient in zip(self._parameters.values(), gradients, strict=True):
            parameter.grad = gradient
        self._optimiser.param_groups[0]["lr"] = learning_rate
        self._optimiser.step()


def _validation_stacks(head: Head, data: Sequence[HeadData], device: torch.device) -> list[ValidationStack]:
    """Group the heads with validation images by their number of cache lines of images."""
    by_lines: dict[int, list[int]] = {}
    for position, each in enumerate(data):
        if each.val_targets is not None and len(each.val_targets):
            by_lines.setdefault(math.ceil(len(each.val_targets) / CACHE_LINE), []).append(position)
    stacks = []
    for positions in by_lines.values():
        features = [data[position].val_features or () for position in positions]
        targets = [targets for position in positions if (targets := data[position].val_targets) is not None]
        stacks.append(ValidationStack(head, features, targets, positions, data[0].multi_label, device))
    return stacks
