"""Processor seconds a photograph of a generator: embedding, and angiogram of 12 frames, on one core.

    python -m benchmarks.encoding_speed [--weights FILE ...] [--photographs 6] [--threads 1]

Each row encodes the same photographs, preparation included (field of view, shading correction), one at a time. Rows
take turns in one process, so that other load on the machine affects all of them, and seconds are those of the processor
(of all threads together). Without weights there are three rows with random weights: the shape of version 0.1.0 (4
downsamplings, ngf 10, 9 blocks, photographs enlarged twofold) in float32, the shape of the preset `mini` (3
downsamplings, ngf 16, 6 blocks, time plane) in float32, and the same in the arithmetic of `precision=auto`. Weights
files of Fundus2Video are further rows, in the arithmetic of `precision=auto`.
Targets for the last row: 0.25 s an embedding, 3 s an angiogram.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from safetensors.torch import save_file

from f2vbench.encoders.base import Encoder
from f2vbench.encoders.global_generator import global_generator, initialise
from f2vbench.encoders.loading import build_encoder
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.phantom import Cohort
from f2vbench.runner.extraction import encode_squares
from f2vbench.utils.device import arithmetic

SIZE = 512
TARGETS = {"embedding": 0.25, "video": 3.0}
SHAPES = {"0.1.0": (GeneratorShape(6, 3, 10), 2), "mini": (GeneratorShape(6, 3, 16, 3, 6, "none", "plane"), 1)}
CPU = torch.device("cpu")


def random_weights(folder: Path, name: str) -> Path:
    """Write an untrained generator of a shape, with the metadata of its training."""
    shape, enlarge = SHAPES[name]
    generator = global_generator(shape)
    initialise(generator)
    path = folder / f"{name}.safetensors"
    state = {f"model.{key}": tensor for key, tensor in generator.state_dict().items()}
    save_file(state, path, {"seen": json.dumps({"enlarge": str(enlarge), "photograph": "normalised"})})
    return path


def encoder_of(weights: Path) -> Encoder:
    """The frozen encoder of a weights file."""
    return build_encoder(parse_model(f"fundus2video:{weights}")).requires_grad_(False)


def encoding(encoder: Encoder, kind: str, square: np.ndarray, precision: str) -> Callable[[], object]:
    """A function that encodes one photograph."""
    return lambda: encode_squares(encoder, kind, [square], CPU, precision)


def main() -> int:
    """Measure all rows, print them, and return 1 if the last one misses a target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, nargs="*", default=[], help="weights files of Fundus2Video")
    parser.add_argument("--photographs", type=int, default=6)
    parser.add_argument("--threads", type=int, default=1)
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    cohort = Cohort(7, settings.photographs, size=SIZE)
    squares = [cohort[number].photograph().image for number in range(settings.photographs)]
    auto = arithmetic("auto", CPU)
    with tempfile.TemporaryDirectory() as name:
        made = {shape: encoder_of(random_weights(Path(name), shape)) for shape in SHAPES}
        rows = {(f"shape of {shape}", "float32"): encoder for shape, encoder in made.items()}
        rows[f"shape of {next(reversed(made))}", auto] = next(reversed(made.values()))
        rows |= {(f"{file.parent.name}/{file.stem}", auto): encoder_of(file) for file in settings.weights}
        seconds: dict[tuple[str, str, str], list[float]] = {}
        for position, square in enumerate([squares[0], *squares]):
            for kind in TARGETS:
                for (label, precision), encoder in rows.items():
                    call = encoding(encoder, kind, square, precision)
                    started = time.process_time()
                    call()
                    if position:  # the first photograph also prepares kernels and loads second halves
                        seconds.setdefault((label, precision, kind), []).append(time.process_time() - started)
    medians = {key: float(np.median(values)) for key, values in seconds.items()}
    first = next(iter(rows))
    reached = True
    print(f"{'weights':<32}{'arithmetic':<12}" + "".join(f"{kind + ', s':>14}{'ratio':>8}" for kind in TARGETS))
    for label, precision in rows:
        cells = ""
        for kind in TARGETS:
            spent = medians[label, precision, kind]
            cells += f"{spent:>14.3f}{medians[(*first, kind)] / spent:>8.2f}"
            if (label, precision) == list(rows)[-1]:
                reached &= spent <= TARGETS[kind]
        print(f"{label:<32}{precision:<12}{cells}")
    print(f"targets {TARGETS} of the last row: {'met' if reached else 'not met'}")
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
