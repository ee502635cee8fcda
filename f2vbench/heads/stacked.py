"""Training of many small heads at once: as one batch of parameters, each as if it were alone.

Heads of one kind differ in their data and their random numbers only. Those that take the same number of steps in an
epoch share every forward and backward pass; what a head becomes does not depend on which others are beside it, because
each has a random stream of its own, its own sums, and its own step of the optimiser. On a CPU this holds to the last
bit: a matrix product's rounding follows its shape and where its operands begin in memory, so all widths are filled up
with zeros to whole cache lines, and all batches with rows of weight 0 to one size.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor
from torch.nn import functional

from f2vbench.heads.mlp import Head, Parameters
from f2vbench.metrics.classification import auroc_by_class
from f2vbench.settings import HeadSettings

_LINE = 16
"""Numbers of 4 bytes in a cache line."""


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
    by_length: dict[int, list[int]] = {}
    for position, lesson in enumerate(lessons):
        by_length.setdefault(steps_an_epoch(len(lesson.targets), settings), []).append(position)
    trained: dict[int, Trained] = {}
    for positions in by_length.values():
        stack = _Stack(head, [lessons[position] for position in positions], settings, device)
        trained.update(zip(positions, stack.train(), strict=True))
    return [trained[position] for position in range(len(lessons))]


def steps_an_epoch(images: int, settings: HeadSettings) -> int:
    """How many batches so many images make."""
    return math.ceil(images / settings.batch_size)


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


def smoothed(targets: Tensor, smoothing: float, several: bool) -> Tensor:
    """Targets with label smoothing: a part ``smoothing`` is spread over all classes (or over yes and no)."""
    return targets.float() * (1 - smoothing) + smoothing / (2 if several else targets.shape[-1])


def loss_by_row(logits: Tensor, targets: Tensor, several: bool) -> Tensor:
    """Cross-entropy of each row: (…, n) of (…, n, classes) logits and targets in [0, 1]."""
    if several:
        return functional.binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(-1)
    return -(targets * functional.log_softmax(logits, -1)).sum(-1)


def predict(
    head: Head, parameters: Parameters, features: Sequence[Tensor], several: bool, device: torch.device
) -> NDArray[np.float32]:
    """(n, classes) probabilities of one head."""
    with torch.inference_mode():
        mine = {name: tensor[None].to(device) for name, tensor in parameters.items()}
        logits = head.logits(mine, [each[None].to(device) for each in features])[0]
        return _probabilities(logits, several).cpu().numpy()


class _Stack:
    """Heads that take the same number of steps in an epoch."""

    def __init__(self, head: Head, lessons: Sequence[Lesson], settings: HeadSettings, device: torch.device):
        self._head, self._lessons, self._settings, self._device = head, lessons, settings, device
        self._random = [Generator().manual_seed(lesson.seed) for lesson in lessons]
        drawn = [head.initial(random) for random in self._random]
        self._shapes = {name: tensor.shape for name, tensor in drawn[0].items()}
        self._parameters = {
            name: torch.stack([_filled_parameter(name, each[name]) for each in drawn]).to(device).requires_grad_()
            for name in drawn[0]
        }
        # Parts of the stack as parameters of their own: an element's step does not depend on where in it it lies.
        self._single = [{name: p.detach()[i] for name, p in self._parameters.items()} for i in range(len(lessons))]
        self._optimiser = torch.optim.AdamW(
            [tensor for each in self._single for tensor in each.values()],
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        several = lessons[0].several
        self._features = [[_filled(each).to(device) for each in lesson.features] for lesson in lessons]
        self._targets = [smoothed(lesson.targets, settings.label_smoothing, several).to(device) for lesson in lessons]
        self._choices = [_Choice(head, lesson, device) for lesson in lessons]

    def train(self) -> list[Trained]:
        settings = self._settings
        steps = steps_an_epoch(len(self._lessons[0].targets), settings)
        for epoch in range(settings.epochs):
            orders = [torch.randperm(len(t), generator=r) for t, r in zip(self._targets, self._random, strict=True)]
            for step in range(steps):
                rate = learning_rate(settings, epoch + step / steps)
                self._step([order[step * settings.batch_size :][: settings.batch_size] for order in orders], rate)
            for choice, parameters in zip(self._choices, self._single, strict=True):
                choice.look(parameters, last=epoch + 1 == settings.epochs)
        return [
            Trained(self._cut(choice.kept), choice.epoch, steps * settings.epochs, choice.validation)
            for choice in self._choices
        ]

    def _cut(self, parameters: Parameters) -> Parameters:
        """Without what they were filled up with."""
        return {name: tensor[: self._shapes[name][0], : self._shapes[name][1]] for name, tensor in parameters.items()}

    def _step(self, batches: Sequence[Tensor], rate: float) -> None:
        """One step of every head."""
        rows = self._settings.batch_size
        places = [functional.pad(batch, (0, rows - len(batch))).to(self._device) for batch in batches]
        features = [
            torch.stack([own[encoder][place] for own, place in zip(self._features, places, strict=True)])
            for encoder in range(len(self._features[0]))
        ]
        targets = torch.stack([own[place] for own, place in zip(self._targets, places, strict=True)])
        drawn = [
            [
                functional.pad(_filled(mask), (0, 0, 0, rows - len(batch)))
                for mask in self._head.masks(random, len(batch))
            ]
            for batch, random in zip(batches, self._random, strict=True)
        ]
        masks = [torch.stack(layer).to(self._device) for layer in zip(*drawn, strict=True)]
        weights = torch.stack([(torch.arange(rows) < len(batch)) / len(batch) for batch in batches]).to(self._device)
        logits = self._head.logits(self._parameters, features, masks)
        loss = (loss_by_row(logits, targets, self._lessons[0].several) * weights).sum()
        gradients = torch.autograd.grad(loss, list(self._parameters.values()))
        for position, parameters in enumerate(self._single):
            for tensor, gradient in zip(parameters.values(), gradients, strict=True):
                tensor.grad = gradient[position]
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.step()


class _Choice:
    """Which epoch of one head is kept."""

    def __init__(self, head: Head, lesson: Lesson, device: torch.device):
        self.validation: list[float | None] = []
        self.epoch = 0
        self.kept: Parameters = {}
        self._look: Callable[[Parameters], tuple[float | None, float]] | None = None
        self._best = (-math.inf, -math.inf)
        if lesson.val_features is not None and lesson.val_targets is not None and len(lesson.val_targets):
            features = [_filled(each)[None].to(device) for each in lesson.val_features]
            targets, several = lesson.val_targets.to(device), lesson.several
            held = lesson.val_targets.numpy().astype(bool)

            def look(parameters: Parameters) -> tuple[float | None, float]:
                mine = {name: tensor[None] for name, tensor in parameters.items()}
                with torch.inference_mode():
                    logits = head.logits(mine, features)[0]
                    loss = float(loss_by_row(logits, targets.float(), several).double().mean())
                    areas = auroc_by_class(_probabilities(logits, several).cpu().numpy(), held)
                known = [area for area in areas if area is not None]
                return (float(np.mean(known)) if known else None), loss

            self._look = look

    def look(self, parameters: Parameters, last: bool) -> None:
        """See what an epoch gave."""
        epoch = len(self.validation) + 1
        area, loss = self._look(parameters) if self._look is not None else (None, math.nan)
        self.validation.append(area)
        better = area is not None and (area, -loss) > self._best
        if better or (last and not self.kept):
            self._best = (area, -loss) if area is not None else self._best
            self.kept = {name: tensor.cpu().clone() for name, tensor in parameters.items()}
            self.epoch = epoch


def _filled(tensor: Tensor) -> Tensor:
    """(n, width) rows with zeros to their right, to a multiple of a line."""
    return functional.pad(tensor, (0, -tensor.shape[1] % _LINE))


def _filled_parameter(name: str, tensor: Tensor) -> Tensor:
    """A weight (inputs, outputs) with zeros to the right and below; a bias (1, outputs) stays one row."""
    below = 0 if name.endswith(".bias") else -len(tensor) % _LINE
    return functional.pad(tensor, (0, -tensor.shape[1] % _LINE, 0, below))


def _probabilities(logits: Tensor, several: bool) -> Tensor:
    return torch.sigmoid(logits) if several else torch.softmax(logits, -1)
