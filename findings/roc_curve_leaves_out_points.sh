#!/usr/bin/env bash
# scikit-learn: the sensitivity at a fixed specificity, read from the points of roc_curve.
#
# Expected: the largest true positive rate among the points with a false positive rate of at most 0.45 is the largest
#           that a threshold of the data reaches under this limit.
# Observed (scikit-learn 1.9.1): by default (drop_intermediate=True) points on a straight line between their neighbours
#           are left out. The documentation of the parameter says so, and that area and shape of the curve stay. A point
#           on a slanted line is a threshold of its own, though, which tied scores produce. For five scores with two
#           images of each class, the curve has no point between 0.2 and 1, and the sensitivity read from it is 0.2. The
#           threshold 0.8 reaches 0.4, which drop_intermediate=False has.
#           In simulated data with 10 grades it is rare and needs few images: 4.2 % of the data sets with 20 images of
#           each class, 1.8 % with 50 and 0.4 % with 200.
# Who meets it: whoever reads an operating point from the curve for a small test set with graded or rounded scores.
#
# Exit status: 0 while this holds, 1 if the behaviour has changed, other values if the installation failed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/python" -m pip install --quiet --disable-pip-version-check "scikit-learn==1.9.1" "numpy>=2,<3"
"$work/env/bin/python" - <<'PY'
import sys

import numpy as np
import sklearn
from sklearn.metrics import auc, roc_curve

print(f"scikit-learn {sklearn.__version__}")


def sensitivity(labels, scores, limit, **options):
    false_positives, true_positives, _ = roc_curve(labels, scores, **options)
    return true_positives[false_positives <= limit].max()


def by_thresholds(labels, scores, limit):
    """The largest sensitivity of a threshold whose false positive rate is at most the limit."""
    called = scores[None, :] >= np.append(np.unique(scores), np.inf)[:, None]
    allowed = called[:, labels == 0].mean(1) <= limit
    return called[:, labels == 1].mean(1)[allowed].max()


scores, labels = np.repeat([0.9, 0.8, 0.7, 0.6, 0.5], 4), np.tile([1, 0, 1, 0], 5)
for drop in (True, False):
    false_positives, true_positives, thresholds = roc_curve(labels, scores, drop_intermediate=drop)
    print(f"drop_intermediate={drop}: thresholds {thresholds}, area {auc(false_positives, true_positives):.2f}")
    print(f"    false positive rate {false_positives}, true positive rate {true_positives}")
default = sensitivity(labels, scores, 0.45)
complete = sensitivity(labels, scores, 0.45, drop_intermediate=False)
true = by_thresholds(labels, scores, 0.45)
print(f"sensitivity at a specificity of 0.55: default {default}, all points {complete}, by thresholds {true}")

share, all_points_right = {}, True
for images, grades in ((20, 10), (50, 10), (200, 10)):
    rng, wrong = np.random.default_rng(0), 0
    labels = np.repeat([0, 1], images)
    for _ in range(500):
        scores = np.clip(np.floor((rng.normal(labels) + 2) / 5 * grades), 0, grades - 1)
        truth = [by_thresholds(labels, scores, limit) for limit in (0.1, 0.2, 0.3)]
        read = [sensitivity(labels, scores, limit) for limit in (0.1, 0.2, 0.3)]
        wrong += not np.allclose(read, truth)
        points = [sensitivity(labels, scores, limit, drop_intermediate=False) for limit in (0.1, 0.2, 0.3)]
        all_points_right &= np.allclose(points, truth)
    share[images] = wrong / 500
    print(f"{images} images of each class, {grades} grades: too small in {share[images]:.1%} of the data sets")

as_observed = (
    (default, complete, true) == (0.2, 0.4, 0.4) and all_points_right and share[20] > 0.01 and share[200] < 0.01
)
print("as observed" if as_observed else "the behaviour has changed")
sys.exit(0 if as_observed else 1)
PY
