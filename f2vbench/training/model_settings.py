"""Keys of `f2vbench train` that belong to one model, and the keys that each model does not use. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from f2vbench.config.base import Settings
from f2vbench.encoders.samplers import DEFAULT_SAMPLER, SAMPLER_PATTERN, Prediction

VIDEO_MODELS = frozenset({"seg2vid", "med-ddpm"})
"""Models that make the twelve frames at once, from whole squares of one size."""

_ANGIOGRAM_KEYS = frozenset(
    {"ablation", "crop", "frames", "phases", "phase", "mask", "loss", "ngf", "ndf", "scales", "photograph", "enlarge"}
    | {"late_crop", "late_epochs", "pixel_epochs", "windows", "rollout_epochs", "previous_dropped"}
    | {"truth_start", "truth_end", "truth_videos"}
    | {"downsamplings", "blocks", "skips", "time", "targets"}
)
_VIDEO_KEYS = frozenset({"frames", "photograph", "targets"})  # of the above, those that `VIDEO_MODELS` use
_OWN_KEYS = {"mae": "mae", "seg2vid": "seg2vid", "med-ddpm": "diffusion"}


def unused_keys(model: object) -> frozenset[str]:
    """The keys, without their part after the dot, that a model does not use."""
    others = frozenset(key for owner, key in _OWN_KEYS.items() if owner != model)
    if model == "mae":
        return others | _ANGIOGRAM_KEYS
    if model == "seg2vid":
        others |= {"checkpointing"}
    return others | (_ANGIOGRAM_KEYS - _VIDEO_KEYS) if model in VIDEO_MODELS else others


def _numbers(value: object) -> object:
    """Split ``"16,32"``."""
    return value.split(",") if isinstance(value, str) else value


class MaeSettings(Settings):
    """The masked autoencoder. Attention heads have 64 channels in the encoder and 32 in the decoder."""

    width: int = Field(768, ge=64, multiple_of=64, description="model=mae: channels of the encoder (mini: 192)")
    depth: int = Field(12, ge=1, description="model=mae: blocks of the encoder")
    decoder_width: int = Field(512, ge=32, multiple_of=32, description="model=mae: channels of the decoder (mini: 96)")
    decoder_depth: int = Field(8, ge=1, description="model=mae: blocks of the decoder (mini: 2)")
    mask: float = Field(0.75, gt=0, lt=1, description="model=mae: share of the patches that are masked")


class Seg2VidSettings(Settings):
    """The network of `seg2vid`, and the weights of its losses, 0 for off."""

    width: int = Field(48, ge=8, multiple_of=8, description="model=seg2vid: channels at full resolution (mini: 24)")
    latent: int = Field(256, ge=1, description="model=seg2vid: length of the latent vector of the motion (mini: 64)")
    reconstruction: float = Field(
        2.0, gt=0, description="model=seg2vid: weight of the mean absolute error inside the field of view"
    )
    similarity: float = Field(1.0, ge=0, description="model=seg2vid: weight of 0.85 (1 − SSIM) / 2 + 0.15 L1")
    kl: float = Field(0.1, ge=0, description="model=seg2vid: weight of the latent vector's divergence")
    smoothness: float = Field(0.01, ge=0, description="model=seg2vid: weight of the smoothness of both flows")
    consistency: float = Field(
        1.0, ge=0, description="model=seg2vid: weight of the consistency of forward and backward flow"
    )
    occlusion: float = Field(0.1, ge=0, description="model=seg2vid: weight of the share of occluded pixels")


class DiffusionSettings(Settings):
    """The denoising network of `med-ddpm`, its noise, and its sampler."""

    network: Literal["2d", "3d"] = Field(
        "3d",
        description="model=med-ddpm: 2d: the 12 frames are channels of a U-Net, for CPUs (mini); 3d: a U-Net with "
        "convolutions and attention over time, for GPUs",
    )
    channels: Annotated[
        list[Annotated[int, Field(ge=8, multiple_of=8)]], BeforeValidator(_numbers), Field(min_length=1, max_length=7)
    ] = Field(
        [64, 128, 256, 256],
        description="model=med-ddpm: channels of each level of the U-Net, finest first, multiples of 8 (mini: "
        "24,48,64,96,128)",
    )
    layers: int = Field(2, ge=1, description="model=med-ddpm: residual blocks of a level (mini: 1)")
    noise_steps: int = Field(250, ge=2, description="model=med-ddpm: steps in which a video becomes noise")
    prediction: Prediction = Field(
        "noise",
        description="model=med-ddpm: what the network predicts: noise, as Med-DDPM, or the frames without noise, "
        "which needs fewer steps of training (mini)",
    )
    sampler: str = Field(
        DEFAULT_SAMPLER,
        pattern=f"^({SAMPLER_PATTERN})$",
        description="model=med-ddpm: sampler of validation, and the default of the exported weights: ddpm, "
        "ddim-<steps> or dpm-solver-<steps>. A model argument chooses another with @<sampler>",
    )
