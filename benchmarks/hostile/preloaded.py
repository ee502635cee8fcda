"""Loads the libraries of the harness once, in the fork server, so that each of its processes starts with them."""

from __future__ import annotations

from importlib import import_module

for _name in (
    "f2vbench.cli.data",
    "f2vbench.encoders.timm_models",
    "f2vbench.encoders.pix2pixhd",
    "f2vbench.benchmark",
):
    import_module(_name)
