#!/usr/bin/env bash
# MONAI: the mean Hausdorff distance of a model that finds nothing on some images.
#
# Expected: an image on which nothing is predicted counts against the model: its Hausdorff distance is infinite, or a
#           penalty takes its place, so that a model cannot gain by predicting nothing where the task is hard.
# Observed (monai 1.6.1): HausdorffDistanceMetric gives NaN for an empty prediction, and its mean (reduction="mean") leaves
#           NaN out without a warning. A model that is exact on one image and finds nothing on the other has HD95 0.0, one
#           that is 6 px off on both has 6.0; Dice orders them the other way (0.50, 0.70). DiceMetric gives NaN for an image
#           whose reference is empty even where the prediction is not, so that false positives on healthy images are free.
# Who meets it: whoever ranks segmentation models of lesions, of optic discs in poor images, or of rare classes by the mean
#           of HD95, and whoever reports Dice over images of which many are healthy.
#
# Exit status: 0 while this holds, 1 if the behaviour has changed, other values if the installation failed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/python" -m pip install --quiet --disable-pip-version-check \
    "monai==1.6.1" "torch==2.13.0" "scipy==1.17.1" "numpy>=2,<3"
"$work/env/bin/python" - <<'PY'
import math
import sys
import warnings

warnings.filterwarnings("ignore")

import monai
import torch
from monai.metrics import DiceMetric, HausdorffDistanceMetric

print(f"monai {monai.__version__}, torch {torch.__version__}")
reference = torch.zeros(2, 1, 64, 64)
reference[:, :, 20:40, 20:40] = 1
off = reference.roll(6, -1)  # 6 px off on both images
lazy = reference.clone()
lazy[1] = 0  # exact on the first image, nothing on the second
found = {}
for name, predicted in (("6 px off on both images", off), ("nothing on the second image", lazy)):
    distance = HausdorffDistanceMetric(include_background=True, percentile=95, reduction="mean", get_not_nans=True)
    dice = DiceMetric(include_background=True)
    each = distance(predicted, reference).flatten().tolist()
    dice(predicted, reference)
    mean, counted = (value.item() for value in distance.aggregate())
    found[name] = mean, counted, dice.aggregate().item()
    print(f"{name:<28} HD95 of images {each}, mean {mean} over {counted:g} image(s); Dice {found[name][2]:.2f}")

healthy = DiceMetric(include_background=True)
of_healthy = healthy(reference[:1], torch.zeros(1, 1, 64, 64)).item()
print(f"400 false pixels on a healthy image: Dice {of_healthy}")

same = (
    found["6 px off on both images"][:2] == (6.0, 2.0)
    and found["nothing on the second image"][:2] == (0.0, 1.0)
    and math.isclose(found["6 px off on both images"][2], 0.7, abs_tol=1e-6)
    and math.isclose(found["nothing on the second image"][2], 0.5, abs_tol=1e-6)
    and math.isnan(of_healthy)
)
print("as observed" if same else "the behaviour has changed")
sys.exit(0 if same else 1)
PY
