#!/usr/bin/env bash
# OpenCV: which interpolations of warpAffine, warpPerspective and remap round positions to 1/32 of a pixel.
#
# Expected: the flag of the interpolation chooses the kernel, not the precision of positions. Lanczos, the longest kernel,
#           is at least as exact as the others for a shift below 0.03 px.
# Observed (opencv-python-headless 5.0.0.93): linear and cubic interpolation of float32 images use exact positions (256
#           different results for shifts in steps of 1/256 px), INTER_LANCZOS4 rounds positions to 1/32 px (33 results):
#           a shift of 0.01 px does nothing, and one of 0.02 px moves the image by 0.035 px.
# Who meets it: whoever chooses Lanczos for the best quality when frames of an examination are registered, or estimates
#           small motion by warping: the cost function is a staircase. Its neighbours in the same enumeration are not.
#
# Exit status: 0 while this holds, 1 if the behaviour has changed, other values if the installation failed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/python" -m pip install --quiet --disable-pip-version-check "opencv-python-headless==5.0.0.93" "numpy>=2,<3"
"$work/env/bin/python" - <<'PY'
import sys

import cv2
import numpy as np

print(f"OpenCV {cv2.__version__}")
SIDE, PIXEL, STEPS = 64, 32, 256
ramp = np.tile(np.arange(SIDE, dtype=np.float32), (SIDE, 1))  # the value of a pixel is its column
columns, rows = np.meshgrid(np.arange(SIDE, dtype=np.float32), np.arange(SIDE, dtype=np.float32))


def affine(shift, flag):
    matrix = np.array([[1, 0, shift], [0, 1, 0]], np.float32)
    return cv2.warpAffine(ramp, matrix, (SIDE, SIDE), flags=flag | cv2.WARP_INVERSE_MAP)[PIXEL, PIXEL]


def perspective(shift, flag):
    matrix = np.array([[1, 0, shift], [0, 1, 0], [0, 0, 1]], np.float64)
    return cv2.warpPerspective(ramp, matrix, (SIDE, SIDE), flags=flag | cv2.WARP_INVERSE_MAP)[PIXEL, PIXEL]


def remapped(shift, flag):
    return cv2.remap(ramp, columns + np.float32(shift), rows, flag)[PIXEL, PIXEL]


flags = {"linear": cv2.INTER_LINEAR, "cubic": cv2.INTER_CUBIC, "Lanczos": cv2.INTER_LANCZOS4}
expected = {"linear": STEPS, "cubic": STEPS, "Lanczos": 33}
same = True
for function in (affine, perspective, remapped):
    for name, flag in flags.items():
        results = {round(float(function(step / STEPS, flag)), 5) for step in range(STEPS)}
        small = [float(function(shift, flag)) - PIXEL for shift in (0.01, 0.02)]
        print(f"{function.__name__:<12}{name:<9}{len(results):4} results of {STEPS} shifts; "
              f"0.01 px becomes {small[0]:.4f}, 0.02 px becomes {small[1]:.4f}")
        same &= len(results) == expected[name]
        if name == "Lanczos":
            same &= small[0] == 0 and abs(small[1] - 0.035) < 0.001
print("as observed" if same else "the behaviour has changed")
sys.exit(0 if same else 1)
PY
