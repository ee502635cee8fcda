#!/usr/bin/env bash
# statsmodels: correction for several tests when one p-value is missing.
#
# Expected: one rule for all methods. Either a missing p-value is left out, which gives the results of the other tests
#           alone, or it is refused.
# Observed (statsmodels 0.15.0): three rules, and none is in the documentation of the functions. For 0.01, NaN, 0.04:
#           Bonferroni, Šidák, Holm and Holm-Šidák count the missing test and go on; Holm gives 0.03 and 0.08, where the
#           two tests alone give 0.02 and 0.04 and are both rejected at 0.05. Hochberg, Hommel and the methods for the
#           false discovery rate give NaN for every test. The decisions beside these p-values differ: none is rejected
#           by Hommel and fdr_by, the first by Hochberg, fdr_bh and fdrcorrection, and both by the two-stage methods.
#           There is no warning. Issue 2899 of statsmodels has the NaN of the false discovery rate.
# Who meets it: whoever compares models on many measures or subgroups, of which one has no p-value because a group is
#           empty or two models agree everywhere: all other results disappear, or fewer of them are significant.
#
# Exit status: 0 while this holds, 1 if the behaviour has changed, other values if the installation failed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/python" -m pip install --quiet --disable-pip-version-check "statsmodels==0.15.0" "numpy>=2,<3"
"$work/env/bin/python" - <<'PY'
import sys
import warnings

import numpy as np
import statsmodels
from statsmodels.stats.multitest import fdrcorrection, multipletests

METHODS = (
    "bonferroni",
    "sidak",
    "holm",
    "holm-sidak",
    "simes-hochberg",
    "hommel",
    "fdr_bh",
    "fdr_by",
    "fdr_tsbh",
    "fdr_tsbky",
)
print(f"statsmodels {statsmodels.__version__}; p-values 0.01, NaN, 0.04, level 0.05; then the same without NaN")
corrected, decisions, alone, alone_decisions = {}, {}, {}, {}
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    for name in (*METHODS, "fdrcorrection"):
        correct = fdrcorrection if name == "fdrcorrection" else lambda p, method=name: multipletests(p, method=method)
        decisions[name], corrected[name] = correct(np.array([0.01, np.nan, 0.04]))[:2]
        alone_decisions[name], alone[name] = correct(np.array([0.01, 0.04]))[:2]
        print(
            f"{name:<15} {np.round(corrected[name], 4)!s:<22} {decisions[name]!s:<21}"
            f" alone {np.round(alone[name], 4)!s:<17} {alone_decisions[name]}"
        )
print(f"warnings: {len(caught)}")

counting = ("bonferroni", "sidak", "holm", "holm-sidak")
rejected = {name: int(decisions[name].sum()) for name in decisions}
as_observed = (
    all(np.isnan(corrected[name]).sum() == 1 and corrected[name][0] > alone[name][0] for name in counting)
    and np.allclose(corrected["holm"][[0, 2]], [0.03, 0.08])
    and np.allclose(alone["holm"], [0.02, 0.04])
    and all(np.isnan(corrected[name]).all() for name in corrected if name not in counting)
    and {rejected[name] for name in ("hommel", "fdr_by")} == {0}
    and {rejected[name] for name in ("simes-hochberg", "fdr_bh", "fdrcorrection")} == {1}
    and {rejected[name] for name in ("fdr_tsbh", "fdr_tsbky")} == {2}
    and not caught
)
print("as observed" if as_observed else "the behaviour has changed")
sys.exit(0 if as_observed else 1)
PY
