"""Weights files of small networks that generate twelve frames at once, in the layout of an export."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import save_file

DIFFUSION_SHAPE = {"network": "2d", "channels": [8, 16], "layers": 1, "noise_steps": 20}


def write_diffusion(path: Path, side: int = 32, sampler: str = "ddim-5") -> Path:
    """Weights of `med-ddpm`; needs diffusers."""
    from f2vbench.encoders.diffusion import DiffusionShape, denoising_network

    notes = {"photograph": "plain", "side": str(side), "sampler": sampler, "diffusion": json.dumps(DIFFUSION_SHAPE)}
    network = denoising_network(DiffusionShape.from_metadata(DIFFUSION_SHAPE), seed=2)
    save_file(network.state_dict(), path, {"seen": json.dumps(notes)})
    return path
