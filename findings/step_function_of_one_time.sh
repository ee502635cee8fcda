#!/usr/bin/env bash
# scikit-survival: a survival function evaluated at an array of one time.
#
# Expected: the result has the shape of the times: (2,) for two times, (1,) for one.
# Observed (scikit-survival 0.28.0): StepFunction, which predict_survival_function and predict_cumulative_hazard_function
#           return, gives a scalar for an array of one time. A matrix of patients × times, stacked from their functions,
#           loses its second axis then: (5, 2) for two times and (5,) for one. The docstring promises an array of the shape
#           of the times.
# Who meets it: whoever predicts the risk at one horizon, such as five years, with code that was tried on a grid of times:
#           indexing [:, -1] fails, or broadcasting pairs patients with each other.
#
# Exit status: 0 while this holds, 1 if the behaviour has changed, other values if the installation failed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/python" -m pip install --quiet --disable-pip-version-check "scikit-survival==0.28.0" "numpy>=2,<3"
"$work/env/bin/python" - <<'PY'
import sys

import numpy as np
import sksurv
from sksurv.linear_model import CoxPHSurvivalAnalysis
from sksurv.util import Surv

rng = np.random.default_rng(0)
x = rng.normal(size=(60, 1))
time, event = rng.exponential(np.exp(-x[:, 0])) + 0.1, rng.random(60) < 0.7
model = CoxPHSurvivalAnalysis().fit(x, Surv.from_arrays(event, time))
functions = model.predict_survival_function(x[:5])
shapes = {}
for times in (np.array([0.5, 1.0]), np.array([1.0])):
    shapes[len(times)] = np.shape(functions[0](times)), np.stack([function(times) for function in functions]).shape
    print(f"scikit-survival {sksurv.__version__}, {times.shape} times: one patient {shapes[len(times)][0]}, five patients {shapes[len(times)][1]}")
as_observed = shapes == {2: ((2,), (5, 2)), 1: ((), (5,))}
print("as observed" if as_observed else "the behaviour has changed")
sys.exit(0 if as_observed else 1)
PY
