#!/usr/bin/env bash
# OpenCV: CLAHE of a mirrored photograph.
#
# Expected: contrast-limited adaptive histogram equalisation treats left and right alike, so that mirroring before and
#           after it is the same up to rounding (one grey level).
# Observed (opencv-python-headless 5.0.0.93): that holds only where the sides are multiples of the number of tiles.
#           Otherwise the image is extended at its right and lower edge alone, and all tiles shift. For a smooth texture
#           of 512 or 584 px and 8 × 8 tiles the difference is at most 1 grey level; for 565 px, the width of DRIVE and
#           RITE, it is up to 6 grey levels and 0.8 in the mean, in every column.
# Who meets it: whoever averages predictions over mirrored photographs (test-time augmentation), or searches for mirrored
#           duplicates, with CLAHE as preprocessing: views that should carry the same information do not. Pad or resize
#           to a multiple of the tiles first.
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

print(f"OpenCV {cv2.__version__}: CLAHE (clip limit 2, 8 × 8 tiles) of a texture, mirrored before and after")
clahe = cv2.createCLAHE(2.0, (8, 8))
largest, mean = {}, {}
for side in (512, 565, 584):
    texture = cv2.GaussianBlur(np.random.default_rng(0).normal(size=(side, side)), (0, 0), 3)
    texture = np.uint8(255 * (texture - texture.min()) / np.ptp(texture))
    mirrored = clahe.apply(np.ascontiguousarray(texture[:, ::-1]))[:, ::-1]
    difference = np.abs(mirrored.astype(int) - clahe.apply(texture))
    largest[side], mean[side] = difference.max(), difference.mean()
    columns = (difference.max(axis=0) > 1).mean()
    print(f"{side} px: differs by up to {largest[side]}, mean {mean[side]:.2f}; columns with more than 1: {columns:.0%}")
as_observed = largest[512] == largest[584] == 1 and largest[565] > 3 and mean[565] > 5 * mean[512]
print("as observed" if as_observed else "the behaviour has changed")
sys.exit(0 if as_observed else 1)
PY
