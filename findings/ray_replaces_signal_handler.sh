#!/usr/bin/env bash
# Ray: the handler of SIGTERM of a program that calls ray.init.
#
# Expected: a library that starts processes leaves the signal handlers of the calling program as they are, or restores
#           them when it is shut down.
# Observed (ray 2.60.0): ray.init replaces the handler of SIGTERM by one that calls sys.exit with the number of the signal,
#           and ray.shutdown leaves it there. A program that writes a checkpoint on SIGTERM, or raises an exception of its
#           own, exits with 15 instead. The handler of SIGINT is kept. The documentation of ray.init does not mention it.
# Who meets it: training and evaluation under Slurm, which sends SIGTERM before the limit of time: what the program's
#           handler does, to store its state and to be requeued, does not happen once Ray is used, and also not later.
#           Restore the handler after ray.init.
#
# Exit status: 0 while this holds, 1 if the behaviour has changed, other values if the installation failed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/python" -m pip install --quiet --disable-pip-version-check "ray==2.60.0"
RAY_USAGE_STATS_ENABLED=0 "$work/env/bin/python" - <<'PY'
import signal
import sys

import ray


def store_state(number, frame):
    """Stands for the handler of a program."""


signal.signal(signal.SIGTERM, store_state)
interrupt = signal.getsignal(signal.SIGINT)
ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
during = signal.getsignal(signal.SIGTERM)
kept = signal.getsignal(signal.SIGINT) is interrupt
ray.shutdown()
after = signal.getsignal(signal.SIGTERM)
print(f"ray {ray.__version__}; handler of SIGTERM before ray.init: {store_state.__qualname__}")
print(f"after ray.init: {during.__qualname__} of {during.__module__}; after ray.shutdown: {after.__qualname__}")
print(f"handler of SIGINT kept: {kept}")
as_observed = during is not store_state and after is during and kept
print("as observed" if as_observed else "the behaviour has changed")
sys.exit(0 if as_observed else 1)
PY
