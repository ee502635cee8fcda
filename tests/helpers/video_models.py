"""Weights files of small networks that generate twelve frames at once, in the layout of an export."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from f2vbench.encoders.flow_vae import FlowShape, flow_autoencoder

FLOW_SHAPE = {"width": 8, "latent": 6}
DIFFUSION_SHAPE = {"network": "2d", "channels": [8, 16], "layers": 1, "noise_steps": 20, "prediction": "frames"}


def write_diffusion(path: Path, side: int = 32, sampler: str = "ddim-5") -> Path:
    """Weights of `med-ddpm`; needs diffusers."""
    from f2vbench.encoders.diffusion import DiffusionShape, denoising_network

    notes = {"photograph": "plain", "side": str(side), "sampler": sampler, "diffusion": json.dumps(DIFFUSION_SHAPE)}
    network = denoising_network(DiffusionShape.from_metadata(DIFFUSION_SHAPE), seed=2)
    save_file(network.state_dict(), path, {"seen": json.dumps(notes)})
    return path


def write_flow(path: Path, side: int = 32) -> Path:
    """Weights of `seg2vid` whose flows and frames depend visibly on photograph and latent vector."""
    network = flow_autoencoder(FlowShape.from_metadata(FLOW_SHAPE), seed=2)
    with torch.no_grad():
        stream = torch.Generator().manual_seed(3)
        for layer, scale in ((network.flow_head, 0.2), (network.refinement.head, 0.5)):
            layer.weight.normal_(0, scale, generator=stream)
    notes = {"photograph": "plain", "side": str(side), "seg2vid": json.dumps(FLOW_SHAPE)}
    save_file(network.state_dict(), path, {"seen": json.dumps(notes)})
    return path
