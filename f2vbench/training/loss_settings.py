"""Keys `loss.*` of `f2vbench train`. Importing this module does not import torch."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from f2vbench.config.base import Settings, as_integer

TRUTH_LOSSES = ("vessel_weight", "lesion_weight", "truth")
"""Keys that need to know the vessels and lesions of a photograph."""


class LossSettings(Settings):
    """Weights of the losses, 0 for off, and their variants."""

    gan: float = Field(2.0, ge=0, description="weight of the least-squares GAN loss, summed over scales")
    gan_masked: float | None = Field(
        None, ge=0, description="weight of the GAN loss of masked frames; default that of loss.gan"
    )
    feature_matching: float = Field(0.0, ge=0, description="weight of the discriminators' feature-matching loss")
    feature_matching_views: Literal["all", "whole"] = Field(
        "all", description="feature matching of whole and masked frames, or of whole frames alone"
    )
    masked_discriminators: bool = Field(
        True, description="the discriminators also receive the frames multiplied by the mask"
    )
    masked_photograph: bool = Field(
        False, description="with masked frames, the discriminators receive the photograph multiplied by the mask too"
    )
    attention: float = Field(4.0, ge=0, description="weight of the knowledge-boosted attention loss")
    attention_variant: Literal["masked", "full"] = Field(
        "masked",
        description="masked: attention outside the mask is not penalised (MICCAI paper); full: it is penalised too",
    )
    attention_layer: Annotated[Literal[36, 38], BeforeValidator(as_integer)] = Field(
        38,
        description="generator layer whose activation is the attention, by its number in the published shape: 38, the "
        "last convolution, or 36, its input",
    )
    nce_photograph: float = Field(1.0, ge=0, description="weight of PatchNCE between photograph and frames (UP)")
    nce_truth: float = Field(1.0, ge=0, description="weight of PatchNCE between true and generated frames (SP)")
    nce_patches: Literal["masked-input", "in-mask", "everywhere"] = Field(
        "masked-input",
        description="use of the mask in PatchNCE: images are multiplied by it, patches are drawn inside it, or no mask",
    )
    perceptual: float = Field(0.0, ge=0, description="weight of the VGG19 perceptual loss; needs loss.vgg")
    vgg: Path | None = Field(None, description="VGG19 weights of torchvision, vgg19-dcbb9e9d.pth")
    gradient_variance: float = Field(0.0, ge=0, description="weight of the gradient-variance loss, 12 × 12 patches")
    gradient_variance_frames: Literal["each", "mixed"] = Field(
        "each",
        description="gradient variance of each frame, or of the three frames of a window mixed as if they were RGB",
    )
    pixel: float = Field(0.0, ge=0, description="weight of the mean absolute error inside the field of view")
    squared: float = Field(0.0, ge=0, description="weight of the mean squared error inside the field of view")
    gradient: float = Field(
        0.0, ge=0, description="weight of the mean squared error of horizontal and vertical differences"
    )
    vessel_weight: float = Field(
        0.0,
        ge=0,
        description="data=phantom: squared errors at vessels and their neighbours count 1 + this value times as much",
    )
    lesion_weight: float = Field(
        0.0, ge=0, description="data=phantom: squared errors in lesions count 1 + this value times as much"
    )
    truth: float = Field(
        0.0,
        ge=0,
        description="data=phantom: weight of the cross-entropy of the simulator's truth (vessels by type, disc, fovea, "
        "kinds of lesions), which a linear head predicts beside the frames; the only loss of model=truth",
    )
