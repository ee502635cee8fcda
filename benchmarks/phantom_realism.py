"""Compare simulated eyes with published values, real photographs and real angiogram frames.

    python -m benchmarks.phantom_realism [--data FOLDER] [--eyes 60] [--figure docs/figures/phantom-realism.png]

Without FOLDER, only published values are compared. FOLDER contains `rite/`, `chase_db1/`, `hrf/`, `les_av/` in their
original layouts and angiogram frames in `ffa_frames/01.phase_identification/{arterial,venous}_phase/`. Real data
serves for comparison only; nothing is fitted here.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import cv2
import numpy as np

from f2vbench.data.images import read_rgb
from f2vbench.data.photographs import open_photograph
from f2vbench.data.task_data import open_task
from f2vbench.phantom import Cohort, realism_measures
from f2vbench.phantom.anatomy.camera import VIEWS

SETS = ("rite", "chase_db1", "hrf", "les_av")
TITLES = {
    "phantoms, macula": "phantoms, macula (band: 10–90 %)",
    "phantoms, disc": "phantoms, disc",
    "rite": "RITE (macula)",
    "chase_db1": "CHASE_DB1 (disc)",
    "hrf": "HRF (macula)",
    "les_av": "LES-AV (disc)",
}


def eye_figures(cohort: Cohort, eyes: int) -> dict[str, np.ndarray]:
    """Each measure with a published range, on healthy simulated eyes."""
    rows = [realism_measures.anatomical_figures(eye.eye, eye.truth("macula")) for eye in cohort[:eyes]]
    return {name: np.array([row[name] for row in rows]) for name in realism_measures.PUBLISHED}


def photograph_figures(image: np.ndarray, vessels: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Green contrast of the vessels, followed by the green spectrum in eight bands, (9,)."""
    return np.array(
        [realism_measures.green_contrast(image, vessels, inside), *realism_measures.green_spectrum(image, inside)]
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--eyes", type=int, default=60)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--figure", type=Path)
    settings = parser.parse_args()
    cv2.setNumThreads(1)
    healthy = Cohort(settings.seed, settings.eyes, diseases=("normal",))
    measured = eye_figures(healthy, settings.eyes)
    print(f"{settings.eyes} healthy simulated eyes: 10th, 50th, 90th percentile; published range of the median")
    all_in_range = True
    for name, (low, high, source) in realism_measures.PUBLISHED.items():
        ten, fifty, ninety = np.nanpercentile(measured[name], [10, 50, 90])
        all_in_range &= low <= fifty <= high
        print(f"  {name:<27}{ten:7.3f}{fifty:7.3f}{ninety:7.3f}   {low} to {high}: {source}")
    if settings.data is not None:
        mixed = Cohort(settings.seed + 1, settings.eyes)
        groups = {f"phantoms, {view}": _phantom_photographs(mixed, settings.eyes, view) for view in VIEWS}
        groups |= {name: _real_photographs(settings.data, name) for name in SETS}
        print("\ngreen channel, medians: vessel contrast, then rms contrast in eight bands of increasing frequency")
        for name, rows in groups.items():
            print(f"  {name:<17}" + "".join(f"{value:8.4f}" for value in np.median(rows, axis=0)))
        print("\nangiogram frames inside the field of view: medians of the 5th, 50th, 95th percentile of grey levels")
        frames = {"phantom": _phantom_frames(mixed, settings.eyes // 3), "real": _real_frames(settings.data)}
        for phase in ("arterial", "venous"):
            for name, table in frames.items():
                values = np.percentile(table[phase], [10, 50, 90], axis=0)
                print(f"  {phase:<9}{name:<9}" + "   ".join(f"{m:.0f} ({a:.0f}-{b:.0f})" for a, m, b in values.T))
        if settings.figure:
            _draw(measured, groups, frames, settings.figure)
    return 0 if all_in_range else 1


def _phantom_photographs(cohort: Cohort, eyes: int, view: str) -> np.ndarray:
    rows = []
    for eye in cohort[:eyes]:
        photograph = eye.photograph(view)
        rows.append(photograph_figures(photograph.image, photograph.truth.vessels, photograph.truth.field_of_view))
    return np.array(rows)


def _real_photographs(data: Path, name: str) -> np.ndarray:
    rows = []
    index = open_task(name, data / name).index
    for _, row in index[index.mask_path != ""].iterrows():
        photograph = open_photograph(row)
        rows.append(photograph_figures(photograph.rgb, photograph.vessels, photograph.fov))
    return np.array(rows)


def _phantom_frames(cohort: Cohort, eyes: int) -> dict[str, np.ndarray]:
    """Grey levels of the last three arterial and the first three venous frames, the ones that clinics store."""
    table: dict[str, list[np.ndarray]] = {"arterial": [], "venous": []}
    for eye in cohort[:eyes]:
        angiogram = eye.angiogram("macula", 512)
        inside = eye.camera("macula", 512).field_of_view()
        for phase, numbers in (("arterial", (1, 2, 3)), ("venous", (4, 5, 6))):
            table[phase] += [np.percentile(angiogram.frames[n][inside], [5, 50, 95]) for n in numbers]
    return {phase: np.array(rows) for phase, rows in table.items()}


def _real_frames(data: Path) -> dict[str, np.ndarray]:
    table = {}
    for phase in ("arterial", "venous"):
        rows = []
        for file in sorted((data / "ffa_frames" / "01.phase_identification" / f"{phase}_phase").glob("*.jpg")):
            grey = read_rgb(file)[..., 1]
            along = np.arange(len(grey)) - (len(grey) - 1) / 2
            inside = np.hypot(along[:, None], along[None, :]) < 0.47 * len(grey)
            rows.append(np.percentile(grey[inside], [5, 50, 95]))
        table[phase] = np.array(rows)
    return table


def _draw(
    measured: dict[str, np.ndarray],
    groups: dict[str, np.ndarray],
    frames: dict[str, dict[str, np.ndarray]],
    path: Path,
) -> None:
    """Draw one figure: measures with published ranges, spectra, grey levels of frames."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 7, "axes.spines.top": False, "axes.spines.right": False})
    figure = plt.figure(figsize=(183 / 25.4, 112 / 25.4), layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=(1, 1.25))
    for axis, (name, (low, high, _)) in zip(
        upper.subplots(1, len(realism_measures.PUBLISHED)), realism_measures.PUBLISHED.items(), strict=True
    ):
        values = measured[name][np.isfinite(measured[name])]
        axis.axhspan(low, high, color="#d9e6f2", lw=0)
        axis.plot(np.random.default_rng(0).uniform(-0.25, 0.25, len(values)), values, ".", ms=2.5, color="#0072b2")
        axis.plot([-0.35, 0.35], [np.median(values)] * 2, color="black", lw=1)
        axis.set(xticks=[], xlim=(-0.6, 0.6))
        axis.set_title(name.replace(" ", "\n", 1), fontsize=6)
    left, right = lower.subplots(1, 2, width_ratios=(1.3, 1))
    colours = dict(zip(groups, ("#0072b2", "#d55e00", "#56b4e9", "#e69f00", "#009e73", "#cc79a7"), strict=True))
    bands = np.sqrt(np.geomspace(4, 362, 9)[1:] * np.geomspace(4, 362, 9)[:-1])
    for name, rows in groups.items():
        low, middle, high = np.percentile(rows[:, 1:], [10, 50, 90], axis=0)
        phantom = name.startswith("phantoms")
        if phantom:
            left.fill_between(bands, low, high, color=colours[name], alpha=0.15, lw=0)
        left.plot(bands, middle, color=colours[name], lw=2 if phantom else 1, label=TITLES.get(name, name))
    left.set(
        xscale="log", yscale="log", xlabel="cycles across a field of view 512 px wide", ylabel="rms contrast, green"
    )
    left.legend(frameon=False)
    for column, (phase, name) in enumerate((p, n) for p in ("arterial", "venous") for n in ("phantom", "real")):
        values = frames[name][phase]
        colour = "#0072b2" if name == "phantom" else "#555555"
        for level, marker in enumerate("v.^"):
            jitter = np.random.default_rng(level).uniform(-0.2, 0.2, len(values))
            right.plot(column + jitter, values[:, level], marker, ms=3, color=colour, alpha=0.6, mew=0)
    right.set(ylabel="grey level (▾ 5th, • 50th, ▴ 95th percentile)", ylim=(0, 255))
    right.set_xticks(range(4), ["arterial\nphantom", "arterial\nreal", "venous\nphantom", "venous\nreal"])
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=200)


if __name__ == "__main__":
    sys.exit(main())
