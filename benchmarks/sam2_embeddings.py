"""Seconds of a unit of SAM2 with maps from the feature store, and with photographs that are encoded anew.

    python -m benchmarks.sam2_embeddings [--weights FOLDER_OR_FILE] [--steps 3] [--tests 1] [--repeats 2]

A unit fine-tunes the mask decoder on one photograph and scores test photographs, with the segmenter of `f2vbench run`.
Both rows take turns in one process on the same simulated eyes, and seconds are those of the processor, so that other
load on the machine affects neither. `stored` reads the maps from a feature store on disk;
`anew` encodes the photographs of each step and each score, as a fit without the store does. Without weights the network
is untrained (hiera-small, 1024 × 1024 px). A further line computes the seconds of a unit of the protocol that encodes
each photograph once. Target: `stored` is at least 10 times as fast as `anew`. The last lines compare scores from
half-precision maps with those from single precision.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from f2vbench.adapters.mask_decoder_segmenter import MaskDecoderSegmenter
from f2vbench.config.parsing import build
from f2vbench.config.run import RunSettings
from f2vbench.data.photographs import Photograph
from f2vbench.encoders.loading import build_encoder
from f2vbench.encoders.model_argument import parse_model
from f2vbench.phantom import Cohort
from f2vbench.runner.extraction import encode_squares, feature_reader
from f2vbench.store.features import FeatureSet

CPU = torch.device("cpu")
TARGET = 10.0
PROTOCOL_STEPS, PROTOCOL_TESTS = 100, 20


def simulated(count: int) -> list[Photograph]:
    """Photographs of 512 px with their vessels."""
    cohort = Cohort(7, count, size=512)
    eyes = [cohort[number].photograph() for number in range(count)]
    return [
        Photograph(f"eye{n}", eye.image, eye.truth.field_of_view, f"eye {n}", eye.truth.vessels)
        for n, eye in enumerate(eyes)
    ]


def run_unit(segmenter: MaskDecoderSegmenter, photographs: list[Photograph]) -> tuple[float, float, list[np.ndarray]]:
    """Processor seconds of a fit on the first photograph and of scoring the others, and the scores."""
    started = time.process_time()
    segmenter.fit(photographs[:1], seed=0)
    fitted = time.process_time()
    scores = [segmenter.score(photograph).restored()[0] for photograph in photographs[1:]]
    return fitted - started, time.process_time() - fitted, scores


def main() -> int:
    """Measure, print, and return 1 if the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default="untrained", help="weights of model=sam2:<weights>")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--tests", type=int, default=1, help="number of test photographs")
    parser.add_argument("--repeats", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    encoder = build_encoder(parse_model(f"sam2:{arguments.weights}")).requires_grad_(False)
    side = encoder.embed_size[0]
    settings = build(RunSettings, {"task": "folder", "steps": arguments.steps, "batch_size": 4})
    photographs = simulated(1 + arguments.tests)
    seconds: list[float] = []

    def encode(photograph: Photograph) -> list[np.ndarray]:
        started = time.process_time()
        arrays = encode_squares(encoder, "pyramid", photograph.square(side)[None], CPU, "float32")[0]
        seconds.append(time.process_time() - started)
        return list(arrays.values())

    with tempfile.TemporaryDirectory() as folder:
        features = FeatureSet({"what": "pyramid"}, {}, Path(folder))
        read = feature_reader(features, encoder, side, CPU, "float32")
        for photograph in photographs:
            read(photograph)
        size = features.bytes_per_entry() or 0
        units = {
            "stored": MaskDecoderSegmenter(encoder, read, settings, CPU),
            "anew": MaskDecoderSegmenter(encoder, encode, settings, CPU, kept_images=0),
        }
        fits: dict[str, list[float]] = {name: [] for name in units}
        scorings: dict[str, list[float]] = {name: [] for name in units}
        scores: dict[str, list[np.ndarray]] = {}
        for _ in range(arguments.repeats):
            for name, segmenter in units.items():
                fit_seconds, score_seconds, scores[name] = run_unit(segmenter, photographs)
                fits[name].append(fit_seconds)
                scorings[name].append(score_seconds)
    stored, anew = (median(fits[name]) + median(scorings[name]) for name in ("stored", "anew"))
    ratio, encoding = anew / stored, median(seconds)
    step, score = median(fits["stored"]) / arguments.steps, median(scorings["stored"]) / arguments.tests
    unit = PROTOCOL_STEPS * step + PROTOCOL_TESTS * score
    print(
        f"sam2:{arguments.weights}, {side} px, {arguments.steps} steps, {arguments.tests} test photographs, one thread"
    )
    print(f"encoding a photograph  {encoding:8.2f} s, {size / 1e6:.1f} MB stored")
    print(f"step of the decoder    {step:8.2f} s; scores of a photograph {score:.2f} s")
    print(f"unit, stored           {stored:8.2f} s")
    print(f"unit, anew             {anew:8.2f} s")
    print(f"ratio                  {ratio:8.1f} (target {TARGET:g})")
    print(
        f"unit of {PROTOCOL_STEPS} steps and {PROTOCOL_TESTS} test photographs, from these: stored {unit:.0f} s, each "
        f"photograph encoded once {unit + (1 + PROTOCOL_TESTS) * encoding:.0f} s"
    )
    for photograph, half, single in zip(photographs[1:], scores["stored"], scores["anew"], strict=True):
        labels, inside = photograph.vessels[photograph.fov], photograph.fov
        difference = roc_auc_score(labels, half[inside]) - roc_auc_score(labels, single[inside])
        print(
            f"half against single precision, {photograph.name}: AUROC {difference:+.6f}, largest difference of a score "
            f"{np.abs(half - single)[inside].max():.6f}"
        )
    return 0 if ratio >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
