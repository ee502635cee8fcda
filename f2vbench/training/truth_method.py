"""Training on what the simulator knows: vessels by type, disc, fovea and kinds of lesions, instead of frames.

It has the network, data and budget of the angiogram generators, so that its encoder is the upper bound of what the
simulated eyes can teach.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from f2vbench.errors import DataError
from f2vbench.training.data.truth_maps import LESIONS, VESSELS
from f2vbench.training.data.video_loader import VideoBatch
from f2vbench.training.distributed import average
from f2vbench.training.generator_features import forward_layers
from f2vbench.training.losses import truth_loss
from f2vbench.training.settings import TrainSettings
from f2vbench.training.trained_networks import GeneratorNetworks, generator_shape
from f2vbench.training.validation import vessel_scores
from f2vbench.utils.device import bf16_autocast


@dataclass(frozen=True)
class PredictedTruth:
    """The predicted classes of a photograph with the true ones.

    Attributes:
        photograph: float32 (h, w, 3), RGB in [0, 1].
        real: float32 (classes, h, w) of 0 and 1.
        predicted: float32 (classes, h, w) in [0, 1], 0 outside the field of view.
        fov_mask: bool (h, w), the field of view.
    """

    photograph: np.ndarray
    real: np.ndarray
    predicted: np.ndarray
    fov_mask: np.ndarray

    def scores(self) -> dict[str, float]:
        """AUROC of vessels, by the larger probability of artery and vein."""
        return vessel_scores(self.predicted[VESSELS].max(axis=0), self.real[VESSELS].max(axis=0) > 0.5, self.fov_mask)

    def strip(self) -> np.ndarray:
        """Photograph, true and predicted classes side by side, uint8 (h, 3 w, 3).

        Arteries are red, veins blue and lesions green.
        """
        panels = [self.photograph]
        for classes in (self.real, self.predicted):
            artery, vein = classes[VESSELS]
            panels.append(np.stack([artery, classes[LESIONS].max(axis=0), vein], axis=2))
        return np.asarray(np.rint(255 * np.concatenate(panels, 1)), np.uint8)

    def animation(self) -> None:
        """There is no video."""
        return


class TruthMethod:
    """Training of `truth`; see `f2vbench.training.methods.TrainingMethod`.

    Args:
        settings: Of the training.
        device: Of the networks.
        bf16: Autocast to bfloat16.
    """

    prefix = "model."

    def __init__(self, settings: TrainSettings, device: torch.device, bf16: bool):
        self.networks = GeneratorNetworks(settings, device)
        self._settings = settings
        self._device = device
        self._bf16 = bf16

    def architecture(self) -> Mapping[str, Any]:
        """Name and shape of the network."""
        return {"name": "pix2pixhd-global", **asdict(generator_shape(self._settings))}

    def train_step(self, batch: VideoBatch, epoch: int, videos: int, place: float) -> dict[str, float]:
        """Take one optimiser step.

        Args:
            batch: Photographs with their truth.
            epoch: Not used.
            videos: Not used.
            place: Not used.

        Returns:
            The loss ``truth``, and ``contrast``, the standard deviation of the predictions.

        Raises:
            DataError: The cases are not simulated.
        """
        batch = batch.to(self._device)
        if batch.truth is None:
            raise DataError(f"{batch.cases[0]}: has no truth of a simulator, which model=truth needs; use data=phantom")
        generator = self.networks.generator
        last = generator.shape.last_convolution
        with bf16_autocast(self._device, self._bf16):
            output, maps = forward_layers(
                generator, batch.photograph, {last}, checkpointing=self._settings.checkpointing
            )
        # The tanh maps a value z to 2 σ(2 z) − 1, so 2 z is the logit of the probability (output + 1) / 2.
        loss = truth_loss(2 * maps[last].float(), batch.truth, batch.fov_mask)
        self.networks.minimise(self._settings.loss.truth * loss)
        values = torch.stack([loss.detach(), output.detach().float().std()])
        average([values])
        return dict(zip(("truth", "contrast"), values.tolist(), strict=True))

    @torch.no_grad()
    def validate(self, batch: VideoBatch) -> Iterator[PredictedTruth]:
        """Predict the classes of each photograph of a batch."""
        batch = batch.to(self._device)
        if batch.truth is None:
            return
        with bf16_autocast(self._device, self._bf16):
            output = self.networks.best(batch.photograph)
        predicted = ((output.float() + 1) / 2).clamp(0, 1) * batch.fov_mask
        photographs = ((batch.photograph + 1) / 2).clamp(0, 1).permute(0, 2, 3, 1)
        arrays = [values.cpu().numpy() for values in (photographs, batch.truth, predicted, batch.fov_mask[:, 0] > 0.5)]
        for photograph, real, classes, fov_mask in zip(*arrays, strict=True):
            yield PredictedTruth(photograph, real, classes, fov_mask)
