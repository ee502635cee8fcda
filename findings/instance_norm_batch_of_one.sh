#!/usr/bin/env bash
# PyTorch on a CPU: the backward pass of InstanceNorm2d for a batch of one image, when the incoming gradient is in
# channels-last memory order.
#
# Expected: memory order never changes a gradient by more than rounding. The gradient of one image equals the gradient
#           of the same image in a batch of two, and a finite difference.
# Observed (torch 2.13.0, float64): for a batch of one the input gradient differs from the finite difference by more
#           than 100 % of its largest entry; for a batch of two, and for a contiguous gradient, it is right.
# Who meets it: pix2pixHD and CycleGAN generators (InstanceNorm, batch size 1) with channels-last weights.
#
# Exit status: 0 while this holds, 1 if the behaviour has changed, other values if the installation failed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/python" -m pip install --quiet --disable-pip-version-check "torch==2.13.0" "numpy>=2,<3"
"$work/env/bin/python" - <<'PY'
import sys

import torch
from torch.nn.functional import instance_norm

torch.manual_seed(0)
image = torch.randn(1, 6, 12, 12, dtype=torch.float64)
incoming = torch.randn(1, 6, 12, 12, dtype=torch.float64)


def gradient(batch, order):
    """Input gradient of the first image of a batch of equal images."""
    x = image.repeat(batch, 1, 1, 1).requires_grad_()
    instance_norm(x).backward(incoming.repeat(batch, 1, 1, 1).contiguous(memory_format=order))
    return x.grad[:1]


def finite_difference(step=1e-6):
    """Central differences of sum(instance_norm(x) * incoming) over every entry of x."""
    found = torch.empty_like(image)
    for index in range(image.numel()):
        values = []
        for sign in (1, -1):
            x = image.clone()
            x.view(-1)[index] += sign * step
            values.append((instance_norm(x) * incoming).sum())
        found.view(-1)[index] = (values[0] - values[1]) / (2 * step)
    return found


reference = finite_difference()
print(f"torch {torch.__version__}, CPU, float64; error relative to the largest entry of the finite difference")
errors = {}
for batch in (1, 2):
    for name, order in (("contiguous", torch.contiguous_format), ("channels-last", torch.channels_last)):
        error = (gradient(batch, order) - reference).abs().max() / reference.abs().max()
        errors[batch, name] = float(error)
        print(f"  batch of {batch}, incoming gradient {name:13s}: {float(error):.1e}")

right = all(error < 1e-6 for key, error in errors.items() if key != (1, "channels-last"))
as_observed = right and errors[1, "channels-last"] > 1.0
print("as observed: wrong for a batch of one alone" if as_observed else "CHANGED: see the errors above")
sys.exit(0 if as_observed else 1)
PY
