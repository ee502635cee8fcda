"""Measure the speed of the simulator, and whether its memory is constant.

    python -m benchmarks.phantom_speed [--eyes 40] [--videos 10]

One process, one thread. The time of an eye includes anatomy, photograph and masks at 512 × 512 px; that of a video its
twelve frames. Requirements: 5 eyes per second, 1 video per second, and no growth of memory after the first quarter of
the eyes.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
import time

os.environ["OMP_NUM_THREADS"] = "1"

import cv2
import numpy as np

from f2vbench.phantom import Cohort

EYES_PER_SECOND, VIDEOS_PER_SECOND, GROWTH_MIB = 5.0, 1.0, 64.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--eyes", type=int, default=40)
    parser.add_argument("--videos", type=int, default=10)
    settings = parser.parse_args()
    cv2.setNumThreads(1)
    cohort = Cohort(11, 10_000_000, size=512)
    _photograph(cohort, 999), cohort[998].angiogram()  # computes the noise tiles once
    seconds, peaks = [], []
    for number in range(settings.eyes):
        started = time.perf_counter()
        _photograph(cohort, number)
        seconds.append(time.perf_counter() - started)
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    videos = []
    for number in range(settings.videos):
        eye = cohort[number]
        _ = eye.eye  # cached: not part of the time of a video
        started = time.perf_counter()
        eye.angiogram()
        videos.append(time.perf_counter() - started)
    rate, video_rate = 1 / np.mean(seconds), 1 / np.mean(videos)
    growth = peaks[-1] - peaks[len(peaks) // 4]
    print(
        f"eyes (anatomy, photograph, masks): {rate:.1f} per second, slowest {max(seconds):.2f} s; "
        f"required {EYES_PER_SECOND:.0f}"
    )
    print(f"  ratio to the requirement: {rate / EYES_PER_SECOND:.2f}")
    print(
        f"videos of 12 frames: {video_rate:.1f} per second, slowest {max(videos):.2f} s; "
        f"required {VIDEOS_PER_SECOND:.0f}"
    )
    print(f"  ratio to the requirement: {video_rate / VIDEOS_PER_SECOND:.2f}")
    print(
        f"peak memory: {peaks[-1]:.0f} MiB, of which {growth:.0f} MiB after the first quarter; "
        f"allowed {GROWTH_MIB:.0f} MiB"
    )
    return 0 if rate >= EYES_PER_SECOND and video_rate >= VIDEOS_PER_SECOND and growth <= GROWTH_MIB else 1


def _photograph(cohort: Cohort, number: int) -> None:
    photograph = cohort[number].photograph("macula" if number % 2 else "disc")
    assert photograph.truth.vessels.any()


if __name__ == "__main__":
    sys.exit(main())
