"""Choice of the pooling of generators on simulated eyes: forms and exponents of embeddings, compared by probes.

    python -m benchmarks.pooling fundus2fa-mini fundus2video:generator.safetensors [--tasks phantom-dr,…] [--images 400]

Arguments are model arguments of pix2pixHD generators. The first half encodes each photograph once; all forms are
computed from the moments of its maps. Columns: `phantom-dr`, AUROC of grade 0 against grades 2 to 4; `phantom-disease`,
AUROC of each class against the others, mean over classes; both by logistic regression (C = 0.01, standardised features)
on two thirds of the patients, tested on the rest, mean over ten splits ± sd; `phantom-retrieval`, share of colour
photographs whose nearest neighbour (cosine, standardised features) is of the same patient, without photographs of the
same eye. The pooling of `f2vbench.encoders.pooling` is chosen there.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from numpy.typing import NDArray
from pandas import DataFrame
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.preprocessing import StandardScaler

from f2vbench.data.photographs import open_photograph
from f2vbench.data.task_data import open_task
from f2vbench.encoders.loading import build_encoder
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.pix2pixhd import Pix2PixHDEncoder
from f2vbench.utils.device import arithmetic, bf16_autocast
from f2vbench.utils.progress import Silent

TASKS = ("phantom-dr", "phantom-disease", "phantom-retrieval")
EXPONENTS = (1, 2, 3, 4, 6)
SPLITS = 10
CPU = torch.device("cpu")

Floats = NDArray[np.float32]
Level = dict[str, Floats]
"""Of one map: `+p` and `-p`, (images, channels) means of the positive and the negative part to the power p; `+max`,
`-max`."""


def level_moments(x: torch.Tensor) -> Level:
    """Moments of one map, (1, channels, h, w)."""
    flat = x[0].float().flatten(1)
    found: Level = {}
    for sign, part in (("+", flat.clamp(min=0)), ("-", (-flat).clamp(min=0))):
        found |= {f"{sign}{p}": (part**p).mean(1).numpy() for p in EXPONENTS}
        found[f"{sign}max"] = part.amax(1).numpy()
    return found


@torch.inference_mode()
def moments(encoder: Pix2PixHDEncoder, rows: DataFrame) -> list[Level]:
    """Moments of all maps, finest first, for the photographs of a task."""
    found: list[Level] = []
    for number, (_, row) in enumerate(rows.iterrows()):
        square = torch.from_numpy(open_photograph(row).square(0).copy()).permute(2, 0, 1)[None]
        with bf16_autocast(CPU, arithmetic("auto", CPU) == "bf16"):
            levels = [level_moments(level) for level in encoder.levels(encoder.prepare(square))]
        # Into arrays of their final size: small arrays that stay between large ones that go fragment the memory.
        found = found or [
            {key: np.empty((len(rows), values.size), np.float32) for key, values in each.items()} for each in levels
        ]
        for arrays, level in zip(found, levels, strict=True):
            for key, values in level.items():
                arrays[key][number] = values
    return found


def forms(levels: list[Level]) -> dict[str, Floats]:
    """Embeddings of each form, (images, width)."""

    def root(level: Level, p: int, sign: str = "+") -> Floats:
        return level[f"{sign}{p}"] ** (1 / p)

    def mean(level: Level) -> Floats:
        return level["+1"] - level["-1"]

    def deviation(level: Level) -> Floats:
        return np.sqrt(np.maximum(level["+2"] + level["-2"] - mean(level) ** 2, 0))

    *fine, last = levels
    parts = {"mean of the last map": [mean(last)], "mean, all maps": list(map(mean, levels))}
    parts["mean and sd, all maps"] = [*map(mean, levels), *map(deviation, levels)]
    for p in EXPONENTS[1:]:
        parts[f"p = {p}, both signs of the last map"] = [*(root(x, p) for x in fine), root(last, p), root(last, p, "-")]
    parts["p = 3, positive part only"] = [root(x, 3) for x in levels]
    parts["p = 3, absolute values"] = [(x["+3"] + x["-3"]) ** (1 / 3) for x in levels]
    parts["p = 3, the last map alone, both signs"] = [root(last, 3), root(last, 3, "-")]
    parts["maximum, both signs of the last map"] = [*(x["+max"] for x in levels), last["-max"]]
    return {name: np.concatenate(arrays, 1) for name, arrays in parts.items()}


def probe_auroc(vectors: Floats, labels: NDArray[np.str_], patients: NDArray[np.str_]) -> tuple[float, float]:
    """Mean and sd over patient splits of the AUROC of a logistic probe, one class against the others."""
    found = []
    people = np.unique(patients)
    for seed in range(SPLITS):
        tested = np.random.default_rng(seed).permutation(people)[: len(people) // 3]
        test = np.isin(patients, tested)
        scaler = StandardScaler().fit(vectors[~test])
        probe = LogisticRegression(C=0.01, max_iter=500).fit(scaler.transform(vectors[~test]), labels[~test])
        predicted = probe.predict_proba(scaler.transform(vectors[test]))
        columns = [i for i, name in enumerate(probe.classes_) if (labels[test] == name).any()]
        columns = columns[1:] if len(probe.classes_) == 2 else columns
        found.append(np.mean([roc_auc_score(labels[test] == probe.classes_[i], predicted[:, i]) for i in columns]))
    return float(np.mean(found)), float(np.std(found))


def other_eye_recall(vectors: Floats, patients: NDArray[np.str_], eyes: NDArray[np.str_]) -> float:
    """Share of photographs whose nearest neighbour of another patient or the other eye is of the same patient."""
    scaled = StandardScaler().fit_transform(vectors)
    scaled /= np.linalg.norm(scaled, axis=1, keepdims=True)
    similarity = scaled @ scaled.T
    same_eye = (patients[:, None] == patients) & (eyes[:, None] == eyes)
    similarity[same_eye] = -np.inf
    return float(np.mean(patients[similarity.argmax(1)] == patients))


def evaluate(task: str, vectors: Floats, rows: DataFrame) -> str:
    """Value of one form on one task, as text."""
    patients = rows.patient.astype(str).to_numpy()
    if task == "phantom-retrieval":
        return f"{other_eye_recall(vectors, patients, rows.eye.astype(str).to_numpy()):.3f}"
    labels = rows.label.astype(str).to_numpy()
    if task == "phantom-dr":
        used = labels != "mild"
        vectors, patients = vectors[used], patients[used]
        labels = np.where(labels[used] == "no_dr", "0", "2+")
    return "{:.3f} ± {:.3f}".format(*probe_auroc(vectors, labels, patients))


def main() -> None:
    """Print one table a model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="model arguments of generators")
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--images", type=int, help="a random sample of each task; default: all colour photographs")
    settings = parser.parse_args()
    torch.set_num_threads(1)
    tasks = settings.tasks.split(",")
    for model in settings.models:
        encoder = build_encoder(parse_model(model)).requires_grad_(False)
        if not isinstance(encoder, Pix2PixHDEncoder):
            parser.error(f"{model} is no pix2pixHD generator")
        table: dict[str, list[str]] = {}
        for task in tasks:
            index = open_task(task, None, Silent()).index
            rows = index[index.modality.isin(["CF", ""])] if "modality" in index else index
            rows = rows.sample(settings.images, random_state=0) if settings.images else rows
            for name, vectors in forms(moments(encoder, rows)).items():
                table.setdefault(name, [str(vectors.shape[1])]).append(evaluate(task, vectors, rows))
        print(f"| {model} | width | {' | '.join(tasks)} |")
        print("|---|---|" + "---|" * len(tasks))
        for name, cells in table.items():
            print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
