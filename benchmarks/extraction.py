"""Speed of feature extraction compared with the forward pass alone, and its memory for more images.

    python -m benchmarks.extraction [--models timm:resnet18:untrained,fundus2video:untrained] [--images 12]

Speed: both process the same photographs in turns, in one process with the same number of threads, one photograph per
forward pass. For the forward pass the photographs are tensors in memory; extraction reads files, crops, encodes,
compresses and writes. Memory: extraction of few and of many photographs, each in its own process.
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
    """Write files of the size and format of RITE: a noisy bright disc on black, each with other noise."""
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
    """Read a photograph and find its field of view, as a run does."""
    rgb = read_rgb(path)
    return Photograph(path.stem, rgb, field_of_view(rgb), content_hash(rgb), path)


def load(model: str) -> Encoder:
    """Load a frozen encoder."""
    return build(parse_model(model)).eval().requires_grad_(False)


def extraction_seconds(encoder: Encoder, paths: list[Path], store: Path) -> float:
    """Time of extracting the features of photographs into a new feature set."""
    features = FeatureSet({"benchmark": time.time_ns()}, {}, root=store)
    openers = [partial(open_file, path) for path in paths]
    started = time.perf_counter()
    counts = extract(encoder, "pyramid", features, openers, SIZE, CPU, "float32")
    seconds = time.perf_counter() - started
    if counts.images != len(paths):
        raise RuntimeError(f"{counts.images} of {len(paths)} photographs were encoded")
    return seconds


@torch.inference_mode()
def forward_seconds(encoder: Encoder, tensors: list[torch.Tensor]) -> float:
    """Time of the forward passes alone."""
    started = time.perf_counter()
    for tensor in tensors:
        encoder.pyramid(tensor)
    return time.perf_counter() - started


def compare_speed(model: str, images: int, rounds: int) -> None:
    """Print the speed of both and their ratio, for each round."""
    encoder = load(model)
    with tempfile.TemporaryDirectory() as name:
        paths = make_photographs(Path(name), images)
        squares = [open_file(path).square(SIZE) for path in paths]
        tensors = [torch.from_numpy(s.transpose(2, 0, 1)[None].copy()).float() / 255 for s in squares]
        forward_seconds(encoder, tensors[:1])  # the first pass also prepares kernels
        extraction_seconds(encoder, paths[:2], Path(name) / "warm")
        ratios = []
        for number in range(rounds):
            forward = forward_seconds(encoder, tensors)
            extraction = extraction_seconds(encoder, paths, Path(name) / str(number))
            ratios.append(forward / extraction)
            print(
                f"{model}: forward pass {images / forward:.2f}, extraction {images / extraction:.2f} images/s, "
                f"ratio {ratios[-1]:.3f}",
                flush=True,
            )
        print(f"{model}: median ratio {statistics.median(ratios):.3f} (target: at least 0.9)\n")


def compare_memory(model: str, counts: list[int]) -> None:
    """Print the peak memory of a new process for each number of photographs."""
    peaks = []
    for count in counts:
        command = [sys.executable, "-m", "benchmarks.extraction", "--memory-of", str(count), "--models", model]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        peaks.append(float(output))
        print(f"{model}: {count} photographs, peak memory {peaks[-1]:.0f} MiB", flush=True)
    print(f"{model}: {counts[-1] // counts[0]} times the photographs, {peaks[-1] / peaks[0]:.3f} times the memory\n")


def peak_memory(model: str, count: int) -> float:
    """Peak memory of this process in MiB while it writes and encodes photographs in a temporary folder."""
    with tempfile.TemporaryDirectory() as name:
        extraction_seconds(load(model), make_photographs(Path(name), count), Path(name) / "store")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default="timm:resnet18:untrained,fundus2video:untrained")
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--memory-of", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    models = arguments.models.split(",")
    if arguments.memory_of:
        print(peak_memory(models[0], arguments.memory_of))
        return
    for model in models:
        compare_speed(model, arguments.images, arguments.rounds)
    compare_memory(models[0], [8, 64])


if __name__ == "__main__":
    main()
