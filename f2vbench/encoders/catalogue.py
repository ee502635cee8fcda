"""The tables of model families and baselines: what each is, and which baselines go with which family of tasks."""

from __future__ import annotations

from f2vbench.encoders.retfound_names import RETFOUND

GENERATORS = {
    "fundus2video": "generator of 12-frame angiograms (6 to 3 channels); its front part is the encoder",
    "fundus2fa": "pix2pixHD trained to one venous- or late-phase angiogram frame; its front part is the encoder",
    "pix2pixhd": "plain pix2pixHD global generator; its front part is the encoder",
}
MASKED = {"mae": "masked autoencoder of photographs, as RETFound is one; its transformer is the encoder"}
TIMM = {"timm": "any timm model, as timm:<model name>"}
PRECOMPUTED = {"frames": "frames that any generator has made, as frames:<folder with <case>/<frame>.png>"}
MAP_BASELINES = {
    "tophat": "baseline: black top-hat of the green channel, no learning",
    "frangi": "baseline: Frangi vesselness, no learning",
    "sato": "baseline: Sato tubeness, no learning",
    "green": "baseline: darkness of the green channel, no learning",
    "scratch": "baseline: a small U-Net trained on the support images alone",
}
VECTOR_BASELINES = {
    "thumbnail": "baseline: 32 × 32 pixels of the photograph as a vector, no learning",
    "colour": "baseline: colour histograms and simple texture inside the field of view, no learning",
}
VIDEO_BASELINES = {
    "still": "baseline: the photograph's green channel as every frame, no learning",
    "still-inverted": "baseline: the same, inverted, no learning",
    "mean-video": "baseline: the mean angiogram of the patients who are not tested",
}
NETWORK_BASELINES = {"random": "baseline: an untrained network, random:resnet18 (the default) or random:pix2pixhd"}

BASELINES = {**MAP_BASELINES, **VECTOR_BASELINES, **NETWORK_BASELINES, **VIDEO_BASELINES}
VARIANTS_OF = {"random": ("resnet18", "pix2pixhd")}
"""Variants of baselines that have any; the first is meant where none is named."""

BASELINES_OF = {
    "segmentation": tuple(MAP_BASELINES),
    "classification": (*VECTOR_BASELINES, *NETWORK_BASELINES),
    "retrieval": (*VECTOR_BASELINES, *NETWORK_BASELINES),
    "generation": tuple(VIDEO_BASELINES),
}
"""Baselines by family of tasks."""

BUILT_IN = {**GENERATORS, **MASKED, **RETFOUND, **TIMM, **PRECOMPUTED, **BASELINES}
"""One line on each family that comes with f2vbench."""
