"""The baseline `scratch` against a standard U-Net recipe, with the same training time.

Both learn vessels from one RITE photograph in the same number of seconds, in one process, with the same number of
threads and the same support photographs. They are evaluated inside the field of view of the other photographs:

    python -m benchmarks.scratch_baseline --data FOLDER/rite --seconds 75 --seeds 4

`FOLDER/rite` has RITE's layout (`AV_groundTruth/training/{images,vessel}`), and DRIVE's field-of-view masks in
`drive_fov/training`. The standard recipe standardises each channel of a photograph: without this, it fails on some
support photographs.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from f2vbench.heads.scratch_unet import score_scratch_unet, train_scratch_unet

REPOSITORY = Path(__file__).resolve().parents[1]
PLAIN_CROP = 192
PLAIN_BATCH = 8
PLAIN_LEARNING_RATE = 2e-3
CALIBRATION_STEPS = (2, 14)


@dataclass(frozen=True)
class Eye:
    """One photograph, (h, w, 3) uint8 RGB, with vessels and field of view, (h, w) bool."""

    name: str
    photograph: np.ndarray
    vessels: np.ndarray
    field_of_view: np.ndarray


class PlainUNet(nn.Module):
    """The standard U-Net: 118,000 parameters, 16, 32 and 64 channels from full resolution downwards."""

    def __init__(self) -> None:
        super().__init__()
        self.down_1 = _plain_block(3, 16)
        self.down_2 = _plain_block(16, 32)
        self.down_4 = _plain_block(32, 64)
        self.up_2 = _plain_block(64 + 32, 32)
        self.up_1 = _plain_block(32 + 16, 16)
        self.head = nn.Conv2d(16, 1, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Compute (n, 1, h, w) logits of (n, 3, h, w) standardised RGB; h and w are multiples of 4."""
        full = self.down_1(images)
        half = self.down_2(F.max_pool2d(full, 2))
        quarter = self.down_4(F.max_pool2d(half, 2))
        half = self.up_2(torch.cat([F.interpolate(quarter, scale_factor=2.0), half], dim=1))
        full = self.up_1(torch.cat([F.interpolate(half, scale_factor=2.0), full], dim=1))
        return self.head(full)


def _plain_block(channels_in: int, channels_out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for source in (channels_in, channels_out):
        layers += [nn.Conv2d(source, channels_out, 3, padding=1), nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def train_plain(eye: Eye, steps: int, seed: int) -> PlainUNet:
    """Train with cross-entropy on augmented crops of 192 × 192 pixels, Adam, batches of 8 and a cosine schedule."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    planes = np.dstack([standardise(eye), eye.vessels.astype(np.float32)])
    model = PlainUNet().train()
    optimiser = torch.optim.Adam(model.parameters(), lr=PLAIN_LEARNING_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        crops = torch.from_numpy(np.stack([_plain_crop(planes, rng) for _ in range(PLAIN_BATCH)])).permute(0, 3, 1, 2)
        loss = F.binary_cross_entropy_with_logits(model(crops[:, :3].contiguous()), crops[:, 3:])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return model.eval()


def standardise(eye: Eye) -> np.ndarray:
    """Return (h, w, 3) float32: mean 0 and standard deviation 1 inside the field of view, 0 outside."""
    inside = eye.photograph[eye.field_of_view].astype(np.float32)
    image = (eye.photograph - inside.mean(axis=0)) / (inside.std(axis=0) + 1e-3)
    return image.astype(np.float32) * eye.field_of_view[..., None]


def _plain_crop(planes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw a (192, 192, 4) float32 crop of (h, w, 4) planes: three channels and the vessels."""
    height, width = planes.shape[:2]
    centre = (rng.uniform(PLAIN_CROP / 2, width - PLAIN_CROP / 2), rng.uniform(PLAIN_CROP / 2, height - PLAIN_CROP / 2))
    matrix: np.ndarray = cv2.getRotationMatrix2D(centre, rng.uniform(0, 360), 1.0)
    matrix[:, 2] += np.subtract(PLAIN_CROP / 2, centre)
    crop: np.ndarray = cv2.warpAffine(planes, matrix, (PLAIN_CROP, PLAIN_CROP), flags=cv2.INTER_LINEAR)
    if rng.random() < 0.5:
        crop = crop[:, ::-1].copy()
    crop[..., :3] = crop[..., :3] * rng.uniform(0.8, 1.2) + rng.uniform(-0.2, 0.2)
    crop[..., 3] = crop[..., 3] > 0.5
    return crop


@torch.no_grad()
def score_plain(model: nn.Module, eye: Eye) -> np.ndarray:
    """Compute the vessel probability, (h, w) float32."""
    height, width = eye.vessels.shape
    padded = np.pad(standardise(eye), ((0, -height % 4), (0, -width % 4), (0, 0)))
    logits = model(torch.from_numpy(padded).permute(2, 0, 1)[None])
    return torch.sigmoid(logits)[0, 0, :height, :width].numpy()


@dataclass(frozen=True)
class Recipe:
    """Training on one photograph, and scoring of another."""

    name: str
    train: Callable[[Eye, int, int], nn.Module]  # eye, steps, seed
    score: Callable[[nn.Module, Eye], np.ndarray]


@dataclass(frozen=True)
class Outcome:
    """Result of one recipe with one support photograph."""

    seconds: float
    auroc: float
    dice: float

    def __str__(self) -> str:
        return f"{self.seconds:6.1f} s  AUROC {self.auroc:.4f}  Dice {self.dice:.4f}"


def plain_recipe() -> Recipe:
    """Return the standard recipe."""
    return Recipe("plain", train_plain, score_plain)


def our_recipe(batch_size: int) -> Recipe:
    """Return the recipe of the baseline `scratch`."""

    def train(eye: Eye, steps: int, seed: int) -> nn.Module:
        support = ([eye.photograph], [eye.vessels], [eye.field_of_view])
        return train_scratch_unet(*support, steps=steps, batch_size=batch_size, seed=seed)

    return Recipe("ours", train, lambda model, eye: score_scratch_unet(model, eye.photograph, eye.field_of_view)[0])


def steps_that_fit(recipe: Recipe, eye: Eye, seconds: float) -> int:
    """Estimate the number of training steps in ``seconds``, with preparation of the photograph."""
    recipe.train(eye, 1, 0)  # warm-up
    few, many = (_seconds_of(recipe, eye, steps) for steps in CALIBRATION_STEPS)
    step = (many - few) / (CALIBRATION_STEPS[1] - CALIBRATION_STEPS[0])
    return max(1, round((seconds - (few - step * CALIBRATION_STEPS[0])) / step))


def _seconds_of(recipe: Recipe, eye: Eye, steps: int) -> float:
    start = time.perf_counter()
    recipe.train(eye, steps, 0)
    return time.perf_counter() - start


def measure(recipe: Recipe, support: Eye, queries: list[Eye], steps: int, seed: int) -> Outcome:
    """Train, measure the wall-clock time, and evaluate the other photographs."""
    start = time.perf_counter()
    model = recipe.train(support, steps, seed)
    seconds = time.perf_counter() - start
    return Outcome(seconds, *auroc_and_dice(lambda eye: recipe.score(model, eye), queries))


def read_rite(folder: Path) -> list[Eye]:
    """Read the photographs of a folder, ordered by name; exit with a message if there are none."""
    images = sorted((folder / "AV_groundTruth" / "training" / "images").glob("*.tif"))
    if len(images) < 2:
        wanted = "AV_groundTruth/training/images/*.tif, …/vessel/*.png and drive_fov/training/*_mask.gif"
        sys.exit(f"no RITE photographs in {folder}: set --data to a folder with {wanted}, or set F2VBENCH_TEST_DATA")
    return [_read_eye(folder, image) for image in images]


def _read_eye(folder: Path, image: Path) -> Eye:
    vessels = image.parents[1] / "vessel" / f"{image.stem}.png"
    field_of_view = folder / "drive_fov" / "training" / f"{image.stem}_mask.gif"
    for mask in (vessels, field_of_view):
        if not mask.is_file():
            sys.exit(f"{image.name} has no mask {mask}: complete the folder, or remove the photograph")
    photograph = np.asarray(Image.open(image).convert("RGB"))
    masks = [np.asarray(Image.open(path).convert("L")) > 0 for path in (vessels, field_of_view)]
    return Eye(image.stem, photograph, *masks)


def auroc_and_dice(score: Callable[[Eye], np.ndarray], queries: list[Eye]) -> tuple[float, float]:
    """Return the mean AUROC and Dice (threshold 0.5) over the photographs, inside the field of view."""
    pairs = []
    for eye in queries:
        scores, truth = score(eye)[eye.field_of_view], eye.vessels[eye.field_of_view]
        predicted = scores > 0.5
        overlap = np.count_nonzero(predicted & truth)
        dice = 2 * overlap / (np.count_nonzero(predicted) + np.count_nonzero(truth))
        pairs.append((roc_auc_score(truth, scores), dice))
    auroc, dice = np.mean(pairs, axis=0)
    return float(auroc), float(dice)


def mean_outcome(outcomes: list[Outcome]) -> Outcome:
    """Return the mean of each number."""
    return Outcome(*np.mean([(each.seconds, each.auroc, each.dice) for each in outcomes], axis=0).tolist())


def main() -> None:
    """Run both recipes on each support photograph and print the comparison."""
    arguments = _arguments()
    torch.set_num_threads(arguments.threads)
    cv2.setNumThreads(arguments.threads)
    eyes = read_rite(arguments.data)
    budgets = {our_recipe(arguments.batch_size): arguments.seconds, plain_recipe(): arguments.plain_seconds}
    steps = {recipe: steps_that_fit(recipe, eyes[0], seconds) for recipe, seconds in budgets.items()}
    for recipe, seconds in budgets.items():
        print(f"{recipe.name:6} {steps[recipe]} steps in {seconds:g} s on {arguments.threads} threads")
    outcomes: dict[str, list[Outcome]] = {recipe.name: [] for recipe in budgets}
    supports = np.random.default_rng(0).permutation(len(eyes))[: arguments.seeds]
    for seed, support in enumerate(supports.tolist()):
        queries = eyes[:support] + eyes[support + 1 :]
        print(f"seed {seed}, support {eyes[support].name}")
        for recipe in budgets:
            outcome = measure(recipe, eyes[support], queries, steps[recipe], seed)
            outcomes[recipe.name].append(outcome)
            print(f"  {recipe.name:6} {outcome}", flush=True)
    _print_summary(mean_outcome(outcomes["ours"]), mean_outcome(outcomes["plain"]))


def _print_summary(ours: Outcome, plain: Outcome) -> None:
    print(f"mean over the seeds\n  ours   {ours}\n  plain  {plain}")
    print(
        f"ours over plain: seconds {ours.seconds / plain.seconds:.2f} x, "
        f"AUROC {ours.auroc - plain.auroc:+.4f}, Dice {ours.dice - plain.dice:+.4f}"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    photographs = Path(os.environ.get("F2VBENCH_TEST_DATA", REPOSITORY.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=photographs / "rite", help="folder in RITE's layout")
    parser.add_argument("--seconds", type=float, default=75.0, help="training time of each recipe (default: 75)")
    parser.add_argument("--plain-seconds", type=float, help="training time of the standard recipe, if different")
    parser.add_argument("--seeds", type=int, default=4, help="support photographs, each with its own seed (default: 4)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (default: 1)")
    parser.add_argument("--batch-size", type=int, default=4, help="crops per step of the baseline (default: 4)")
    arguments = parser.parse_args()
    arguments.plain_seconds = arguments.plain_seconds or arguments.seconds
    return arguments


if __name__ == "__main__":
    main()
