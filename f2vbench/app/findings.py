"""What the page shows of a photograph: angiogram, vessel score, predictions of heads, nearest images of an index."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from f2vbench.app.nearest import NearestImages, NearImage
from f2vbench.app.predictions import ShownPrediction, StoredPredictions
from f2vbench.app.settings import AppSettings
from f2vbench.config.run import RunSettings
from f2vbench.data.photographs import Photograph
from f2vbench.encoders.loading import build_encoder
from f2vbench.encoders.model_argument import parse_only_model
from f2vbench.encoders.registry import FAMILIES
from f2vbench.encoders.spec import ModelSpec
from f2vbench.encoders.vessel_scores import ScoreReading, VesselScore, subtract_background, vessel_score_of
from f2vbench.errors import SettingsError
from f2vbench.pretrained.checkpoints import file_sha256
from f2vbench.pretrained.weights_cards import model_cards
from f2vbench.runner.extraction import encode_squares
from f2vbench.utils.device import arithmetic, torch_device
from f2vbench.utils.progress import Progress
from f2vbench.videos.generate import generate_angiogram

_COLOUR = (0, 229, 255)  # of vessels on the photograph
_VIEWS = RunSettings.model_fields["score_views"].default  # mirrored and rotated, as in f2vbench run
_MAX_SIDE = 900  # px, of the photograph on the page
_RANGE = (50, 99.5)  # percentiles inside the field of view that are transparent and opaque, for differences


@dataclass(frozen=True)
class ModelFacts:
    """What the page says about the generator.

    Attributes:
        name: Its name.
        sha256: First 12 digits of the SHA-256 of its weights; "" for untrained ones.
        training_data: As its weights card says.
    """

    name: str
    sha256: str
    training_data: str


@dataclass(frozen=True)
class Findings:
    """What the page shows of a photograph.

    Attributes:
        name: Name of the photograph.
        frames: uint8 (t, s, s), the angiogram on the square around the field of view.
        overlay: uint8 (h, w, 3), the photograph with its vessel score.
        score_text: What the score is.
        nearest: Nearest images of the index; None without an index.
        predictions: Predictions of the stored heads.
    """

    name: str
    frames: np.ndarray
    overlay: np.ndarray
    score_text: str
    nearest: list[NearImage] | None
    predictions: tuple[ShownPrediction, ...] = ()


class Analysis:
    """A generator, and an index if there is one, ready for photographs.

    Args:
        settings: Model, index, heads and device.
        progress: Receives the progress of reading the index.

    Raises:
        SettingsError: The model generates no angiogram, the folder has no index, or heads are for other images.
        WeightsError: The weights are missing or damaged.
        DataError: The folder of the index does not exist.
        StoreError: The encoder has changed since the index was built, or heads or their encoder are missing or differ.
    """

    def __init__(self, settings: AppSettings, progress: Progress):
        spec = parse_only_model(settings.model, settings.weights)
        if not spec.can_generate or not spec.is_network:
            generators = ", ".join(family.name for family in FAMILIES.values() if family.frames)
            raise SettingsError(f"model={settings.model}: generates no angiogram; models that do are {generators}")
        index = settings.index
        self.nearest = None if index is None else NearestImages(index, settings.k, settings.device, progress)
        """The index; None without one."""
        self._heads = [StoredPredictions(path, settings.device) for path in settings.heads or ()]
        self.model = model_facts(spec)
        """What the page says about the generator."""
        self._device = torch_device(settings.device)
        self._encoder = build_encoder(spec).to(self._device)
        self._size = settings.size
        self._frames = FAMILIES[spec.family].frames
        self._score = vessel_score_of(spec.family, spec.has_truth_layer, "auto")

    def of(self, photograph: Photograph) -> Findings:
        """Analyse a photograph; nothing of it is stored.

        Args:
            photograph: The photograph.
        """
        angiogram = generate_angiogram(self._encoder, photograph.rgb, self._size, self._frames)
        score = self.vessel_score(photograph)
        overlay = draw_score(photograph, score, self._score)
        nearest = self.nearest.of(photograph) if self.nearest else None
        predictions = tuple(heads.of(photograph) for heads in self._heads)
        return Findings(photograph.name, angiogram.frames, overlay, self._score.text, nearest, predictions)

    def vessel_score(self, photograph: Photograph) -> np.ndarray:
        """The zero-shot vessel score of `f2vbench run`, with the same preparation.

        Args:
            photograph: The photograph.

        Returns:
            float32 (height, width), on the photograph; 0 outside the square around its field of view.
        """
        square, reading = photograph.square(self._size), ScoreReading(self._score.reading, _VIEWS)
        precision = arithmetic("auto", self._device)
        encoded = encode_squares(self._encoder, "vessel_score", square[None], self._device, precision, reading)
        score = encoded[0]["score"]
        if self._score.is_contrast:
            score = subtract_background(score, photograph.view.crop(photograph.fov, len(score)))
        return photograph.view.restore(score)


def model_facts(spec: ModelSpec) -> ModelFacts:
    """What the page says about a generator; its weights card is found by the SHA-256 of the weights.

    Args:
        spec: The generator.
    """
    if spec.weights_file is None:
        return ModelFacts(spec.name, "", "none: the weights are random")
    digest = file_sha256(spec.weights_file)
    card = next((card for card in model_cards() if card.sha256 == digest), None)
    return ModelFacts(spec.name, digest[:12], card.training_data if card else "not recorded: no weights card")


def draw_score(photograph: Photograph, score: np.ndarray, kind: VesselScore) -> np.ndarray:
    """Draw a vessel score over its photograph, the more opaque the higher it is.

    A probability is opaque at 1 and transparent at 0; the scale of any other score is that of its percentiles inside
    the field of view.

    Args:
        photograph: The photograph.
        score: float32 (height, width).
        kind: What the score is.

    Returns:
        uint8 (h, w, 3), reduced to sides of at most 900 px.
    """
    low, high = (0.0, 1.0) if kind.reading == "probability" else np.percentile(score[photograph.fov], _RANGE)
    opacity = np.clip((score - low) / max(high - low, 1e-6), 0, 1) * photograph.fov
    blended = photograph.rgb + opacity[..., None] * (np.array(_COLOUR, np.float32) - photograph.rgb)
    scale = min(1.0, _MAX_SIDE / max(score.shape))
    size = (max(1, round(score.shape[1] * scale)), max(1, round(score.shape[0] * scale)))
    drawn: np.ndarray = cv2.resize(np.rint(blended).astype(np.uint8), size, interpolation=cv2.INTER_AREA)
    return drawn
