"""Small generators of pix2pixHD and their weights files."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from f2vbench.encoders.global_generator import GlobalGenerator, global_generator
from f2vbench.encoders.model_family import GeneratorShape


def random_generator(shape: GeneratorShape, seed: int = 5) -> GlobalGenerator:
    """A small generator with weights that no initialisation gives."""
    generator = global_generator(shape)
    with torch.no_grad():
        stream = torch.Generator().manual_seed(seed)
        for parameter in generator.parameters():
            parameter.uniform_(-0.2, 0.2, generator=stream)
    return generator.eval()


def official_state(generator: GlobalGenerator) -> dict[str, torch.Tensor]:
    """Its state dict with the names of the official checkpoints."""
    return {f"model.{key}": tensor.contiguous() for key, tensor in generator.state_dict().items()}


def save_generator(generator: GlobalGenerator, path: Path, **metadata: str) -> str:
    """Write a weights file with the metadata of an export, and return its path."""
    if generator.shape.skips != "none":
        metadata["skips"] = generator.shape.skips
    save_file(official_state(generator), path, {"seen": json.dumps(metadata)})
    return str(path)
