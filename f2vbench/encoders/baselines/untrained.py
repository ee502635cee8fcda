"""Features of networks that were never trained: what training has to add to."""

from __future__ import annotations

from dataclasses import replace

from f2vbench.encoders.base import Encoder
from f2vbench.encoders.spec import ModelSpec


def load_random_baseline(spec: ModelSpec) -> Encoder:
    """An untrained ResNet-18 or pix2pixHD generator, drawn from the fixed seed; it has embeddings and maps.

    Args:
        spec: of family ``random``; architecture ``resnet18`` or ``pix2pixhd``.
    """
    if spec.architecture == "pix2pixhd":
        from f2vbench.encoders.pix2pixhd import Pix2PixHDEncoder

        encoder: Encoder = Pix2PixHDEncoder(replace(spec, family="pix2pixhd"))
    else:
        from f2vbench.encoders.timm_models import load_timm

        # timm starts the last normalisation of every residual branch at zero, which would shut all of them off.
        encoder = load_timm(replace(spec, family="timm"), zero_init_last=False)
    encoder.spec = spec
    return encoder
