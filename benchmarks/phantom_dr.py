"""Transfer to real photographs: diabetic retinopathy grading, trained on phantoms and tested on ODIR.

    python -m benchmarks.phantom_dr --data FOLDER/odir [--photographs 600] [--steps 1200] [--workers 2]

FOLDER/odir has ODIR's photographs and `per_eye_labels.csv` (image, patient_id, dr_grade_0_4). A U-Net learns to segment
vessels, haemorrhages and bright lesions on phantoms. Area and maximum probability of both kinds of lesions are the
features of a logistic regression that is fitted on other phantoms (grade 0 against grades 2 to 4). No real photograph
is used for training or model selection. The result is the AUROC of grade 0 against grades 2 to 4 on the real
photographs, with a bootstrap interval over patients. The target is 0.70.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.phantom_training import FIXED_POINT, pack, score, train_unet
from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.images import read_rgb
from f2vbench.data.shading_correction import normalise
from f2vbench.phantom import Cohort

SIZE = 320
TARGET = 0.70
BLOOD = ("microaneurysm", "haemorrhage", "preretinal_haemorrhage")
BRIGHT = ("hard_exudate", "cotton_wool_spot", "laser_scar")
DISEASES = ("normal", "diabetic_retinopathy")


def simulate(job: tuple[int, int]) -> tuple[np.ndarray, int]:
    """Return image and masks of one phantom photograph (vessels, blood, bright lesions), and its grade."""
    seed, number = job
    cv2.setNumThreads(1)
    eye = Cohort(seed, number // 2 + 1, size=SIZE, diseases=DISEASES)[number]
    photograph = eye.photograph("macula" if number % 3 else "disc")
    truth = photograph.truth
    empty = np.zeros_like(truth.vessels)
    lesions = [np.any([truth.lesions.get(kind, empty) for kind in kinds], axis=0) for kinds in (BLOOD, BRIGHT)]
    image = normalise(photograph.image, truth.field_of_view)
    return pack(image, truth.vessels, *lesions, truth.field_of_view), eye.labels.dr_grade


def lesion_features(model: torch.nn.Module, image: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return log area and maximum probability of blood and of bright lesions, (4,)."""
    probabilities = score(model, image)[..., 1:] * inside[..., None]
    area = np.log((probabilities**2).sum(axis=(0, 1)) / inside.sum() + 1e-5)
    maximum = cv2.blur(probabilities, (3, 3)).max(axis=(0, 1))
    return np.concatenate([area, maximum])


def real_photographs(folder: Path) -> pd.DataFrame:
    """Return the rows with a grade of 0 or 2 to 4, with the file of each photograph."""
    table = pd.read_csv(folder / "per_eye_labels.csv")
    table = table[table.dr_grade_0_4.isin([0, 2, 3, 4])]
    files = {file.name: file for file in folder.rglob("*.jpg")}
    return table.assign(file=[files[name] for name in table.image], diseased=table.dr_grade_0_4 >= 2)


def main() -> int:
    """Train on phantoms, test on real photographs, and return 1 if the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--photographs", type=int, default=600)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2, help="processes for the simulation")
    settings = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    started = time.perf_counter()
    jobs = [(2000 + settings.seed, number) for number in range(2 * settings.photographs)]
    with multiprocessing.get_context("spawn").Pool(settings.workers) as workers:
        phantoms = list(workers.imap(simulate, jobs, chunksize=4))
    print(f"{len(phantoms)} phantom photographs in {time.perf_counter() - started:.0f} s", flush=True)
    for_segmenter, for_grader = phantoms[: settings.photographs], phantoms[settings.photographs :]
    model = train_unet([planes for planes, _ in for_segmenter], settings.steps, settings.seed)
    for_grader = [(planes, grade) for planes, grade in for_grader if grade != 1]
    half = len(for_grader) // 2
    unit = np.float32(FIXED_POINT)
    features = np.array(
        [lesion_features(model, planes[..., :3] / unit, planes[..., -1] > 0) for planes, _ in for_grader]
    )
    diseased = np.array([grade >= 2 for _, grade in for_grader])
    grader = make_pipeline(StandardScaler(), LogisticRegression()).fit(features[:half], diseased[:half])
    inner = roc_auc_score(diseased[half:], grader.decision_function(features[half:]))
    print(f"other phantoms, {len(for_grader) - half} photographs: AUROC {inner:.3f}", flush=True)
    table = real_photographs(settings.data)
    scores = []
    for file in table.file:
        photograph = read_rgb(file)
        inside = field_of_view(photograph)
        scores.append(grader.decision_function(lesion_features(model, normalise(photograph, inside), inside)[None])[0])
    auroc = roc_auc_score(table.diseased, scores)
    low, high = _interval(table.assign(score=scores))
    counts = f"{(~table.diseased).sum()} of grade 0, {table.diseased.sum()} of grades 2 to 4"
    patients = table.patient_id.nunique()
    print(f"ODIR, {counts}, {patients} patients: AUROC {auroc:.3f} (95 % interval {low:.3f} to {high:.3f})")
    print("the target is reached" if auroc >= TARGET else "the target is missed")
    return 0 if auroc >= TARGET else 1


def _interval(table: pd.DataFrame, rounds: int = 500) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the AUROC over patients."""
    draw = np.random.default_rng(0)
    groups = [group[["diseased", "score"]].to_numpy() for _, group in table.groupby("patient_id")]
    aurocs = []
    for _ in range(rounds):
        rows = np.concatenate([groups[n] for n in draw.integers(len(groups), size=len(groups))])
        aurocs.append(roc_auc_score(rows[:, 0].astype(bool), rows[:, 1].astype(float)))
    low, high = np.percentile(aurocs, [2.5, 97.5])
    return float(low), float(high)


if __name__ == "__main__":
    sys.exit(main())
