"""Near-duplicates: what is found, what is confused, and time and memory.

    python -m benchmarks.near_duplicates                  # copies and pairs of simulated photographs
    python -m benchmarks.near_duplicates patients=600     # both eyes of each patient; default 200
    python -m benchmarks.near_duplicates speed            # 100,000 synthetic appearances
    python -m benchmarks.near_duplicates speed count=25000

For each kind of copy: the share above the threshold, and the lowest and the median correlation. For different
photographs: the highest correlation of the two eyes of a patient, and of eyes of two patients.

Synthetic appearances are drawn from the normal distribution with the mean and the covariance of the appearances of 200
simulated eyes; every hundredth is followed by a copy with rounding noise, all of which must be found. Time and peak
memory (VmHWM) are those of the search alone, beside the memory before it.
"""

from __future__ import annotations

import base64
import io
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from f2vbench.data.near_duplicates import MIN_CORRELATION, appearance, near_duplicate_pairs
from f2vbench.phantom.cohort import Cohort

SIZE = 384
SEED = 31
COPIED = 100  # photographs of which copies are made
SYNTHETIC_EYES = 200
COPY_EVERY = 100

Edit = Callable[[np.ndarray], np.ndarray]


def jpeg(rgb: np.ndarray, quality: int) -> np.ndarray:
    content = io.BytesIO()
    Image.fromarray(rgb).save(content, "JPEG", quality=quality)
    return np.array(Image.open(content))


def turned(rgb: np.ndarray, degrees: float) -> np.ndarray:
    return np.array(Image.fromarray(rgb).rotate(degrees, Image.Resampling.BICUBIC))


def half(rgb: np.ndarray) -> np.ndarray:
    return cv2.resize(rgb, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)


def one_pixel(rgb: np.ndarray) -> np.ndarray:
    changed = rgb.copy()
    changed[SIZE // 2, SIZE // 2] ^= 255
    return changed


def mirrored(rgb: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rgb[:, ::-1])


COPIES: dict[str, Edit] = {
    "one pixel changed": one_pixel,
    "JPEG quality 75": lambda rgb: jpeg(rgb, 75),
    "JPEG quality 30": lambda rgb: jpeg(rgb, 30),
    "half, quality 75": lambda rgb: jpeg(half(rgb), 75),
    "cropped by 3 % on each side": lambda rgb: rgb[SIZE // 32 : -SIZE // 32, SIZE // 32 : -SIZE // 32],
    "mirrored horizontally": mirrored,
    "mirrored vertically": lambda rgb: np.ascontiguousarray(rgb[::-1]),
    "turned by 5°": lambda rgb: turned(rgb, 5),
    "turned by 10°": lambda rgb: turned(rgb, 10),
    "turned by 90°": lambda rgb: np.ascontiguousarray(np.rot90(rgb)),
    "turned by 7°, quality 75": lambda rgb: jpeg(turned(rgb, 7), 75),
    "mirrored, turned by 5°, half, quality 75": lambda rgb: jpeg(half(turned(mirrored(rgb), 5)), 75),
}


def measure_eyes(patients: int) -> None:
    """Print what is found of copies, and the most similar different photographs."""
    eyes = [eye.photograph().image for eye in Cohort(SEED, patients, size=SIZE)]
    texts = [appearance(rgb) for rgb in eyes]
    print(f"{len(eyes):,} photographs of {patients:,} patients; threshold {MIN_CORRELATION}")
    for name, edit in COPIES.items():
        found = []
        for rgb, text in zip(eyes[:COPIED], texts, strict=False):
            found += [pair.correlation for pair in near_duplicate_pairs([text], -1, [appearance(edit(rgb))])]
        share = np.mean(np.array(found) > MIN_CORRELATION)
        print(f"{name:>42}: {share:5.0%} found, lowest {min(found):.3f}, median {np.median(found):.3f}")
    highest = {"the two eyes of a patient": -1.0, "eyes of two patients": -1.0}
    above = 0
    for pair in near_duplicate_pairs(texts, 0.6):
        name = "the two eyes of a patient" if pair.first // 2 == pair.second // 2 else "eyes of two patients"
        highest[name] = max(highest[name], pair.correlation)
        above += pair.correlation > MIN_CORRELATION
    pairs = len(eyes) * (len(eyes) - 1) // 2
    for name, value in highest.items():
        print(f"{name:>42}: highest correlation {f'{value:.3f}' if value > 0 else 'below 0.6'}")
    print(f"{above} of {pairs:,} pairs of different photographs are above the threshold")


def synthetic_appearances(count: int) -> list[str]:
    """Appearances like those of simulated eyes; every hundredth is followed by its copy."""
    texts = [appearance(eye.photograph().image) for eye in Cohort(SEED, SYNTHETIC_EYES // 2, size=SIZE)]
    real = np.stack([np.frombuffer(base64.b64decode(text), np.int8) for text in texts]).astype(np.float64)
    random = np.random.default_rng(0)
    spread = (real - real.mean(axis=0)) / np.sqrt(len(real))
    found: list[str] = []
    while len(found) < count:
        drawn = real.mean(axis=0) + random.standard_normal(len(real)) @ spread
        for numbers in (drawn, drawn + random.normal(0, 2, drawn.shape))[: 1 + (len(found) % COPY_EVERY == 0)]:
            codes = np.rint(127 * numbers / np.abs(numbers).max()).astype(np.int8)
            found.append(base64.b64encode(codes.tobytes()).decode())
    return found[:count]


def measure_speed(count: int) -> None:
    """Print time and memory of the search among synthetic appearances."""
    texts = synthetic_appearances(count)
    planted = {(at, at + 1) for at in range(0, count - 1, COPY_EVERY)}
    before = memory_in_kib("VmRSS")
    wall_start, cpu_start = time.perf_counter(), time.process_time()
    found = {(pair.first, pair.second) for pair in near_duplicate_pairs(texts)}
    wall, cpu = time.perf_counter() - wall_start, time.process_time() - cpu_start
    print(
        f"{count:,} appearances: {wall:.1f} s, CPU time {cpu:.1f} s; memory {before / 1024:,.0f} MiB before, at most "
        f"{memory_in_kib('VmHWM') / 1024:,.0f} MiB; {len(found & planted):,} of {len(planted):,} copies and "
        f"{len(found - planted):,} other pairs found"
    )


def memory_in_kib(field: str) -> int:
    """A field of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


if __name__ == "__main__":
    arguments = dict(argument.partition("=")[::2] for argument in sys.argv[1:])
    if "speed" in arguments:
        measure_speed(int(arguments.get("count", 100_000)))
    else:
        measure_eyes(int(arguments.get("patients", 200)))
