"""The tables of model families and floors: what each is, and which floors go with which family of tasks."""

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
MAP_FLOORS = {
    "tophat": "floor: black top-hat of the green channel, no learning",
    "frangi": "floor: Frangi vesselness, no learning",
    "sato": "floor: Sato tubeness, no learning",
    "green": "floor: darkness of the green channel, no learning",
    "scratch": "floor: a small U-Net trained on the support images alone",
}
VECTOR_FLOORS = {
    "thumbnail": "floor: 32 × 32 pixels of the photograph as a vector, no learning",
    "colour": "floor: colour histograms and simple texture inside the field of view, no learning",
}
VIDEO_FLOORS = {
    "still": "floor: the photograph's green channel as every frame, no learning",
    "still-inverted": "floor: the same, inverted, no learning",
    "mean-video": "floor: the mean angiogram of the patients who are not tested",
}
NETWORK_FLOORS = {"random": "floor: an untrained network, random:resnet18 (the default) or random:pix2pixhd"}

FLOORS = {**MAP_FLOORS, **VECTOR_FLOORS, **NETWORK_FLOORS, **VIDEO_FLOORS}
VARIANTS_OF = {"random": ("resnet18", "pix2pixhd")}
"""Variants of floors that have any; the first is meant where none is named."""

FLOORS_OF = {
    "segmentation": tuple(MAP_FLOORS),
    "classification": (*VECTOR_FLOORS, *NETWORK_FLOORS),
    "retrieval": (*VECTOR_FLOORS, *NETWORK_FLOORS),
    "generation": tuple(VIDEO_FLOORS),
}
"""Floors by family of tasks."""

BUILT_IN = {**GENERATORS, **MASKED, **RETFOUND, **TIMM, **PRECOMPUTED, **FLOORS}
"""One line on each family that comes with f2vbench."""
