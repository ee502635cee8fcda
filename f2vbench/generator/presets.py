"""What presets, models and ablations set, unless the user says otherwise: keys of `TrainSettings`."""

from __future__ import annotations

from typing import Any

from f2vbench.settings import overlay

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
            "gan": 1.0,
            "attention": 0.0,
            "attention_variant": "masked",
            "attention_layer": 38,
            "nce_photograph": 0.5,
            "nce_truth": 0.5,
            "nce_patches": "masked-input",
            "masked_discriminators": True,
            "feature_matching": 10.0,
            "perceptual": 10.0,
            "gradient_variance": 5.0,
            "pixel": 0.0,
        },
    },
    "f2v": {
        "image_size": 512,
        "split": [70, 15, 15],
        "frames": "uniform",
        "augment": "f2v",
        "ngf": 64,
        "ndf": 64,
        "scales": 3,
        "epochs": 50,
        "flat_epochs": 25,
        "update_every": None,
        "learning_rate": 2e-4,
        "truth_start": 0.5,
        "truth_end": 1 / 11,
        "truth_videos": 1000,
        "ema": 0.999,
        "loss": {
            "gan": 1.0,
            "attention": 1.0,
            "attention_variant": "full",
            "attention_layer": 36,
            "nce_photograph": 0.25,
            "nce_truth": 0.5,
            "nce_patches": "in-mask",
            "masked_discriminators": True,
            "feature_matching": 10.0,
            "perceptual": 0.0,
            "gradient_variance": 5.0,
            "pixel": 10.0,
        },
    },
}
PRESETS["mini"] = overlay(
    PRESETS["f2v"],
    {
        # Twice as large, thin vessels are wide enough to pass the generator's narrow bottleneck of stride 16.
        "enlarge": 2,
        "crop": 256,
        "late_crop": 512,  # instance normalisation then sees nearly what it will see in whole squares
        "late_epochs": 1,
        "ngf": 10,
        "ndf": 12,
        "scales": 2,
        "epochs": 42,
        "flat_epochs": 28,
        "pixel_epochs": 36,  # a small generator learns where vessels are four times as fast without an adversary
        "windows": 6,
        "eyes": 50,
        "renew": 9,
        "truth_videos": 1200,
        "validate_videos": 3,
        "validate_every": 6,
        "samples": 3,
        "export_half": True,
        "loss": {"gan": 0.5, "feature_matching": 5.0, "gradient_variance": 1.0, "pixel": 0.0, "squared": 20.0},
    },
)
"""What a preset sets unless the user says otherwise. `paper`: as the MICCAI paper has it (its losses and weights, its
learning rate of 2e-3, read as falling to zero in steps of 50 iterations). `released`: as the released code, with its
defects corrected. `f2v`: ours. `mini`: ours, small enough for a CPU."""

_PIX2PIXHD = {**_NO_MASK, "gan": 1.0, "feature_matching": 10.0}
MODELS: dict[str, dict[str, Any]] = {
    "fundus2video": {},
    "fundus2fa": {"loss": {**_PIX2PIXHD, "gradient_variance": 5.0}},
    "pix2pixhd": {"pixel_epochs": 0, "loss": {**_PIX2PIXHD, "gradient_variance": 0.0, "pixel": 0.0, "squared": 0.0}},
}
"""What a model changes of a preset. fundus2fa is pix2pixHD with the gradient-variance loss (Shi et al. 2023);
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
"""Rows of the ablation in the MICCAI paper's Table 1: what they take from a preset. No mask technique, each one alone,
all of them with lesion labels in place of the knowledge mask, all."""
