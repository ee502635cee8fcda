"""Choice of the vessel score on simulated eyes: AUROC of every value of `vessel_score=` for every model.

    python -m benchmarks.vessel_scores fundus2video:video.safetensors fundus2fa:fa.safetensors [--eyes 16] [--seed 4242]
        [--views 8]

Arguments are model arguments (`<family>:<weights file>`, or names of weights cards). The eyes are of a seed that no
training and no task uses. AUROC is computed inside the field of view at 512 px and averaged over eyes: for all vessels,
and for thin ones below 1.6 px against the background alone. The width of a vessel pixel is twice the distance from the
background, minus one, at the nearest pixel of the vessel's centre line. A probability of vessels also has its Dice
coefficient at two thresholds. The last rows are the mean over the models of videos, and the top-hat filter. The score
that wins for videos becomes the default of `vessel_score=`; no photograph of a person decides it. `--views` is
`score_views=`.
"""

from __future__ import annotations

import argparse
import os
from typing import get_args

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from skimage.morphology import skeletonize
from sklearn.metrics import f1_score

from f2vbench.config.run import VesselScoreName
from f2vbench.data.square_crop import SquareView
from f2vbench.encoders.base import Encoder
from f2vbench.encoders.baselines.vessel_filters import ScoreBaseline
from f2vbench.encoders.loading import build_encoder
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.registry import FAMILIES
from f2vbench.encoders.vessel_scores import Reading, subtract_background, vessel_score_of
from f2vbench.metrics.segmentation import tally
from f2vbench.phantom import Cohort
from f2vbench.utils.device import arithmetic, bf16_autocast

SIDE = 512
THIN = 1.6  # px
SCORES: tuple[VesselScoreName, ...] = tuple(name for name in get_args(VesselScoreName) if name != "auto")
THRESHOLDS = 0.5, 0.75  # of a probability; the second one undoes the threefold weight of vessels in training
CPU = torch.device("cpu")

Mask = NDArray[np.bool_]
Map = NDArray[np.float32]


def vessel_widths(vessels: Mask) -> NDArray[np.float64]:
    """Width in pixels of the vessel that each pixel belongs to; 0 in the background."""
    centre = skeletonize(vessels)
    width = 2 * distance_transform_edt(vessels) - 1
    nearest = distance_transform_edt(~centre, return_distances=False, return_indices=True)
    return np.where(vessels, width[tuple(nearest)], 0)


def score_maps(encoder: Encoder, square: NDArray[np.uint8], fov: Mask, views: int) -> dict[VesselScoreName, Map]:
    """All scores of one photograph that a generator has; each is computed once."""
    x = torch.from_numpy(square.transpose(2, 0, 1)[None].copy()).float() / 255
    spec = encoder.spec
    scores: dict[VesselScoreName, Map] = {}
    computed: dict[Reading, Map] = {}
    with torch.inference_mode(), bf16_autocast(CPU, arithmetic("auto", CPU) == "bf16"):
        for name in SCORES:
            if name == "probability" and not spec.predicts_vessels:
                continue
            score = vessel_score_of(spec.family, spec.has_truth_layer, name)
            if score.reading not in computed:
                computed[score.reading] = encoder.vessel_score(x, score.reading, views)[0].float().numpy()
            values = computed[score.reading]
            scores[name] = subtract_background(values, fov) if score.is_contrast else values
    return scores


def aurocs(score: Map, vessels: Mask, widths: NDArray[np.float64], fov: Mask) -> tuple[float, float]:
    """AUROC of all vessels and of thin ones, against the same background."""
    thin = fov & ~(vessels & (widths >= THIN))
    return tally(score[fov], vessels[fov]).auroc(), tally(score[thin], vessels[thin]).auroc()


def main() -> None:
    """Print one row a model, with both values of every score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="model arguments of generators")
    parser.add_argument("--eyes", type=int, default=16)
    parser.add_argument("--seed", type=int, default=4242)
    parser.add_argument("--views", type=int, choices=(1, 8), default=8)
    settings = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    encoders = {model: build_encoder(parse_model(model)).requires_grad_(False) for model in settings.models}
    cohort, tophat = Cohort(settings.seed, settings.eyes, size=SIDE), ScoreBaseline("tophat")
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    dice: dict[tuple[str, float], list[float]] = {}
    for number in range(0, 2 * settings.eyes, 2):  # one eye of each patient
        photograph = cohort[number].photograph()
        view = SquareView.around(photograph.truth.field_of_view)
        square = view.crop(photograph.image, SIDE)
        fov, vessels = view.crop(photograph.truth.field_of_view, SIDE), view.crop(photograph.truth.vessels, SIDE)
        widths = vessel_widths(vessels)
        for model, encoder in encoders.items():
            for name, score in score_maps(encoder, square, fov, settings.views).items():
                if name == "probability":
                    for threshold in THRESHOLDS:
                        dice.setdefault((model, threshold), []).append(f1_score(vessels[fov], score[fov] >= threshold))
                found.setdefault((model, name), []).append(aurocs(score, vessels, widths, fov))
        found.setdefault(("tophat", "brightness"), []).append(aurocs(tophat.score(square, fov), vessels, widths, fov))
    means = {key: np.mean(values, axis=0) for key, values in found.items()}
    videos = [model for model, encoder in encoders.items() if FAMILIES[encoder.spec.family].frames > 1]
    if videos:
        means |= {
            ("mean of videos", name): np.mean([means[model, name] for model in videos], axis=0)
            for name in SCORES
            if all((model, name) in means for model in videos)
        }
    for (model, threshold), values in dice.items():
        print(f"{model}: Dice {np.mean(values):.4f} at probability {threshold}")
    print(f"{'AUROC, all (thin)':<32}" + "".join(f"{name:>23}" for name in SCORES))
    for model in dict.fromkeys(model for model, _ in means):
        cells = [
            f"{means[model, name][0]:.4f} ({means[model, name][1]:.4f})" if (model, name) in means else ""
            for name in SCORES
        ]
        print(f"{model:<32}" + "".join(f"{cell:>23}" for cell in cells))


if __name__ == "__main__":
    main()
