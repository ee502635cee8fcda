#!/usr/bin/env bash
# scikit-survival: concordance of small risks.
#
# Expected: Harrell's and Uno's C and the time-dependent AUROC depend on the order of the risks alone, so that the same
#           model gets the same value for a risk in per cent, per year or per day.
# Observed (scikit-survival 0.28.0): risks that differ by less than 1e-8 (tied_tol) count as ties, whatever their scale.
#           For 200 patients Harrell's C is 0.744; with the same risks times 1e-6 0.744 with other counts of pairs, times
#           1e-8 0.672, and times 1e-9 0.5 without a warning. Uno's C and cumulative_dynamic_auc follow. Adding 1e8
#           instead, which leaves few digits, changes nothing.
# Who meets it: whoever scores survival models of rare events by hazards, or by probabilities of a short time: 1e-5 a day
#           is 0.4 % a year. Ranks, or logarithms of the risk, are safe.
#
# Exit status: 0 while this holds, 1 if the behaviour has changed, other values if the installation failed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/python" -m pip install --quiet --disable-pip-version-check "scikit-survival==0.28.0" "numpy>=2,<3"
"$work/env/bin/python" - <<'PY'
import sys
import warnings

import numpy as np
import sksurv
from sksurv.metrics import concordance_index_censored, concordance_index_ipcw, cumulative_dynamic_auc
from sksurv.util import Surv

rng = np.random.default_rng(0)
log_risk = rng.normal(size=200)
time = np.exp(-log_risk + rng.gumbel(size=200))
event = rng.random(200) < 0.7
truth, times = Surv.from_arrays(event, time), np.quantile(time, [0.3, 0.5])
ranks = log_risk.argsort().argsort().astype(float)
harrell, uno, dynamic = {}, {}, {}
print(f"scikit-survival {sksurv.__version__}; 200 patients, {event.sum()} events")
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for name, risk in {
        "risk": log_risk,
        "ranks": ranks,
        "risk · 1e-6": log_risk * 1e-6,
        "risk · 1e-8": log_risk * 1e-8,
        "risk · 1e-9": log_risk * 1e-9,
    }.items():
        harrell[name], concordant, discordant, tied, _ = concordance_index_censored(event, time, risk)
        uno[name] = concordance_index_ipcw(truth, truth, risk)[0]
        dynamic[name] = cumulative_dynamic_auc(truth, truth, risk, times)[1]
        print(
            f"{name:<12} Harrell's C {harrell[name]:.4f} ({concordant} concordant, {discordant} discordant, {tied} tied),"
            f" Uno's C {uno[name]:.4f}, AUROC over time {dynamic[name]:.4f}"
        )
print(f"warnings: {len(caught)}")
as_observed = (
    harrell["risk"] == harrell["ranks"]
    and 0 < abs(harrell["risk · 1e-6"] - harrell["risk"]) < 0.001
    and 0.6 < harrell["risk · 1e-8"] < 0.7
    and harrell["risk · 1e-9"] == uno["risk · 1e-9"] == dynamic["risk · 1e-9"] == 0.5
    and not caught
)
print("as observed" if as_observed else "the behaviour has changed")
sys.exit(0 if as_observed else 1)
PY
