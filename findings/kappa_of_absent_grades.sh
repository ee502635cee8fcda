#!/usr/bin/env bash
# scikit-learn: quadratic weighted kappa of grades, when one grade is absent from predictions and labels.
#
# Expected: grades are numbers, and the weight of a disagreement is the squared difference of the two grades.
# Observed (scikit-learn 1.9.1): cohen_kappa_score counts the distance in the list of grades that occur. Where nobody has
#           grade 3, the distance of grades 2 and 4 is one, as that of grades 1 and 2. For ten eyes graded 0 to 4 without
#           a 3 the quadratic kappa is 0.80, and with labels=range(5) it is 0.68; one more eye that both call grade 3
#           lowers it to 0.69. Grades 0, 1, 2 and 8 are treated like 0, 1, 2 and 3. There is no warning.
# Who meets it: grading of diabetic retinopathy, whose main metric it is: small test sets, subgroups and bootstrap
#           resamples often lack grade 3, and get another metric than the whole set.
#
# Exit status: 0 while this holds, 1 if the behaviour has changed, other values if the installation failed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/python" -m pip install --quiet --disable-pip-version-check "scikit-learn==1.9.1" "numpy>=2,<3"
"$work/env/bin/python" -W error - <<'PY'
import sys

import numpy as np
import sklearn
from sklearn.metrics import cohen_kappa_score

truth = np.array([0, 1, 2, 4, 4, 0, 2, 1, 0, 4])
graded = np.array([0, 2, 2, 4, 2, 0, 4, 1, 1, 2])


def by_definition(first, second, grades=5):
    counts = np.zeros((grades, grades))
    np.add.at(counts, (first, second), 1)
    squared = np.subtract.outer(np.arange(grades), np.arange(grades)) ** 2
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    return 1 - (squared * counts).sum() / (squared * expected).sum()


plain = cohen_kappa_score(truth, graded, weights="quadratic")
all_grades = cohen_kappa_score(truth, graded, weights="quadratic", labels=range(5))
one_more = cohen_kappa_score(np.append(truth, 3), np.append(graded, 3), weights="quadratic")
stretched = [np.where(grades == 4, 8, grades) for grades in (truth, graded)]
print(f"scikit-learn {sklearn.__version__}; quadratic weighted kappa of ten eyes, grades 0, 1, 2 and 4")
print(f"by definition                        {by_definition(truth, graded):.4f}")
print(f"cohen_kappa_score                    {plain:.4f}")
print(f"cohen_kappa_score, labels=range(5)   {all_grades:.4f}")
print(f"with one more eye, grade 3 by both   {one_more:.4f}")
print(f"the same with grade 8 instead of 4   {cohen_kappa_score(*stretched, weights='quadratic'):.4f}")
as_observed = (
    np.isclose(all_grades, by_definition(truth, graded))
    and np.isclose(plain, 0.8)
    and np.isclose(all_grades, 0.675926, atol=1e-6)
    and one_more < plain
    and cohen_kappa_score(*stretched, weights="quadratic") == plain
)
print("as observed" if as_observed else "the behaviour has changed")
sys.exit(0 if as_observed else 1)
PY
