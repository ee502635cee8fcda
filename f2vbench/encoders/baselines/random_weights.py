"""Untrained networks: features that training must improve on."""

from __future__ import annotations

from dataclasses import replace

from f2vbench.encoders.base import Encoder
from f2vbench.encoders.spec import ModelSpec


def load_random_baseline(spec: ModelSpec) -> Encoder:
    """An untrained ResNet-18 or pix2pixHD generator, drawn with the fixed seed; it has embeddings and feature maps.

    Args:
        spec: Of family `random`, with architecture `resnet18` or `pix2pixhd`.
    """
    if spec.architecture == "pix2pixhd":
        from f2vbench.encoders.pix2pixhd import Pix2PixHDEncoder

        encoder: Encoder = Pix2PixHDEncoder(replace(spec, family="pix2pixhd"))
    else:
        from f2vbench.encoders.timm_models import load_timm

        # timm initialises the last normalisation of each residual branch with zero, which would switch the branch off.
        encoder = load_timm(replace(spec, family="timm"), zero_init_last=False)
    encoder.spec = spec
    return encoder
