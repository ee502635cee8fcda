"""Training of many small heads at once: as one batch of parameters, each as if it were alone.

Heads of one kind differ in their data and their random numbers only. Those that take the same number of steps in an
epoch share every forward and backward pass; what a head becomes does not depend on which others are beside it, because
each has a random stream of its own, its own sums, and steps of the optimiser element by element. On a CPU this holds to
the last bit: a matrix product's rounding follows its shape and where its operands begin in memory, so all widths are
filled up with zeros to whole cache lines, and batches with rows of weight 0 to a size that follows from the head's own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from f2vbench.config.run import HeadSettings
from f2vbench.heads.epoch_selection import Choice, Look
from f2vbench.heads.losses import class_probabilities, loss_by_row, smoothed
from f2vbench.heads.mlp import Head, Parameters
from f2vbench.heads.padding import LINE, filled, filled_mask, filled_parameter, table

_ROWS = 8
"""A single batch is filled up to a multiple of these."""


@dataclass(frozen=True)
class Lesson:
    """What one head learns from.

    Attributes:
        features: of each encoder (n, width) float32.
        targets: (n, classes) bool.
        val_features, val_targets: of the validation images, on which the epoch is chosen; None takes the last epoch.
        seed: of the head's random stream.
        several: whether an image may have several classes (sigmoid), or has one (softmax).
    """

    features: Sequence[Tensor]
    targets: Tensor
    val_features: Sequence[Tensor] | None
    val_targets: Tensor | None
    seed: int
    several: bool = False


@dataclass
class Trained:
    """A trained head.

    Attributes:
        parameters: of this head alone.
        epoch: the one that was kept, from 1.
        validation: AUROC on the validation images after each epoch, None where no class can be ranked.
        steps: of the optimiser.
    """

    parameters: Parameters
    epoch: int
    steps: int
    validation: list[float | None] = field(default_factory=list)


def train(head: Head, lessons: Sequence[Lesson], settings: HeadSettings, device: torch.device) -> list[Trained]:
    """Train a head for every lesson: AdamW, cross-entropy with label smoothing, warm-up and cosine.

    With validation images the epoch is kept whose macro AUROC there is best, of equal ones that with the smaller
    cross-entropy, then the earlier. Classes that no validation image has, or all have, are left out of this choice;
    where none is left the last epoch is kept.
    """
    by_length: dict[tuple[int, int], list[int]] = {}
    for position, lesson in enumerate(lessons):
        by_length.setdefault(_batches(len(lesson.targets), settings), []).append(position)
    trained: dict[int, Trained] = {}
    for batches, positions in by_length.items():
        stack = _Stack(head, [lessons[position] for position in positions], batches, settings, device)
        trained.update(zip(positions, stack.train(), strict=True))
    return [trained[position] for position in range(len(lessons))]


def steps_an_epoch(images: int, settings: HeadSettings) -> int:
    """How many batches so many images make."""
    return math.ceil(images / settings.batch_size)


def _batches(images: int, settings: HeadSettings) -> tuple[int, int]:
    """How many batches so many images make, and the rows of each, filled up; fewer where there is but one batch."""
    steps = steps_an_epoch(images, settings)
    return steps, min(settings.batch_size, images + -images % _ROWS) if steps == 1 else settings.batch_size


def learning_rate(settings: HeadSettings, epoch: float) -> float:
    """Linear from 0 to the peak over the warm-up, then half a cosine to the lowest at the end.

    Args:
        epoch: epochs done, with the fraction of the one in work.
    """
    if epoch < settings.warmup_epochs:
        return settings.learning_rate * epoch / settings.warmup_epochs
    done = (epoch - settings.warmup_epochs) / max(settings.epochs - settings.warmup_epochs, 1)
    span = settings.learning_rate - settings.min_learning_rate
    return settings.min_learning_rate + span * (1 + math.cos(math.pi * done)) / 2


def predict(
    head: Head, parameters: Parameters, features: Sequence[Tensor], several: bool, device: torch.device
) -> NDArray[np.float32]:
    """(n, classes) probabilities of one head."""
    with torch.inference_mode():
        mine = {name: tensor[None].to(device) for name, tensor in parameters.items()}
        logits = head.logits(mine, [each[None].to(device) for each in features])[0]
        return class_probabilities(logits, several).cpu().numpy()


class _Stack:
    """Heads that take the same number of steps in an epoch, with batches filled up to the same number of rows."""

    def __init__(
        self,
        head: Head,
        lessons: Sequence[Lesson],
        batches: tuple[int, int],
        settings: HeadSettings,
        device: torch.device,
    ):
        self._head, self._settings, self._device = head, settings, device
        self._several = lessons[0].several
        self._steps, self._rows = batches
        self._random = [Generator().manual_seed(lesson.seed) for lesson in lessons]
        drawn = [head.initial(random) for random in self._random]
        self._shapes = {name: tensor.shape for name, tensor in drawn[0].items()}
        self._parameters = {
            name: torch.stack([filled_parameter(name, each[name]) for each in drawn]).to(device).requires_grad_()
            for name in drawn[0]
        }
        # One tensor for all heads: each begins at a whole cache line, so its step does not depend on where it lies.
        self._optimiser = torch.optim.AdamW(
            self._parameters.values(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
        )
        self._sizes = [len(lesson.targets) for lesson in lessons]
        self._features = [
            table([filled(lesson.features[encoder]) for lesson in lessons], max(self._sizes)).to(device)
            for encoder in range(len(lessons[0].features))
        ]
        targets = [smoothed(lesson.targets, settings.label_smoothing, self._several) for lesson in lessons]
        self._targets = table(targets, max(self._sizes)).to(device)
        self._lengths = [
            [min(self._rows, size - step * self._rows) for size in self._sizes] for step in range(self._steps)
        ]
        rows = torch.arange(self._rows)
        self._weights = [
            torch.stack([(rows < length) / length for length in lengths]).to(device) for lengths in self._lengths
        ]
        self._choices = [Choice() for _ in lessons]
        self._looks = _looks(head, lessons, device)

    def train(self) -> list[Trained]:
        settings = self._settings
        own = torch.arange(len(self._choices), device=self._device)[:, None]
        for epoch in range(settings.epochs):
            orders = [torch.randperm(size, generator=r) for size, r in zip(self._sizes, self._random, strict=True)]
            order = table(orders, self._steps * self._rows).to(self._device)
            for step, places in enumerate(order.split(self._rows, 1)):
                self._step(own, places, step, learning_rate(settings, epoch + step / self._steps))
            seen: dict[int, tuple[float | None, float]] = {}
            for look in self._looks:
                seen.update(look.at(self._parameters))
            for position, choice in enumerate(self._choices):
                area, loss = seen.get(position, (None, math.nan))
                if choice.takes(area, loss, last=epoch + 1 == settings.epochs):
                    choice.kept = {name: p.detach()[position].cpu().clone() for name, p in self._parameters.items()}
        return [
            Trained(self._cut(choice.kept), choice.epoch, self._steps * settings.epochs, choice.validation)
            for choice in self._choices
        ]

    def _cut(self, parameters: Parameters) -> Parameters:
        """Without what they were filled up with."""
        return {name: tensor[: self._shapes[name][0], : self._shapes[name][1]] for name, tensor in parameters.items()}

    def _step(self, own: Tensor, places: Tensor, step: int, rate: float) -> None:
        """One step of every head, on the rows ``places`` (stack, batch) of its own data."""
        drawn = [
            [filled_mask(mask, self._rows) for mask in self._head.masks(random, length)]
            for length, random in zip(self._lengths[step], self._random, strict=True)
        ]
        masks = [torch.stack(layer).to(self._device) for layer in zip(*drawn, strict=True)]
        logits = self._head.logits(self._parameters, [each[own, places] for each in self._features], masks)
        losses = loss_by_row(logits, self._targets[own, places], self._several)
        gradients = torch.autograd.grad((losses * self._weights[step]).sum(), list(self._parameters.values()))
        for parameter, gradient in zip(self._parameters.values(), gradients, strict=True):
            parameter.grad = gradient
        self._optimiser.param_groups[0]["lr"] = rate
        self._optimiser.step()


def _looks(head: Head, lessons: Sequence[Lesson], device: torch.device) -> list[Look]:
    """Those of heads with about as many validation images taken together; no head's rows depend on another's."""
    by_rows: dict[int, list[int]] = {}
    for position, lesson in enumerate(lessons):
        if lesson.val_targets is not None and len(lesson.val_targets):
            by_rows.setdefault(math.ceil(len(lesson.val_targets) / LINE), []).append(position)
    found = []
    for positions in by_rows.values():
        features = [lessons[position].val_features or () for position in positions]
        targets = [held for position in positions if (held := lessons[position].val_targets) is not None]
        found.append(Look(head, features, targets, positions, lessons[0].several, device))
    return found
