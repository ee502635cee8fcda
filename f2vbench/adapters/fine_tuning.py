"""End-to-end training of an encoder with a classification head: the fine-tuning recipe of MAE and RETFound.

AdamW with layer-wise learning-rate decay, stochastic depth, random crops, RandAugment and random erasing. Head, loss,
learning-rate schedule, selection of the epoch and random streams are the same as for heads on frozen embeddings. Before
the first step, the head receives the same input: embeddings that are scaled with those of the support images.
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

from f2vbench.adapters.augmentation import View, prefetch_views, random_view, randomly_erase
from f2vbench.adapters.base import UnitContext, check_finite
from f2vbench.adapters.classification_data import ClassificationData, Prediction, Training, count_passes
from f2vbench.adapters.head_training import torch_seed
from f2vbench.adapters.probes import FeatureScaler
from f2vbench.data.working_resolution import reduced
from f2vbench.errors import SettingsError
from f2vbench.heads.base import Parameters, class_probabilities, cross_entropy_by_row, smooth_targets
from f2vbench.heads.batched_training import learning_rate_at, steps_per_epoch
from f2vbench.heads.epoch_selection import EpochSelection, ValidationScore, validation_score
from f2vbench.heads.mlp import Mlp
from f2vbench.utils.step_reports import report_step
from f2vbench.utils.system import cores

_REFERENCE_BATCH = 256  # batch size to which the learning rate of the settings belongs
_OVERSAMPLING = 2  # photographs are stored at this multiple of the network's input size, so that crops are sharp
_MAX_THREADS = 8  # threads that prepare views for a GPU


def fine_tune_and_predict(context: UnitContext, data: ClassificationData) -> tuple[Prediction, dict[str, float]]:
    """Train a copy of the encoder and a head on the support images, and predict the test images.

    On a CPU, the same seed gives the same result to the last bit. The loaded encoder and the global random generators
    do not change.

    Args:
        context: Context of the unit.
        data: Images and labels of the unit.

    Returns:
        The prediction, and the seconds of preparation, fitting and scoring.

    Raises:
        DataError: Before training, an embedding contains a value that is not finite.
        SettingsError: The loss is not finite.
    """
    started = time.perf_counter()
    with torch.random.fork_rng(devices=[context.device.index or 0] if context.device.type == "cuda" else []):
        torch.manual_seed(torch_seed(data.seed))
        fine_tuning = FineTuning(context, data)
        prepared = time.perf_counter()
        selection = fine_tuning.fit()
    fitted = time.perf_counter()
    logits = fine_tuning.logits(fine_tuning.load_image(image) for image in data.test.images)
    scored = time.perf_counter()
    val_logits = fine_tuning.logits(fine_tuning.load_image(image) for image in data.val.images)
    steps = count_passes(len(data.support), len(data.selection), context.settings.head)
    training = Training(selection.epoch, selection.validation, steps, fine_tuning.skipped_blocks)
    seconds = {
        "prepare_seconds": prepared - started,
        "fit_seconds": fitted - prepared,
        "score_seconds": scored - fitted,
    }
    probabilities = class_probabilities(logits, data.multi_label).numpy()
    validation = class_probabilities(val_logits, data.multi_label).numpy() if len(data.val) else None
    return Prediction(probabilities, validation, training), seconds


class FineTuning:
    """A copy of an encoder, a head, and the images that they are trained on.

    Args:
        context: Context of the unit.
        data: Images and labels of the unit.

    Attributes:
        encoder: The copy of the encoder.
        head_parameters: Parameters of the head.
        support_images: (h, w, 3) uint8 support images.
        skipped_blocks: Number of blocks of the encoder with stochastic depth.
    """

    def __init__(self, context: UnitContext, data: ClassificationData):
        self._context, self._data = context, data
        self._head_settings, self._tune = context.settings.head, context.settings.tune
        self._device = context.device
        self.encoder: Any = copy.deepcopy(context.encoder()).requires_grad_(True)
        self.skipped_blocks: int = self.encoder.add_drop_path(self._tune.drop_path)
        self._generator = torch.Generator().manual_seed(torch_seed(data.seed))
        settings = self._head_settings
        self._head = Mlp(self.encoder.width, settings.widths, len(data.classes), settings.dropout)
        initial = self._head.initial_parameters(self._generator)
        self.head_parameters: Parameters = {
            name: tensor.to(self._device).requires_grad_() for name, tensor in initial.items()
        }
        self.support_images = [self.load_image(image) for image in data.support.images]
        self._val_images = [self.load_image(image) for image in data.selection.images]
        embeddings = self._support_embeddings()
        check_finite(context.model.name, data.support.images, embeddings)
        scaler = FeatureScaler.fit(embeddings)
        self._mean = torch.from_numpy(scaler.mean).float().to(self._device)
        self._deviation = torch.from_numpy(scaler.deviation).float().to(self._device)

    def load_image(self, image: str) -> np.ndarray:
        """Load the crop that the encoder uses, (h, w, 3) uint8, reduced to at most twice the network's input size."""
        photograph = self._context.photograph(image)
        square = photograph.square(0)
        crop = self.encoder.crop_photograph(square) if photograph.has_round_field else square
        limit = _OVERSAMPLING * max(self.encoder.embed_size)
        return reduced(crop, (min(crop.shape[0], limit), min(crop.shape[1], limit)))

    def fit(self) -> EpochSelection:
        """Train encoder and head; at the end, they have the parameters of the selected epoch.

        Returns:
            The selected epoch and the validation scores.

        Raises:
            SettingsError: The loss is not finite.
        """
        data, settings = self._data, self._head_settings
        peak = self._tune.learning_rate * settings.batch_size / _REFERENCE_BATCH
        schedule = settings.model_copy(update={"learning_rate": peak})
        optimiser = torch.optim.AdamW(self._parameter_groups())
        targets = smooth_targets(torch.from_numpy(data.support.targets), settings.label_smoothing, data.multi_label)
        targets, steps = targets.to(self._device), steps_per_epoch(len(targets), settings)
        selection = EpochSelection()
        with ThreadPoolExecutor(min(_MAX_THREADS, cores()) if self._device.type == "cuda" else 1) as pool:
            for epoch in range(settings.epochs):
                self.encoder.train()
                epoch_loss = torch.zeros((), device=self._device)
                for step, (positions, inputs) in enumerate(self._batches(epoch, pool)):
                    for group in optimiser.param_groups:
                        group["lr"] = learning_rate_at(schedule, epoch + step / steps) * group["scale"]
                    masks = self._head.dropout_masks(self._generator, len(positions))
                    logits = self._logits(inputs, [mask.to(self._device) for mask in masks])
                    loss = cross_entropy_by_row(logits, targets[positions], data.multi_label).mean()
                    optimiser.zero_grad(set_to_none=True)
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimiser.step()
                    epoch_loss += loss.detach()
                    report_step(epoch * steps + step + 1, settings.epochs * steps)
                if not math.isfinite(float(epoch_loss)):
                    raise SettingsError(
                        f"{self._context.unit.label}: the loss is not finite in epoch {epoch + 1}; try a smaller "
                        f"tune.learning_rate than {self._tune.learning_rate:g}, or precision=float32"
                    )
                if selection.select(self._validation_score(), last=epoch + 1 == settings.epochs):
                    selection.parameters = self._state()
        self._restore(selection.parameters)
        return selection

    @torch.inference_mode()
    def logits(self, images: Iterable[np.ndarray]) -> Tensor:
        """Compute (n, classes) logits of images on the CPU, without dropout and stochastic depth."""
        self.encoder.eval()
        rows = [torch.zeros(0, len(self._data.classes))]
        rows += [self._logits(self._prepare(batch)).cpu() for batch in self._inference_batches(images)]
        return torch.cat(rows)

    def _parameter_groups(self) -> list[dict[str, Any]]:
        """Return the optimiser's groups of the encoder's parameters and of the head's."""
        weight_decay, distances = self._head_settings.weight_decay, self.encoder.layer_distances()
        encoder = dict(self.encoder.named_parameters())
        head_distances = dict.fromkeys(self.head_parameters, 0)
        return [
            *parameter_groups(encoder, distances, self._tune.layer_decay, weight_decay),
            *parameter_groups(self.head_parameters, head_distances, 1.0, weight_decay),
        ]

    def _validation_score(self) -> ValidationScore:
        if not self._val_images:
            return ValidationScore()
        targets = torch.from_numpy(self._data.selection.targets)
        return validation_score(self.logits(self._val_images), targets, self._data.multi_label)

    @torch.inference_mode()
    def _support_embeddings(self) -> np.ndarray:
        """Compute the (n, width) embeddings of the support images before training."""
        self.encoder.eval()
        batches = self._inference_batches(self.support_images)
        embeddings: np.ndarray = torch.cat([self._embed(self._prepare(batch)) for batch in batches]).cpu().numpy()
        return embeddings

    def _inference_batches(self, images: Iterable[np.ndarray]) -> Iterator[list[np.ndarray]]:
        """Yield batches; on a CPU single images, so that no other image affects the last bit of a result."""
        remaining, size = iter(images), 1 if self._device.type == "cpu" else self._head_settings.batch_size
        while batch := list(islice(remaining, size)):
            yield batch

    def _batches(self, epoch: int, pool: Executor) -> Iterator[tuple[list[int], Tensor]]:
        """Yield positions of support images in a new order, and the network's input for them."""
        order = torch.randperm(len(self.support_images), generator=self._generator).tolist()
        size = self._head_settings.batch_size
        batches = [order[start : start + size] for start in range(0, len(order), size)]
        if self._context.settings.augment == "none":
            for positions in batches:
                yield positions, self._prepare([self.support_images[position] for position in positions])
            return

        def make_view(position: int) -> View:
            rng = np.random.default_rng((self._data.seed, epoch, position))
            return random_view(self.support_images[position], self.encoder.embed_size, self._tune, rng), rng

        for positions, views in zip(batches, prefetch_views(batches, make_view, pool), strict=True):
            inputs = self.encoder.prepare_view(self._tensor(np.stack([pixels for pixels, _ in views])))
            for image, (_, rng) in zip(inputs, views, strict=True):
                randomly_erase(image, self._tune.erasing, rng)
            yield positions, inputs

    def _prepare(self, images: Sequence[np.ndarray]) -> Tensor:
        """Preprocess images for the network, without augmentation."""
        return torch.cat([self.encoder.prepare(self._tensor(image[None])) for image in images])

    def _tensor(self, images: np.ndarray) -> Tensor:
        """Convert (n, h, w, 3) uint8 to a tensor (n, 3, h, w)."""
        return torch.from_numpy(images.copy()).to(self._device).permute(0, 3, 1, 2)

    def _embed(self, inputs: Tensor) -> Tensor:
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._context.precision == "bf16"):
            embedding: Tensor = self.encoder.pooled(inputs)
        return embedding.float()

    def _logits(self, inputs: Tensor, masks: Sequence[Tensor] = ()) -> Tensor:
        scaled = (self._embed(inputs) - self._mean) / self._deviation
        parameters = {name: tensor[None] for name, tensor in self.head_parameters.items()}
        return self._head.logits(parameters, [scaled[None]], [mask[None] for mask in masks])[0]

    def _state(self) -> Parameters:
        """Return copies of all parameters of encoder and head, on the CPU."""
        state = {f"encoder.{name}": tensor for name, tensor in self.encoder.state_dict().items()}
        state |= {f"head.{name}": tensor.detach() for name, tensor in self.head_parameters.items()}
        return {name: tensor.to("cpu", copy=True) for name, tensor in state.items()}

    @torch.no_grad()
    def _restore(self, state: Parameters) -> None:
        encoder = {name.removeprefix("encoder."): t for name, t in state.items() if name.startswith("encoder.")}
        self.encoder.load_state_dict(encoder)
        for name, parameter in self.head_parameters.items():
            parameter.copy_(state[f"head.{name}"])


def parameter_groups(
    parameters: Mapping[str, Tensor], distances: Mapping[str, int], layer_decay: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Group parameters for an optimiser with layer-wise learning-rate decay.

    Weight decay applies to matrices and kernels, not to biases, norms, tokens and position embeddings.

    Args:
        parameters: Parameters by name.
        distances: Number of layers from each parameter to the head, by name.
        layer_decay: Factor of the learning rate from one layer to the layer before it.
        weight_decay: Weight decay of matrices and kernels.

    Returns:
        Groups with ``params``, ``weight_decay`` and the factor of the learning rate, ``scale``.
    """
    grouped: dict[tuple[int, bool], list[Tensor]] = {}
    for name, parameter in parameters.items():
        decays = parameter.ndim > 1 and name.endswith(".weight")
        grouped.setdefault((distances[name], decays), []).append(parameter)
    return [
        {"params": members, "scale": layer_decay**distance, "weight_decay": weight_decay if decays else 0.0}
        for (distance, decays), members in grouped.items()
    ]
