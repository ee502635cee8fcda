"""Brightness over time in generated and true angiograms of unseen simulated eyes, by what the pixels show.

    python -m benchmarks.fluorescence_curves WEIGHTS [--eyes 24] [--seed 770002] [--figure FILE.png] [--strips FILE.png]

WEIGHTS is a Fundus2Video generator or the name of its card. For arteries, veins, optic disc, every kind of lesion and
the background, the mean brightness of each of the twelve frames is compared with that of the noise-free angiogram of
the same eye, as means over eyes. The ratio of a class is the largest one over frames, of the larger to the smaller
value. Targets: every ratio and that of the mean change between consecutive frames at most 1.5; arteries before veins.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import matplotlib
import numpy as np
import torch

from f2vbench.data.square_crop import SquareView
from f2vbench.encoders.loading import load_encoder
from f2vbench.phantom import Cohort
from f2vbench.training.data.truth_maps import TRUTH_CLASSES, truth_masks
from f2vbench.utils.files import write_atomically
from f2vbench.utils.png import encode_png

matplotlib.use("Agg")
import matplotlib.pyplot as plt

SIDE = 512
TARGET = 1.5
SMALLEST = 30  # pixels: classes with fewer in an eye are left out there
BACKGROUND = "background"
CHANGE = "change between frames"


def main() -> int:
    """Print the ratios, and return 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", help="weights file or card of a Fundus2Video generator")
    parser.add_argument("--eyes", type=int, default=24)
    parser.add_argument("--seed", type=int, default=770_002, help="of the simulated eyes")
    parser.add_argument("--figure", type=Path, help="PNG file for the curves")
    parser.add_argument("--strips", type=Path, help="PNG file with true above generated frames of three eyes")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    is_file = Path(arguments.weights).is_file()
    model = f"fundus2video:{arguments.weights}" if is_file else arguments.weights
    encoder = load_encoder(model)
    cohort = Cohort(arguments.seed, arguments.eyes, size=SIDE)
    curves: dict[str, list[np.ndarray]] = {}
    strips: list[np.ndarray] = []
    for number in range(0, 2 * arguments.eyes, 2):
        eye = cohort[number]
        photograph = eye.photograph()
        truth = photograph.truth
        view = SquareView.around(truth.field_of_view)
        fov_mask = view.crop(truth.field_of_view, SIDE)
        image = view.crop(photograph.image * truth.field_of_view[..., None], SIDE)
        tensor = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
        fake = encoder.generate(tensor)[0].numpy().clip(0, 1) * fov_mask
        real = np.stack([view.crop(frame, SIDE) for frame in eye.angiogram(noise=False).frames]) / 255 * fov_mask
        masks = {name: view.crop(mask, SIDE) for name, mask in truth_masks(truth, photograph.camera).items()}
        masks[BACKGROUND] = fov_mask & ~np.any(list(masks.values()), axis=0)
        for name, mask in masks.items():
            if mask.sum() >= SMALLEST and name != "fovea":
                curves.setdefault(name, []).append(np.stack([frames[:, mask].mean(axis=1) for frames in (real, fake)]))
        changes = np.stack([np.abs(np.diff(frames[:, fov_mask], axis=0)).mean(axis=1) for frames in (real, fake)])
        curves.setdefault(CHANGE, []).append(changes)
        if len(strips) < 6:
            strips += [np.concatenate([frame[::3, ::3] for frame in frames], axis=1) for frames in (real, fake)]
    means = {name: np.mean(found, axis=0) for name, found in curves.items()}
    if arguments.figure:
        _draw(means, arguments.figure)
    if arguments.strips:
        grey = np.rint(255 * np.concatenate(strips)).astype(np.uint8)
        write_atomically(arguments.strips, encode_png(grey[..., None].repeat(3, 2)))
    return _report(means, {name: len(found) for name, found in curves.items()})


def _report(means: dict[str, np.ndarray], eyes: dict[str, int]) -> int:
    names = [name for name in ("artery", "vein", *TRUTH_CLASSES[2:], BACKGROUND) if name in means]
    reached = True
    print(f"{'class':<40}{'eyes':>5}{'ratio':>7}   true frames 1 … 12 (first line), generated (second line)")
    for name in [*names, CHANGE]:
        real, fake = means[name]
        if name == CHANGE:
            real, fake = real.mean(keepdims=True), fake.mean(keepdims=True)
        ratio = float(np.exp(np.abs(np.log(np.maximum(fake, 1e-3) / np.maximum(real, 1e-3))).max()))
        reached &= ratio <= TARGET
        print(f"{name:<40}{eyes[name]:>5}{ratio:>7.2f}   {' '.join(f'{value:.3f}' for value in real)}")
        print(f"{'':<55}{' '.join(f'{value:.3f}' for value in fake)}")
    order = [_half_rise(means[name][1]) for name in ("artery", "vein")]
    reached &= order[0] < order[1]
    print(f"half of the largest brightness: arteries at frame {order[0]:.1f}, veins at frame {order[1]:.1f}")
    print("the targets are reached" if reached else "a target is missed")
    return 0 if reached else 1


def _half_rise(curve: np.ndarray) -> float:
    """The frame, from 1, at which a curve first reaches half of its largest value, interpolated linearly."""
    half, index = curve.max() / 2, int(np.argmax(curve >= curve.max() / 2))
    if index == 0:
        return 1.0
    return float(index + (half - curve[index - 1]) / (curve[index] - curve[index - 1]))


def _draw(means: dict[str, np.ndarray], path: Path) -> None:
    names = [name for name in ("artery", "vein", "disc", BACKGROUND, *TRUTH_CLASSES[4:]) if name in means]
    columns = 4
    rows = -(-len(names) // columns)
    figure, axes = plt.subplots(rows, columns, figsize=(10, 2.2 * rows), sharex=True, layout="constrained")
    for axis, name in zip(axes.flat, names, strict=False):
        frames = np.arange(1, means[name].shape[1] + 1)
        axis.plot(frames, means[name][0], color="black", label="true, noise-free")
        axis.plot(frames, means[name][1], color="#D55E00", linestyle="--", label="generated")
        axis.set_title(name.replace("_", " "), fontsize=8)
        axis.set_ylim(bottom=0)
        axis.set_xticks([1, 4, 8, 12])
        axis.tick_params(labelsize=7)
    for axis in list(axes.flat)[len(names) :]:
        axis.set_visible(False)
    figure.supxlabel("frame", fontsize=8)
    figure.supylabel("mean brightness, 0 to 1", fontsize=8)
    figure.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside upper right", ncols=2, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    sys.exit(main())
