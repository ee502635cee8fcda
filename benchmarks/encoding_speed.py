"""Processor seconds a photograph of the shipped generators and encoders on one core, and where the time goes.

    python -m benchmarks.encoding_speed [--models fundus2video-mini,mae-mini] [--photographs 5] [--parts]

Rows encode the same simulated photographs at 512 × 512 px, preparation included (field of view, shading correction),
one at a time, in the arithmetic of `precision=auto`. They take turns in one process, so that other load on the machine
affects all of them, and seconds are those of the processor. Columns: an embedding, the zero-shot vessel score of one
view, and the angiogram. The reference is the build of version 0.1.0: 4 downsamplings, ngf 10, 9 blocks, photographs
enlarged twofold, in float32, with random weights; its score is the venous brightness, which needs 8 windows. Corrected
photographs of one model are not kept for the next.
Target: an embedding in a third of the reference's time.

`--parts` measures the steps of an embedding, or of an angiogram where a model has no embedding: reading the file,
finding the field of view, cropping, preparing the input (with resizing, and the shading correction in a field of its
own), the network, and writing the features.
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

import cv2
import numpy as np
import torch
from safetensors.torch import save_file

from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.images import content_hash, read_rgb
from f2vbench.data.photographs import Photograph
from f2vbench.encoders import photograph_input
from f2vbench.encoders.base import Encoder
from f2vbench.encoders.global_generator import global_generator, initialise
from f2vbench.encoders.loading import build_encoder
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.encoders.vessel_scores import ScoreReading, vessel_score_of
from f2vbench.phantom import Cohort
from f2vbench.runner.extraction import encode_squares
from f2vbench.store.features import FeatureSet
from f2vbench.utils.device import arithmetic, bf16_autocast
from f2vbench.utils.processes import keep_freed_memory

SIZE = 512
TARGET = 3.0
KINDS = ("embedding", "vessel score", "angiogram")
REFERENCE = "version 0.1.0"
MODELS = "fundus2video-mini,fundus2fa-mini,pix2pixhd-mini,truth-mini,mae-mini,seg2vid-mini,med-ddpm-mini"
CPU = torch.device("cpu")


def reference_weights(folder: Path) -> Path:
    """Write an untrained generator of version 0.1.0's shape, with the metadata of its training."""
    generator = global_generator(GeneratorShape(6, 3, 10))
    initialise(generator)
    path = folder / "reference.safetensors"
    state = {f"model.{key}": tensor for key, tensor in generator.state_dict().items()}
    save_file(state, path, {"seen": json.dumps({"enlarge": "2", "photograph": "normalised"})})
    return path


def encoder_of(model: str) -> Encoder:
    return build_encoder(parse_model(model)).requires_grad_(False)


def encoding(encoder: Encoder, kind: str, square: np.ndarray, precision: str) -> Callable[[], object] | None:
    """A function that encodes one photograph; None where the model has no such output."""
    score = None
    if kind == "embedding" and not encoder.width:
        return None
    if kind != "embedding" and not encoder.can_generate and not encoder.spec.predicts_vessels:
        return None
    if kind == "angiogram" and not encoder.can_generate:
        return None
    if kind == "vessel score":
        score = ScoreReading(vessel_score_of(encoder.spec.family, encoder.spec.has_truth_layer, "auto").reading, 1)
    what = {"embedding": "embedding", "vessel score": "vessel_score", "angiogram": "video"}[kind]
    return lambda: encode_squares(encoder, what, [square], CPU, precision, score)


def processor_seconds(work: Callable[[], object]) -> float:
    photograph_input.forget_photographs()
    started = time.process_time()
    work()
    return time.process_time() - started


def print_models(encoders: dict[str, Encoder], squares: list[np.ndarray]) -> bool:
    """Print a row a model, and return whether all embeddings reach the target."""
    seconds: dict[tuple[str, str], list[float]] = {}
    for position, square in enumerate([squares[0], *squares]):
        for kind in KINDS:
            for label, encoder in encoders.items():
                precision = "float32" if label == REFERENCE else arithmetic("auto", CPU)
                work = encoding(encoder, kind, square, precision)
                spent = None if work is None else processor_seconds(work)
                if position and spent is not None:  # the first photograph also prepares kernels, loads second halves
                    seconds.setdefault((label, kind), []).append(spent)
    medians = {key: float(np.median(values)) for key, values in seconds.items()}
    reached = True
    print(f"{'model':<20}" + "".join(f"{kind + ', s':>17}{'ratio':>7}" for kind in KINDS))
    for label in encoders:
        cells = ""
        for kind in KINDS:
            spent = medians.get((label, kind))
            cells += f"{'–':>17}{'':>7}" if spent is None else f"{spent:>17.3f}{medians[REFERENCE, kind] / spent:>7.1f}"
        print(f"{label:<20}{cells}")
        if label != REFERENCE and (label, "embedding") in medians:
            reached &= medians[REFERENCE, "embedding"] >= TARGET * medians[label, "embedding"]
    print(f"embeddings {TARGET:.0f} times as fast as {REFERENCE}: {'met' if reached else 'not met'}")
    return reached


def print_parts(encoders: dict[str, Encoder], files: list[Path], folder: Path) -> None:
    """Print the milliseconds of each step, the median over photographs."""
    precision = arithmetic("auto", CPU)
    print(f"{'model':<20}{'read':>8}{'field':>8}{'crop':>8}{'prepare':>9}{'network':>9}{'write':>8}   ms")
    for label, encoder in encoders.items():
        features = FeatureSet({"benchmark": label}, {}, root=folder / "features")
        rows = [_parts(encoder, path, features, precision) for path in (files[0], *files)][1:]
        cells = np.median(1000 * np.array(rows), axis=0)
        widths = (8, 8, 8, 9, 9, 8)
        print(f"{label:<20}" + "".join(f"{cell:>{width}.1f}" for cell, width in zip(cells, widths, strict=True)))


@torch.inference_mode()
def _parts(encoder: Encoder, path: Path, features: FeatureSet, precision: str) -> list[float]:
    photograph_input.forget_photographs()
    times = [time.process_time()]

    def lap() -> None:
        times.append(time.process_time())

    rgb = read_rgb(path)
    content = content_hash(rgb)
    lap()
    photograph = Photograph(path.stem, rgb, field_of_view(rgb), content, path)
    lap()
    is_embedding = encoder.width > 0
    square = photograph.square(0) if is_embedding else photograph.square_of_field(SIZE)
    lap()
    with bf16_autocast(CPU, precision == "bf16"):
        if is_embedding:
            square = encoder.crop_photograph(square)
            pixels = torch.from_numpy(np.array(square)).permute(2, 0, 1)[None]
            prepared = encoder.prepare(pixels)
            lap()
            arrays = {"embedding": encoder.pooled(prepared)[0].float().numpy()}
        else:
            pixels = torch.from_numpy(square.transpose(2, 0, 1)[None].copy()).float() / 255
            lap()
            arrays = {"frames0": encoder.generate(pixels)[0].half().numpy()}
    lap()
    features.put(photograph.entry(0), arrays)
    lap()
    return list(np.diff(times))


def main() -> int:
    """Measure, print, and return 1 if an embedding misses the target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=MODELS, help="model arguments, separated by commas")
    parser.add_argument("--photographs", type=int, default=5)
    parser.add_argument("--parts", action="store_true", help="the steps of each model instead of the ratios")
    settings = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    keep_freed_memory()  # as a run does
    cohort = Cohort(7, settings.photographs, size=SIZE)
    squares = [cohort[number].photograph().image for number in range(settings.photographs)]
    encoders = {model: encoder_of(model) for model in settings.models.split(",")}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if settings.parts:
            files = [folder / f"{number}.png" for number in range(len(squares))]
            for path, square in zip(files, squares, strict=True):
                cv2.imwrite(str(path), square[..., ::-1])
            print_parts(encoders, files, folder)
            return 0
        reference = encoder_of(f"fundus2video:{reference_weights(folder)}")
        return 0 if print_models({REFERENCE: reference, **encoders}, squares) else 1


if __name__ == "__main__":
    sys.exit(main())
