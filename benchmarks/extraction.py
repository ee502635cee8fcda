"""Feature extraction against the bare encoder forward, and its memory against the number of images.

    python -m benchmarks.extraction [--models timm:resnet18:untrained,fundus2video:untrained] [--images 12]

Rate: both sides see the same photographs in one process, in turns, with the same threads, one photograph a
forward pass; the bare side has them in memory as tensors already, extraction reads files, crops, encodes,
compresses and writes. Memory: extraction of few and of many photographs, each in a process of its own.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.images import content_hash, read_rgb
from f2vbench.data.photographs import Photograph
from f2vbench.encoders.base import Encoder
from f2vbench.encoders.loading import build
from f2vbench.encoders.model_argument import parse_model
from f2vbench.runner.extraction import extract
from f2vbench.store.features import FeatureSet

SIZE = 512
CPU = torch.device("cpu")


def make_photographs(folder: Path, count: int) -> list[Path]:
    """Files of RITE's size and format: a noisy lit disc on black, each another one."""
    rows, columns = np.mgrid[:584, :565]
    disc = np.hypot(rows - 292, columns - 282) < 270
    paths = []
    for number in range(count):
        noise = np.random.default_rng(number).integers(60, 200, size=(584, 565, 3), dtype=np.uint8)
        path = folder / f"{number:04d}.tif"
        cv2.imwrite(str(path), cv2.GaussianBlur(noise, (0, 0), 3) * disc[..., None].astype(np.uint8))
        paths.append(path)
    return paths


def open_file(path: Path) -> Photograph:
    """What a run does with a file: read it, and find its field of view."""
    rgb = read_rgb(path)
    return Photograph(path.stem, rgb, field_of_view(rgb), content_hash(rgb), path)


def load(model: str) -> Encoder:
    return build(parse_model(model)).eval().requires_grad_(False)


def extraction_seconds(encoder: Encoder, paths: list[Path], store: Path) -> float:
    features = FeatureSet({"benchmark": time.time_ns()}, {}, root=store)
    openers = [partial(open_file, path) for path in paths]
    started = time.perf_counter()
    written = list(extract(encoder, "pyramid", features, openers, SIZE, CPU, "float32"))
    seconds = time.perf_counter() - started
    if len(written) != len(paths) or not all(written):
        raise RuntimeError(f"{sum(map(bool, written))} of {len(paths)} photographs were encoded")
    return seconds


@torch.inference_mode()
def bare_seconds(encoder: Encoder, tensors: list[torch.Tensor]) -> float:
    started = time.perf_counter()
    for tensor in tensors:
        encoder.pyramid(tensor)
    return time.perf_counter() - started


def compare_rates(model: str, images: int, rounds: int) -> None:
    """Print both rates and their ratio, round by round in turns."""
    encoder = load(model)
    with tempfile.TemporaryDirectory() as name:
        paths = make_photographs(Path(name), images)
        squares = [open_file(path).square(SIZE) for path in paths]
        tensors = [torch.from_numpy(s.transpose(2, 0, 1)[None].copy()).float() / 255 for s in squares]
        bare_seconds(encoder, tensors[:1])  # kernels are prepared on the first pass
        extraction_seconds(encoder, paths[:2], Path(name) / "warm")
        ratios = []
        for turn in range(rounds):
            bare = bare_seconds(encoder, tensors)
            stored = extraction_seconds(encoder, paths, Path(name) / str(turn))
            ratios.append(bare / stored)
            print(
                f"{model}: bare {images / bare:.2f} images/s, extraction {images / stored:.2f} images/s, "
                f"ratio {bare / stored:.3f}",
                flush=True,
            )
        print(f"{model}: median ratio {statistics.median(ratios):.3f} (aim: at least 0.9)\n")


def compare_memory(model: str, counts: list[int]) -> None:
    """Peak memory of a fresh process for each number of photographs."""
    peaks = []
    for count in counts:
        words = [sys.executable, __file__, "--memory-of", str(count), "--models", model]
        told = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        peaks.append(float(told))
        print(f"{model}: {count} photographs, peak memory {peaks[-1]:.0f} MiB", flush=True)
    print(f"{model}: {counts[-1] // counts[0]} times the photographs, {peaks[-1] / peaks[0]:.3f} times the memory\n")


def peak_memory(model: str, count: int) -> float:
    """MiB this process needs at most to encode so many photographs; made and written in a temporary folder."""
    with tempfile.TemporaryDirectory() as name:
        extraction_seconds(load(model), make_photographs(Path(name), count), Path(name) / "store")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--models", default="timm:resnet18:untrained,fundus2video:untrained")
    words.add_argument("--images", type=int, default=12)
    words.add_argument("--rounds", type=int, default=5)
    words.add_argument("--threads", type=int, default=1)
    words.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    given = words.parse_args()
    torch.set_num_threads(given.threads)
    models = given.models.split(",")
    if given.memory_of:
        print(peak_memory(models[0], given.memory_of))
        return
    for model in models:
        compare_rates(model, given.images, given.rounds)
    compare_memory(models[0], [8, 64])


if __name__ == "__main__":
    main()
