"""Presets of the models that make the twelve frames at once; see `f2vbench.training.presets`."""

from __future__ import annotations

from typing import Any

from f2vbench.config.base import overlay

_COMMON: dict[str, Any] = {
    "image_size": 128,
    "split": [70, 15, 15],
    "frames": "uniform",
    "augment": "f2v",
    "targets": "noise-free",
    "warmup_epochs": 3,
    "flat_epochs": 3,
    "fall": "cosine",
    "update_every": 1,
    "beta1": 0.9,
    "beta2": 0.999,
    "weight_decay": 0.0,
    "eyes": 500,
    "renew": 100_000,
    "validate_every": 10,
}
_MINI: dict[str, Any] = {"epochs": 100, "eyes": 300, "validate_videos": 3, "samples": 3, "export_half": True}

SEG2VID_PRESETS: dict[str, dict[str, Any]] = {
    "f2v": {
        **_COMMON,
        "image_size": 256,
        "epochs": 200,
        "learning_rate": 1e-3,
        "batch_size": 8,
        "ema": 0.999,
        "seg2vid": {"width": 48, "latent": 256},
    },
}
SEG2VID_PRESETS["mini"] = overlay(
    SEG2VID_PRESETS["f2v"], {**_MINI, "image_size": 128, "seg2vid": {"width": 24, "latent": 64}}
)
"""Presets of `model=seg2vid`, with the learning rate of Seg2Vid. `f2v`: for a GPU. `mini`: half of its width and side,
for a CPU."""

DIFFUSION_PRESETS: dict[str, dict[str, Any]] = {
    "f2v": {
        **_COMMON,
        "epochs": 400,
        "learning_rate": 1e-4,
        "batch_size": 4,
        "ema": 0.995,
        "diffusion": {
            "network": "3d",
            "channels": [64, 128, 256, 256],
            "layers": 2,
            "noise_steps": 250,
            "prediction": "noise",
            "sampler": "ddim-50",
        },
    },
}
DIFFUSION_PRESETS["mini"] = overlay(
    DIFFUSION_PRESETS["f2v"],
    {
        **_MINI,
        "learning_rate": 5e-4,
        "batch_size": 8,
        "diffusion": {
            "network": "2d",
            "channels": [24, 48, 64, 96, 128],
            "layers": 1,
            "prediction": "frames",
            "sampler": "ddim-25",
        },
    },
)
"""Presets of `model=med-ddpm`. `f2v`: the 3-D network, for a GPU. `mini`: the 2-D network, 3 M parameters; it has few
steps and therefore predicts frames instead of noise, and has a higher learning rate than the 1e-5 of Med-DDPM."""
