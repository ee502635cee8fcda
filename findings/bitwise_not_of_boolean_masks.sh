#!/usr/bin/env bash
# OpenCV 5: bitwise_not of a Boolean mask.
#
# Expected: the complement of the mask, as ~mask in NumPy; or an error, as OpenCV 4 gives for Boolean arrays.
# Observed (opencv-python-headless 5.0.0.93): OpenCV 5 accepts Boolean arrays, and bitwise_not inverts the eight bits of
#           every byte. The result is an array of dtype bool whose bytes are 254 and 255, and NumPy takes both for True:
#           every pixel is inside the complement. mask[complement] selects everything, complement.sum() is the number of
#           pixels, and countNonZero agrees. bitwise_and, bitwise_or and bitwise_xor of Boolean masks are right.
#           opencv-python-headless 4.13 raises an error for the same call.
# Who meets it: whoever masks the outside of the field of view, or the background of vessels: code that converted masks to
#           uint8 for OpenCV 4 seems to need that no more, and a background of all pixels goes unnoticed.
#
# Exit status: 0 while this holds, 1 if the behaviour has changed, other values if the installation failed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cat >"$work/complement.py" <<'PY'
import cv2
import numpy as np

mask = np.zeros((4, 6), bool)
mask[1:3, 2:5] = True
try:
    complement = cv2.bitwise_not(mask)
except cv2.error:
    print(f"OpenCV {cv2.__version__}: error")
else:
    both = cv2.bitwise_and(mask, ~mask).any(), cv2.bitwise_or(mask, ~mask).all(), cv2.bitwise_xor(mask, ~mask).all()
    print(
        f"OpenCV {cv2.__version__}: {mask.sum()} of {mask.size} pixels are True, of the complement {complement.sum()}"
        f" ({complement.dtype}, bytes {np.unique(complement.view(np.uint8)).tolist()},"
        f" countNonZero {cv2.countNonZero(complement)}), of ~mask {(~mask).sum()};"
        f" and, or, xor right: {both == (False, True, True)}"
    )
PY
python3 -m venv "$work/env"
for version in 4.13.0.92 5.0.0.93; do
  "$work/env/bin/python" -m pip install --quiet --disable-pip-version-check "opencv-python-headless==$version" "numpy>=2,<3"
  "$work/env/bin/python" "$work/complement.py" | tee -a "$work/output.txt"
done
cat >"$work/expected.txt" <<'TXT'
OpenCV 4.13.0: error
OpenCV 5.0.0: 6 of 24 pixels are True, of the complement 24 (bool, bytes [254, 255], countNonZero 24), of ~mask 18; and, or, xor right: True
TXT
if cmp -s "$work/output.txt" "$work/expected.txt"; then
  echo "as observed"
else
  echo "the behaviour has changed"
  exit 1
fi
