"""The mask techniques of Fundus2Video alone and together, at mini size: the ablation of Table 1 of the MICCAI paper.

    python -m benchmarks.generator_ablation --start GENERATOR --out FOLDER [--seeds 3] [--eyes 40] [--epochs 1]
        [--tested 8] [--jobs 2]

All rows start from the same generator (`--start`: one after its pixel epochs, whose losses use no mask), train on the
same videos with the losses of their row, and are tested on the same unseen eyes, whole squares of 512 pixels: PSNR,
SSIM, LPIPS where its weights are installed, the stand-in Fréchet distance (no FVD), and how well the brightness of the
venous frames separates vessels from background (AUROC inside the field of view, mean over eyes). Each value is the
mean over training seeds with its standard deviation. Completed trainings are stored in FOLDER and not repeated.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import pandas as pd
import torch

from f2vbench.config.parsing import build
from f2vbench.data.square_crop import SquareView
from f2vbench.encoders.loading import load_encoder
from f2vbench.encoders.vessel_scores import VENOUS
from f2vbench.metrics.segmentation import tally
from f2vbench.metrics.video import ALL, STAND_IN_METRIC, video_metrics
from f2vbench.phantom import Cohort
from f2vbench.training.presets import ABLATIONS
from f2vbench.training.settings import TrainSettings
from f2vbench.training.train import train
from f2vbench.utils.files import write_atomically
from f2vbench.utils.progress import Silent

SIDE = 512
TEST_COHORT = 770_001
COLUMNS = {"psnr": "PSNR", "ssim": "SSIM", "lpips": "LPIPS", STAND_IN_METRIC: "stand-in", "auroc": "vessels"}


@dataclass(frozen=True)
class Ablation:
    """What all rows share.

    Attributes:
        start: Generator that all rows start from.
        out: Folder of the trainings and their scores.
        eyes: Training videos in an epoch.
        epochs: Of each training.
        tested: Number of unseen eyes.
    """

    start: Path
    out: Path
    eyes: int
    epochs: int
    tested: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", type=Path, required=True, help="generator that all rows start from")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--eyes", type=int, default=40, help="training videos in an epoch")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--tested", type=int, default=8, help="unseen eyes")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    ablation = Ablation(arguments.start, arguments.out, arguments.eyes, arguments.epochs, arguments.tested)
    jobs = [(row, seed) for seed in range(arguments.seeds) for row in ABLATIONS]
    with multiprocessing.get_context("spawn").Pool(arguments.jobs) as workers:
        results = workers.imap_unordered(partial(_train_row, ablation), jobs)
        for done, (row, seed, scores) in enumerate(results, 1):
            print(f"{done} of {len(jobs)}: {row}, seed {seed}: {_scores_text(scores)}", file=sys.stderr, flush=True)
    videos = f"{ablation.epochs} × {ablation.eyes} videos after the start"
    print(f"{arguments.seeds} seeds, {videos}, {ablation.tested} unseen eyes")
    print(table(ablation.out, range(arguments.seeds)))
    return 0


def table(out: Path, seeds: range) -> str:
    """Mean ± standard deviation over seeds, one line for each row of the ablation."""
    lines = [f"{'ablation':<18}" + "".join(f"{title:>18}" for title in COLUMNS.values())]
    for row in ABLATIONS:
        scores = pd.DataFrame([json.loads((out / f"{row}-{seed}.json").read_text()) for seed in seeds]).astype(float)
        cells = [
            f"{scores[key].mean():.4f} ± {scores[key].std():.4f}" if scores[key].notna().all() else "–"
            for key in COLUMNS
        ]
        lines.append(f"{row:<18}" + "".join(f"{cell:>18}" for cell in cells))
    return "\n".join(lines)


def _train_row(ablation: Ablation, job: tuple[str, int]) -> tuple[str, int, dict[str, float | None]]:
    """Train and score one row with one seed, or read its stored scores."""
    row, seed = job
    folder = ablation.out / f"{row}-{seed}"
    stored = ablation.out / f"{row}-{seed}.json"
    if not stored.is_file():
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        values = {"preset": "mini", "ablation": row, "seed": seed, "start": ablation.start, "out": folder}
        values |= {"eyes": ablation.eyes, "epochs": ablation.epochs, "flat_epochs": ablation.epochs}
        values |= {"pixel_epochs": 0, "rollout_epochs": 0, "warmup_epochs": 0, "windows": 12, "renew": 1}
        values |= {"split": [ablation.eyes, 1, 0], "batch_size": 1}
        values |= {"samples": 1, "validate_videos": 1, "device": "cpu"}
        generator = train(build(TrainSettings, values), Silent())
        write_atomically(stored, json.dumps(_scores(generator, ablation.tested)).encode())
    return row, seed, json.loads(stored.read_text())


def _scores(generator: Path, tested: int) -> dict[str, float | None]:
    encoder = load_encoder("fundus2video", str(generator))
    cohort = Cohort(TEST_COHORT, tested, size=SIDE)
    real, fake, fov_masks, vessel_aurocs = [], [], [], []
    for number in range(0, 2 * tested, 2):
        eye = cohort[number]
        acquired, video = eye.photograph(), eye.angiogram().frames
        view = SquareView.around(acquired.truth.field_of_view)
        photograph = torch.from_numpy(view.crop(acquired.image, SIDE)).permute(2, 0, 1)[None].float() / 255
        fov_mask = view.crop(acquired.truth.field_of_view, SIDE)
        generated = encoder.generate(photograph)[0].numpy().clip(0, 1)
        times = np.linspace(0, len(video) - 1, len(generated)).round().astype(int)
        real.append(np.stack([view.crop(video[time], SIDE) for time in times]).astype(np.float32) / 255 * fov_mask)
        fake.append(generated * fov_mask)
        fov_masks.append(fov_mask)
        vessels = view.crop(acquired.truth.vessels, SIDE)
        vessel_aurocs.append(tally(generated[VENOUS].mean(axis=0)[fov_mask], vessels[fov_mask]).auroc())
    means = {score.metric: score.value for score in video_metrics(real, fake, inside=fov_masks) if score.case == ALL}
    return {key: means.get(key) for key in COLUMNS} | {"auroc": float(np.mean(vessel_aurocs))}


def _scores_text(scores: dict[str, float | None]) -> str:
    return ", ".join(f"{COLUMNS[key]} {value:.4f}" for key, value in scores.items() if value is not None)


if __name__ == "__main__":
    sys.exit(main())
