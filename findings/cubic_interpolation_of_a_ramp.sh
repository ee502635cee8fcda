#!/usr/bin/env bash
# Pillow, OpenCV, PyTorch, SciPy: what "bicubic" does to a linear ramp.
#
# Expected: cubic interpolation reproduces a linear ramp, as linear interpolation does and as the kernel of Keys (1981,
#           a = -1/2) does; a shift by a quarter of a pixel changes each value by a quarter of the slope. Two functions of
#           one library that are both called bicubic use one kernel.
# Observed (Pillow 13.0.0, opencv-python-headless 5.0.0.93, torch 2.13.0, SciPy 1.17.1): only Pillow's resize, torch's
#           interpolate with antialias=True and SciPy's spline do. A quarter of a pixel becomes 0.344 in Pillow's
#           transform (a = -1) and 0.297 in OpenCV and torch's grid_sample (a = -3/4). The largest error of a position is
#           0.096 of a pixel (Pillow's transform and rotate) and 0.048 (OpenCV). torch's interpolate has one kernel with
#           antialias and another one without, which shows in enlarged images too, where antialiasing has nothing to do.
# Who meets it: whoever measures motion, vessel calibre or registration below a tenth of a pixel on frames that were warped
#           with one of these, or moves preprocessing from one library to another: linear interpolation is the exact one.
#
# Exit status: 0 while this holds, 1 if the behaviour has changed, other values if the installation failed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/python" -m pip install --quiet --disable-pip-version-check \
    "pillow==13.0.0" "opencv-python-headless==5.0.0.93" "torch==2.13.0" "scipy==1.17.1" "numpy>=2,<3"
"$work/env/bin/python" - <<'PY'
import sys

import cv2
import numpy as np
import PIL
import scipy
import torch
from PIL import Image
from scipy import ndimage
from torch.nn import functional

print(f"Pillow {PIL.__version__}, OpenCV {cv2.__version__}, torch {torch.__version__}, SciPy {scipy.__version__}")
SIDE, PIXEL = 64, 32
ramp = np.tile(np.arange(SIDE, dtype=np.float32), (SIDE, 1))  # the value of a pixel is its column


def pillow(shift):
    moved = Image.fromarray(ramp).transform((SIDE, SIDE), Image.AFFINE, (1, 0, shift, 0, 1, 0), Image.BICUBIC)
    return np.asarray(moved)[PIXEL, PIXEL]


def opencv(shift, flag=cv2.INTER_CUBIC):
    matrix = np.array([[1, 0, shift], [0, 1, 0]], np.float32)
    return cv2.warpAffine(ramp, matrix, (SIDE, SIDE), flags=flag | cv2.WARP_INVERSE_MAP)[PIXEL, PIXEL]


def grid_sample(shift):
    rows, columns = torch.meshgrid(torch.arange(SIDE) + 0.0, torch.arange(SIDE) + shift, indexing="ij")
    grid = (torch.stack([columns, rows], -1)[None] * 2 + 1) / SIDE - 1
    images = torch.from_numpy(ramp)[None, None]
    return functional.grid_sample(images, grid, mode="bicubic", align_corners=False)[0, 0, PIXEL, PIXEL].item()


def spline(shift):
    return ndimage.shift(ramp, (0, -shift), order=3)[PIXEL, PIXEL]


shifts = np.arange(256) / 256
found = {}
for name, function in {
    "Pillow transform": pillow,
    "OpenCV warpAffine, cubic": opencv,
    "OpenCV warpAffine, linear": lambda shift: opencv(shift, cv2.INTER_LINEAR),
    "torch grid_sample, bicubic": grid_sample,
    "SciPy shift, order 3": spline,
}.items():
    measured = np.array([function(float(shift)) for shift in shifts]) - PIXEL
    found[name] = np.abs(measured - shifts).max()
    print(f"{name:<36} a shift of 0.25 px is {measured[64]:.4f} px; largest error {found[name]:.4f} px")

positions, inner = (np.arange(4 * SIDE) + 0.5) / 4 - 0.5, slice(40, 4 * SIDE - 40)


def largest_error(enlarged):
    return np.abs(np.asarray(enlarged)[PIXEL, inner] - positions[inner]).max()


size = (SIDE, 4 * SIDE)
for antialias in (False, True):
    enlarged = functional.interpolate(torch.from_numpy(ramp)[None, None], size, mode="bicubic", antialias=antialias)
    found[f"torch interpolate, antialias={antialias}"] = largest_error(enlarged[0, 0])
found["Pillow resize"] = largest_error(Image.fromarray(ramp).resize(size[::-1], Image.BICUBIC))
found["OpenCV resize, cubic"] = largest_error(cv2.resize(ramp, size[::-1], interpolation=cv2.INTER_CUBIC))
for name in list(found)[5:]:
    print(f"{name:<36} enlarged four times; largest error {found[name]:.4f} px")

expected = {
    "Pillow transform": 0.096,
    "OpenCV warpAffine, cubic": 0.048,
    "OpenCV warpAffine, linear": 0.0,
    "torch grid_sample, bicubic": 0.048,
    "SciPy shift, order 3": 0.0,
    "torch interpolate, antialias=False": 0.041,
    "torch interpolate, antialias=True": 0.0,
    "Pillow resize": 0.0,
    "OpenCV resize, cubic": 0.041,
}
same = all(abs(found[name] - value) < 0.001 for name, value in expected.items())
print("as observed" if same else "the behaviour has changed")
sys.exit(0 if same else 1)
PY
