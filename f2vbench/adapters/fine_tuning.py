"""Encoders trained end to end with a classification head: the fine-tuning recipe of MAE and RETFound.

AdamW; learning rates that fall by a factor from layer to layer towards the photograph; residual branches that are
skipped in training; random crops, RandAugment and erased rectangles. Head, loss, schedule, choice of the epoch and
random streams are those of heads on frozen embeddings, and so is what the head sees before the first step: embeddings
on the scale of the support images.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from f2vbench.adapters.augmentation import View, erase, made_ahead, random_view
from f2vbench.adapters.base import UnitContext
from f2vbench.adapters.classification_data import Material, Prediction, finite, passes
from f2vbench.adapters.probes import Scale
from f2vbench.data.working_resolution import reduced
from f2vbench.errors import SettingsError
from f2vbench.heads.batched_training import learning_rate, steps_an_epoch
from f2vbench.heads.epoch_selection import Choice, look_at
from f2vbench.heads.losses import class_probabilities, loss_by_row, smoothed
from f2vbench.heads.mlp import Mlp, Parameters
from f2vbench.utils.system import cores

_RATE_OF = 256  # images in the batch to which the learning rate of the settings belongs
_FINER = 2  # how many times as large as the network's sight photographs are kept, so that crops of them are sharp
_MAKERS = 8  # threads that make views beside a GPU


def tuned_prediction(context: UnitContext, unit: Material) -> tuple[Prediction, dict[str, float]]:
    """What a copy of the model's encoder says of a unit's test images, trained with a head on its support images.

    The same bits from the same seed on a CPU, whatever was computed before; the loaded encoder stays as it is, and so
    do the global random generators.

    Returns:
        The prediction, and the seconds of preparation, fitting and scoring.

    Raises:
        DataError: an embedding holds a number that is not finite before training.
        SettingsError: the loss is no longer finite.
    """
    started = time.perf_counter()
    with torch.random.fork_rng(devices=[context.device.index or 0] if context.device.type == "cuda" else []):
        torch.manual_seed(unit.seed % 2**63)
        tuning = Tuning(context, unit)
        prepared = time.perf_counter()
        choice = tuning.fit()
    fitted = time.perf_counter()
    logits = tuning.logits_of(tuning.picture(image) for image in unit.test.images)
    scored = time.perf_counter()
    training = {"epoch": choice.epoch, "validation_auroc": choice.validation, "skipped_blocks": tuning.skipped_blocks}
    steps = passes(len(unit.support), len(unit.val), context.settings.head)
    seconds = {
        "prepare_seconds": prepared - started,
        "fit_seconds": fitted - prepared,
        "score_seconds": scored - fitted,
    }
    return Prediction(class_probabilities(logits, unit.several).numpy(), training, steps), seconds


class Tuning:
    """A fresh copy of an encoder, a head, and the photographs that they are trained on.

    Attributes:
        encoder, parameters: what is trained, the network and the head.
        skipped_blocks: how many blocks of the encoder have branches that training may skip.
    """

    def __init__(self, context: UnitContext, unit: Material):
        self._context, self._unit = context, unit
        self._head_settings, self._tune = context.settings.head, context.settings.tune
        self._device: torch.device = context.device
        self.encoder: Any = copy.deepcopy(context.encoder()).requires_grad_(True)
        self.skipped_blocks: int = self.encoder.add_drop_path(self._tune.drop_path)
        self._random = torch.Generator().manual_seed(unit.seed % 2**63)
        chosen = self._head_settings
        self._head = Mlp(self.encoder.width, chosen.widths, len(unit.classes), chosen.dropout)
        drawn = self._head.initial(self._random)
        self.parameters: Parameters = {name: held.to(self._device).requires_grad_() for name, held in drawn.items()}
        self._support = [self.picture(image) for image in unit.support.images]
        self._val = [self.picture(image) for image in unit.val.images]
        scale = Scale.of(finite(context.model.name, lambda _: self._support_embeddings(), unit.support.images))
        self._mean, self._deviation = (
            torch.from_numpy(each).float().to(self._device) for each in (scale.mean, scale.deviation)
        )

    def picture(self, image: str) -> np.ndarray:
        """What the encoder is shown of a photograph, uint8 (h, w, 3), averaged down to twice what it sees of it."""
        shown = self.encoder.crop_photograph(self._context.photograph(image).square(0))
        most = _FINER * max(self.encoder.embed_size)
        return reduced(shown, (min(shown.shape[0], most), min(shown.shape[1], most)))

    def fit(self) -> Choice:
        """Train, and keep the epoch that is best on the validation images, as for a head on frozen embeddings."""
        unit, settings = self._unit, self._head_settings
        rates = settings.model_copy(update={"learning_rate": self._tune.learning_rate * settings.batch_size / _RATE_OF})
        encoder = dict(self.encoder.named_parameters())
        distances = self.encoder.layer_distances()
        groups = parameter_groups(encoder, distances, self._tune.layer_decay, settings.weight_decay)
        groups += parameter_groups(self.parameters, dict.fromkeys(self.parameters, 0), 1.0, settings.weight_decay)
        optimiser = torch.optim.AdamW(groups)
        targets = smoothed(torch.from_numpy(unit.support.targets), settings.label_smoothing, unit.several)
        targets, steps = targets.to(self._device), steps_an_epoch(len(targets), settings)
        choice = Choice()
        with ThreadPoolExecutor(min(_MAKERS, cores()) if self._device.type == "cuda" else 1) as pool:
            for epoch in range(settings.epochs):
                self.encoder.train()
                told = torch.zeros((), device=self._device)
                for step, (places, prepared) in enumerate(self._batches(epoch, pool)):
                    for group in optimiser.param_groups:
                        group["lr"] = learning_rate(rates, epoch + step / steps) * group["scale"]
                    masks = [mask.to(self._device) for mask in self._head.masks(self._random, len(places))]
                    loss = loss_by_row(self._logits(prepared, masks), targets[places], unit.several).mean()
                    optimiser.zero_grad(set_to_none=True)
                    loss.backward()
                    optimiser.step()
                    told += loss.detach()
                if not math.isfinite(float(told)):
                    raise SettingsError(
                        f"{self._context.unit.label}: the loss is not finite in epoch {epoch + 1}; try a smaller "
                        f"tune.learning_rate than {self._tune.learning_rate:g}, or precision=float32"
                    )
                if choice.takes(*self._look(), last=epoch + 1 == settings.epochs):
                    choice.kept = self._state()
        self._restore(choice.kept)
        return choice

    def _look(self) -> tuple[float | None, float]:
        """AUROC and cross-entropy on the validation images; None and NaN where there are none."""
        if not self._val:
            return None, math.nan
        return look_at(self.logits_of(self._val), torch.from_numpy(self._unit.val.targets), self._unit.several)

    @torch.inference_mode()
    def logits_of(self, pictures: Iterable[np.ndarray]) -> Tensor:
        """(n, classes) logits of pictures on the CPU, without dropout and skipping; on a CPU one by one."""
        self.encoder.eval()
        rows = [torch.zeros(0, len(self._unit.classes))]
        rows += [self._logits(self._prepared(batch)).cpu() for batch in self._few(pictures)]
        return torch.cat(rows)

    @torch.inference_mode()
    def _support_embeddings(self) -> np.ndarray:
        """(n, width) of the support images, before training."""
        self.encoder.eval()
        return torch.cat([self._embedded(self._prepared(batch)) for batch in self._few(self._support)]).cpu().numpy()

    def _few(self, pictures: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
        """Alone, what the network says of a picture can't depend, not even in the last bit, on those beside it."""
        source, most = iter(pictures), 1 if self._device.type == "cpu" else self._head_settings.batch_size
        while batch := list(islice(source, most)):
            yield batch

    def _batches(self, epoch: int, pool: Executor) -> Iterator[tuple[list[int], Tensor]]:
        """Positions of support images, and what the network is shown of them, in a new order."""
        order = torch.randperm(len(self._support), generator=self._random).tolist()
        size = self._head_settings.batch_size
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        if self._context.settings.augment == "none":
            for places in batches:
                yield places, self._prepared([self._support[place] for place in places])
            return

        def make(place: int) -> View:
            draw = np.random.default_rng((self._unit.seed, epoch, place))
            return random_view(self._support[place], self.encoder.embed_size, self._tune, draw), draw

        for places, views in zip(batches, made_ahead(batches, make, pool), strict=True):
            prepared = self.encoder.prepare_view(self._tensor(np.stack([pixels for pixels, _ in views])))
            for own, (_, draw) in zip(prepared, views, strict=True):
                erase(own, self._tune.erasing, draw)
            yield places, prepared

    def _prepared(self, pictures: Sequence[np.ndarray]) -> Tensor:
        return torch.cat([self.encoder.prepare(self._tensor(picture[None])) for picture in pictures])

    def _tensor(self, pictures: np.ndarray) -> Tensor:
        """(n, 3, h, w) uint8"""
        return torch.from_numpy(pictures.copy()).to(self._device).permute(0, 3, 1, 2)

    def _embedded(self, prepared: Tensor) -> Tensor:
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._context.precision == "bf16"):
            embedding: Tensor = self.encoder.pooled(prepared)
        return embedding.float()

    def _logits(self, prepared: Tensor, masks: Sequence[Tensor] = ()) -> Tensor:
        """(n, classes)"""
        scaled = (self._embedded(prepared) - self._mean) / self._deviation
        parameters = {name: held[None] for name, held in self.parameters.items()}
        return self._head.logits(parameters, [scaled[None]], [mask[None] for mask in masks])[0]

    def _state(self) -> Parameters:
        held = {f"encoder.{name}": tensor for name, tensor in self.encoder.state_dict().items()}
        held |= {f"head.{name}": tensor.detach() for name, tensor in self.parameters.items()}
        return {name: tensor.to("cpu", copy=True) for name, tensor in held.items()}

    @torch.no_grad()
    def _restore(self, state: Parameters) -> None:
        encoder = {name.removeprefix("encoder."): t for name, t in state.items() if name.startswith("encoder.")}
        self.encoder.load_state_dict(encoder)
        for name, held in self.parameters.items():
            held.copy_(state[f"head.{name}"])


def parameter_groups(
    parameters: Mapping[str, Tensor], distances: Mapping[str, int], layer_decay: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Groups of parameters for an optimiser, with the factor of their learning rate under ``scale``.

    Matrices and kernels alone decay; not biases, norms, tokens and position embeddings.

    Args:
        distances: layers from each parameter to the head, by name; the factor is ``layer_decay`` to this power.
    """
    grouped: dict[tuple[int, bool], list[Tensor]] = {}
    for name, parameter in parameters.items():
        decays = parameter.ndim > 1 and name.endswith(".weight")
        grouped.setdefault((distances[name], decays), []).append(parameter)
    return [
        {"params": held, "scale": layer_decay**distance, "weight_decay": weight_decay if decays else 0.0}
        for (distance, decays), held in grouped.items()
    ]
