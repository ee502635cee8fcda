"""Values of `TrainSettings` that presets, models and ablations set; keys that the user sets have priority."""

from __future__ import annotations

from typing import Any

from f2vbench.config.base import overlay
from f2vbench.training.video_presets import DIFFUSION_PRESETS, SEG2VID_PRESETS

_NO_MASK = {"attention": 0.0, "nce_photograph": 0.0, "nce_truth": 0.0, "masked_discriminators": False}

PRESETS: dict[str, dict[str, Any]] = {
    "paper": {
        "image_size": 512,
        "split": [70, 15, 15],
        "frames": "random",
        "augment": "paper",
        "ngf": 64,
        "ndf": 64,
        "scales": 3,
        "epochs": 50,
        "flat_epochs": 0,
        "update_every": 50,
        "learning_rate": 2e-3,
        "truth_start": 0.5,
        "truth_end": 0.5,
        "truth_videos": None,
        "ema": 0.0,
        "loss": {
            "gan": 2.0,
            "attention": 4.0,
            "attention_variant": "masked",
            "attention_layer": 38,
            "nce_photograph": 1.0,
            "nce_truth": 1.0,
            "nce_patches": "masked-input",
            "masked_discriminators": True,
            "feature_matching": 0.0,
            "perceptual": 0.0,
            "gradient_variance": 0.0,
            "pixel": 0.0,
        },
    },
    "released": {
        "image_size": 512,
        "split": [90, 5, 5],
        "frames": "random",
        "phases": "released",
        "augment": "released",
        "ngf": 64,
        "ndf": 64,
        "scales": 2,
        "epochs": 50,
        "flat_epochs": 10,
        "update_every": None,
        "learning_rate": 2e-4,
        "truth_start": 0.5,
        "truth_end": 1 / 11,
        "truth_videos": 1000,
        "ema": 0.0,
        "loss": {
            "gan": 2.0,
            "gan_masked": 1.0,
            "attention": 0.0,
            "attention_variant": "masked",
            "attention_layer": 38,
            "nce_photograph": 0.5,
            "nce_truth": 0.5,
            "nce_patches": "masked-input",
            "masked_discriminators": True,
            "masked_photograph": True,
            "feature_matching": 10.0,
            "feature_matching_views": "whole",
            "perceptual": 10.0,
            "gradient_variance": 5.0,
            "gradient_variance_frames": "mixed",
            "pixel": 0.0,
        },
    },
    "f2v": {
        "image_size": 512,
        "split": [70, 15, 15],
        "photograph": "normalised",  # otherwise crops of dark or bright regions differ from whole squares
        "frames": "uniform",
        "augment": "mini",
        "targets": "noise-free",
        "crop": 256,
        "ngf": 48,
        "downsamplings": 3,  # thin vessels are lost at stride 16
        "blocks": 9,
        "time": "plane",
        "ndf": 64,
        "scales": 3,
        "epochs": 100,
        "warmup_epochs": 3,
        "flat_epochs": 3,
        "fall": "cosine",
        "update_every": 1,
        "learning_rate": 5e-4,
        "beta1": 0.9,
        "beta2": 0.99,
        "weight_decay": 1e-3,
        "batch_size": 16,
        "pixel_epochs": 92,
        "windows": 1,
        "previous_dropped": 0.5,
        "rollout_epochs": 10,
        "truth_start": 0.5,
        "truth_end": 1 / 11,
        "truth_videos": 1000,
        "ema": 0.999,
        "eyes": 500,
        "renew": 100_000,
        "validate_every": 10,
        "loss": {
            "gan": 0.1,
            "attention": 1.0,
            "attention_variant": "full",
            "attention_layer": 36,
            "nce_photograph": 0.25,
            "nce_truth": 0.5,
            "nce_patches": "in-mask",
            "masked_discriminators": True,
            "feature_matching": 1.0,
            "perceptual": 0.0,
            "gradient_variance": 0.2,
            "pixel": 0.0,
            "squared": 20.0,
            "gradient": 20.0,
            "vessel_weight": 5.0,
            "lesion_weight": 2.0,
            "truth": 0.5,
        },
    },
}
PRESETS["mini"] = overlay(
    PRESETS["f2v"],
    {
        "crop": 128,
        "ngf": 16,
        "blocks": 6,
        "ndf": 12,
        "scales": 2,
        "learning_rate": 1e-3,
        "batch_size": 8,
        "eyes": 300,
        "validate_videos": 3,
        "samples": 3,
        "export_half": True,
    },
)
"""Presets of the angiogram generators. `paper`: losses, weights and learning rate of the MICCAI paper; its rate of 2e-3
is read as decaying to zero in steps of 50 iterations. `released`: the released code with its defects corrected. `f2v`:
the default of f2vbench. `mini`: small enough for a CPU."""

MAE_PRESETS: dict[str, dict[str, Any]] = {
    "f2v": {
        "image_size": 224,
        "split": [70, 15, 15],
        "augment": "mae",
        "epochs": 400,
        "warmup_epochs": 40,
        "flat_epochs": 0,
        "fall": "cosine",
        "update_every": 1,
        "learning_rate": 1.5e-4,
        "beta1": 0.9,
        "beta2": 0.95,
        "weight_decay": 0.05,
        "batch_size": 256,
        "eyes": 2048,
        "renew": 25,
        "validate_every": 10,
        "ema": 0.0,
        "mae": {"width": 768, "depth": 12, "decoder_width": 512, "decoder_depth": 8, "mask": 0.75},
    },
}
MAE_PRESETS["mini"] = overlay(
    MAE_PRESETS["f2v"],
    {
        "epochs": 30,
        "warmup_epochs": 3,
        "learning_rate": 1e-3,
        "batch_size": 32,
        "eyes": 960,
        "renew": 30,
        "validate_every": 1,
        "export_half": True,
        "mae": {"width": 192, "depth": 12, "decoder_width": 96, "decoder_depth": 2},
    },
)
"""Presets of `model=mae`. `f2v`: ViT-B with the decoder, optimiser, learning rate and augmentation of He et al. 2022,
for half of their epochs. `mini`: 5.4 M parameters; it has few steps and therefore a higher learning rate than their
1.5e-4 × batch / 256."""

_PIX2PIXHD = {**_NO_MASK, "gan": 1.0, "feature_matching": 10.0}
_NO_WINDOWS = {"time": "none", "rollout_epochs": 0, "phases": "named"}
_NO_PIXEL_LOSSES = {"pixel": 0.0, "squared": 0.0, "gradient": 0.0, "vessel_weight": 0.0, "lesion_weight": 0.0}
_NO_FRAMES = {"gan": 0.0, "feature_matching": 0.0, "perceptual": 0.0, "gradient_variance": 0.0}
MODELS: dict[str, dict[str, Any]] = {
    "fundus2video": {},
    "fundus2fa": {**_NO_WINDOWS, "loss": _NO_MASK},
    "pix2pixhd": {
        **_NO_WINDOWS,
        "pixel_epochs": 0,
        "loss": {**_PIX2PIXHD, **_NO_PIXEL_LOSSES, "gradient_variance": 0.0, "truth": 0.0},
    },
    "truth": {**_NO_WINDOWS, "pixel_epochs": 0, "loss": {**_NO_MASK, **_NO_FRAMES, **_NO_PIXEL_LOSSES, "truth": 1.0}},
    "seg2vid": {},
    "med-ddpm": {},
    "mae": {},
}
"""Changes of a model to its preset. fundus2fa is pix2pixHD with the gradient-variance loss (Shi et al. 2023);
pix2pixhd has the losses of Wang et al. 2018."""

_NO_NCE = {"nce_photograph": 0.0, "nce_truth": 0.0}
ABLATIONS: dict[str, dict[str, Any]] = {
    "none": {"loss": _NO_MASK},
    "attention": {"loss": {**_NO_NCE, "masked_discriminators": False}},
    "patch-nce": {"loss": {"attention": 0.0, "masked_discriminators": False, "nce_patches": "everywhere"}},
    "masked-patch-nce": {"loss": {"attention": 0.0, "masked_discriminators": False}},
    "discriminators": {"loss": {**_NO_NCE, "attention": 0.0}},
    "lesion-mask": {"mask": "lesions"},
    "all": {},
}
"""Rows of the ablation in Table 1 of the MICCAI paper, as changes to a preset: no mask technique, each technique alone,
all of them with lesion labels instead of the knowledge mask, and all of them."""


OWN_DATA: dict[str, Any] = {"targets": "acquired"}
"""Changes to a preset for images that are not simulated."""


def presets_of(model: object) -> dict[str, dict[str, Any]]:
    """The presets of a model, by name."""
    own = {"mae": MAE_PRESETS, "seg2vid": SEG2VID_PRESETS, "med-ddpm": DIFFUSION_PRESETS}
    return own.get(model, PRESETS) if isinstance(model, str) else PRESETS


def scaled_epoch_counts(preset: dict[str, Any], epochs: Any) -> dict[str, int]:
    """The preset's flat, pixel and late epochs, in proportion to another total number of epochs."""
    total = preset.get("epochs")
    if total is None or not str(epochs).isdecimal():
        return {}
    keys = ("flat_epochs", "pixel_epochs", "late_epochs", "rollout_epochs", "warmup_epochs")
    return {key: round(preset[key] * int(epochs) / total) for key in keys if key in preset}
