"""The mask techniques of Fundus2Video alone and together, at mini size: the ablation of the MICCAI paper's Table 1.

    python -m benchmarks.generator_ablation --start GENERATOR --out FOLDER [--seeds 3] [--eyes 40] [--epochs 1]
        [--tested 8] [--jobs 2]

All rows begin with the same generator (`--start`: one after its pixel epochs, whose losses have no mask), train on the
same videos with the losses of their row, and are tested on the same unseen eyes, whole squares of 512 px: PSNR, SSIM,
LPIPS where its weights are on this machine, the stand-in Fréchet distance (no FVD), and how well the brightness of the
venous frames tells vessels (AUROC inside the field of view, mean over eyes). Each number is the mean over seeds of
training, with its standard deviation. What is finished is kept in FOLDER and not done again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
import pandas as pd
import torch

from f2vbench.adapters.segmenters import read_angiogram
from f2vbench.config.parsing import build
from f2vbench.data.square_crop import SquareView
from f2vbench.encoders.loading import load_encoder
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


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", type=Path, required=True, help="generator that all rows begin with")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--eyes", type=int, default=40, help="training videos an epoch")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--tested", type=int, default=8, help="unseen eyes")
    parser.add_argument("--jobs", type=int, default=2)
    words = parser.parse_args()
    jobs = [(row, seed) for seed in range(words.seeds) for row in ABLATIONS]
    work = partial(_row, words.start, words.out, words.eyes, words.epochs, words.tested)
    with multiprocessing.get_context("spawn").Pool(words.jobs) as workers:
        for done, (row, seed, scores) in enumerate(workers.imap_unordered(work, jobs), 1):
            print(f"{done} of {len(jobs)}: {row}, seed {seed}: {_told(scores)}", file=sys.stderr, flush=True)
    print(f"{words.seeds} seeds, {words.epochs} × {words.eyes} videos after the start, {words.tested} unseen eyes")
    print(table(words.out, range(words.seeds)))
    return 0


def table(out: Path, seeds: range) -> str:
    """Mean ± standard deviation over seeds, one line a row of the ablation."""
    lines = [f"{'ablation':<18}" + "".join(f"{title:>18}" for title in COLUMNS.values())]
    for row in ABLATIONS:
        told = pd.DataFrame([json.loads((out / f"{row}-{seed}.json").read_text()) for seed in seeds]).astype(float)
        cells = [
            f"{told[key].mean():.4f} ± {told[key].std():.4f}" if told[key].notna().all() else "–" for key in COLUMNS
        ]
        lines.append(f"{row:<18}" + "".join(f"{cell:>18}" for cell in cells))
    return "\n".join(lines)


def _row(
    start: Path, out: Path, eyes: int, epochs: int, tested: int, job: tuple[str, int]
) -> tuple[str, int, dict[str, float | None]]:
    row, seed = job
    kept = out / f"{row}-{seed}.json"
    if not kept.is_file():
        torch.set_num_threads(1)
        cv2.setNumThreads(1)
        words = {"preset": "mini", "ablation": row, "seed": seed, "start": start, "out": out / f"{row}-{seed}"}
        words |= {"eyes": eyes, "epochs": epochs, "flat_epochs": epochs, "pixel_epochs": 0, "late_epochs": 0}
        words |= {"split": [eyes, 1, 0], "renew": 1, "samples": 1, "validate_videos": 1, "device": "cpu"}
        generator = train(build(TrainSettings, words), Silent())
        write_atomically(kept, json.dumps(_scores(generator, tested)).encode())
    return row, seed, json.loads(kept.read_text())


def _scores(generator: Path, tested: int) -> dict[str, float | None]:
    encoder = load_encoder("fundus2video", str(generator))
    cohort = Cohort(TEST_COHORT, tested, size=SIDE)
    real, fake, fields, vessels = [], [], [], []
    for number in range(0, 2 * tested, 2):
        eye = cohort[number]
        taken, film = eye.photograph(), eye.angiogram().frames
        view = SquareView.around(taken.truth.field_of_view)
        photograph = torch.from_numpy(view.crop(taken.image, SIDE)).permute(2, 0, 1)[None].float() / 255
        inside = view.crop(taken.truth.field_of_view, SIDE)
        made = encoder.generate(photograph)[0].numpy().clip(0, 1)
        chosen = np.linspace(0, len(film) - 1, len(made)).round().astype(int)
        real.append(np.stack([view.crop(film[at], SIDE) for at in chosen]).astype(np.float32) / 255 * inside)
        fake.append(made * inside)
        fields.append(inside)
        label = view.crop(taken.truth.vessels, SIDE)
        vessels.append(tally(read_angiogram(made, "venous")[inside], label[inside]).auroc())
    scores = video_metrics(real, fake, inside=fields)
    told = {score.metric: score.value for score in scores if score.case == ALL}
    return {key: told.get(key) for key in COLUMNS} | {"auroc": float(np.mean(vessels))}


def _told(scores: dict[str, float | None]) -> str:
    return ", ".join(f"{COLUMNS[key]} {value:.4f}" for key, value in scores.items() if value is not None)


if __name__ == "__main__":
    sys.exit(main())
