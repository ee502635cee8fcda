"""Speed of the data path (read, field of view, crop, resize, normalise) against the bare forward pass of ResNet-18.

    python -m benchmarks.data_path [--images 40] [--side 512] [--precision auto]

Simulated photographs lie in files (JPEG, quality 95) at `--side` × `--side` px; ResNet-18 with random weights receives
224 × 224 px, one photograph per forward pass and one thread. Both sides take turns in one process, and seconds are
those of the processor, so that other load on the machine does not count. Printed for every round:

- the data path of two workers, which prepare for an encoder elsewhere (a GPU, or a third core): photographs a second,
  over the bare forward pass of one encoder. Target: 0.9.
- a pipeline in which each worker prepares and encodes on a core of its own, as `jobs=` does on a processor: the share
  of the bare forward pass that is left. The last column is that of a further model in the same worker, which finds
  the photographs in memory.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import torch
from torch import Tensor

from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.images import content_hash, read_rgb
from f2vbench.data.photographs import Photograph
from f2vbench.encoders.base import Encoder
from f2vbench.encoders.loading import build_encoder
from f2vbench.encoders.model_argument import parse_model
from f2vbench.phantom import Cohort
from f2vbench.utils.device import arithmetic, bf16_autocast
from f2vbench.utils.processes import keep_freed_memory

MODEL, WORKERS, TARGET, ROUNDS = "timm:resnet18:untrained", 2, 0.9, 3


def write_photographs(folder: Path, count: int, side: int) -> list[Path]:
    """Write simulated photographs; sides other than 512 px are resized."""
    cohort, paths = Cohort(7, min(count, 8), size=512), []
    for number in range(count):
        image = cohort[number % 8].photograph().image
        path = folder / f"{number:04d}.jpg"
        resized = cv2.resize(image, (side, side), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(path), resized[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
        paths.append(path)
    return paths


def read_photograph(path: Path) -> Photograph:
    """Read a file and find its field of view, as a run does."""
    rgb = read_rgb(path)
    return Photograph(path.stem, rgb, field_of_view(rgb), content_hash(rgb), path)


def prepare(encoder: Encoder, photograph: Photograph) -> Tensor:
    """The input of the network."""
    square = encoder.crop_photograph(photograph.square(0))
    return encoder.prepare(torch.from_numpy(square.copy()).permute(2, 0, 1)[None])


def seconds_each(work: Callable[[object], object], items: Sequence[object]) -> tuple[float, list[object]]:
    """Processor seconds for one item, and the results."""
    started = time.process_time()
    results = [work(item) for item in items]
    return (time.process_time() - started) / len(items), results


@torch.inference_mode()
def main() -> int:
    """Print the rates of each round, and return 1 if the median misses the target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=40)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bf16"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    keep_freed_memory()  # as a run does
    precision = arithmetic(arguments.precision, torch.device("cpu"))
    encoder = build_encoder(parse_model(MODEL)).requires_grad_(False)
    ratios = []
    with tempfile.TemporaryDirectory() as name, bf16_autocast(torch.device("cpu"), precision == "bf16"):
        paths = write_photographs(Path(name), arguments.images, arguments.side)
        encoder.pooled(prepare(encoder, read_photograph(paths[0])))  # also prepares kernels
        for _ in range(ROUNDS):
            read, photographs = seconds_each(read_photograph, paths)
            prepared, inputs = seconds_each(lambda photograph: prepare(encoder, photograph), photographs)
            forward, _ = seconds_each(encoder.pooled, inputs)
            path = read + prepared
            ratios.append(WORKERS / path * forward)
            print(
                f"{precision}, {arguments.side} px: read {1000 * read:.1f} ms, prepare {1000 * prepared:.1f} ms, "
                f"forward {1000 * forward:.1f} ms; {WORKERS} workers prepare {WORKERS / path:.0f} images/s, bare "
                f"forward {1 / forward:.0f} images/s, ratio {ratios[-1]:.2f}; on one core "
                f"{forward / (forward + path):.2f}, from memory {forward / (forward + prepared):.2f}",
                flush=True,
            )
    median = statistics.median(ratios)
    print(f"median ratio {median:.2f} (target {TARGET}): {'met' if median >= TARGET else 'not met'}")
    return 0 if median >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
