"""What is known of a model before it is loaded, and what identifies it. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

from f2vbench.encoders.catalogue import BUILT_IN, GENERATORS, MASKED
from f2vbench.encoders.entry_points import entry_points, package
from f2vbench.encoders.fusion_names import FUSION
from f2vbench.encoders.retfound_names import RETFOUND
from f2vbench.encoders.weights_argument import UNTRAINED
from f2vbench.pretrained.checkpoints import file_sha256

PREPROCESSING_VERSION = 1
"""Raised when the arithmetic of an encoder or a baseline changes what it gives for a photograph."""

INIT_VERSION = 1
"""Raised when the recipe for untrained weights changes."""

INIT_SEED = 0

Kind = Literal["features", "score", "scratch", "vector", "video", "fusion"]
_NO_FILE = (UNTRAINED, "none", "hub", "released", "package", "precomputed", FUSION)


@dataclass(frozen=True)
class ModelSpec:
    """What is known of a model before it is loaded.

    Attributes:
        name: as shown in every table, such as ``fundus2video:untrained`` or ``fundus2video:latest_net_G``; weights
            with a card are called by the card's name, such as ``fundus2video-mini``, and never by their family's.
        family: ``fundus2video``, ``fundus2fa``, ``pix2pixhd``, ``mae``, ``retfound``, ``retfound-green``, ``timm``, a
            baseline, or an entry point's name.
        architecture: such as ``pix2pixhd-global-ngf64`` (without the width where a weights file decides it), or
            the timm model's, the released RETFound's or the baseline's name.
        kind: ``features`` (gives embeddings and maps), ``score`` (a training-free score map), ``vector`` (a
            training-free embedding), ``video`` (frames of a baseline or from a folder), ``scratch`` (trained on the
            support images by the adapter), or ``fusion`` (of ``parts``, with ``attention``, ``concat`` or ``mean`` for
            an architecture).
        is_baseline: whether tables set it apart as a baseline; ``random`` is one of kind ``features``.
        weights: ``untrained``, ``none`` (a baseline), ``hub`` (timm's own), ``released`` (a RETFound, told by its
            weights card), ``package`` (what an entry point brings), ``precomputed`` (frames in a folder), or the
            absolute path of a file.
        cut: index at which a pix2pixHD generator's encoder ends; None for others.
        source: where on the Hub the weights come from, as ``hf://owner/name@<commit>``; None for other files.
        folder: of precomputed frames, absolute; None for others.
        parts: the models of a fusion.
    """

    name: str
    family: str
    architecture: str
    kind: Kind
    is_baseline: bool
    weights: str
    cut: int | None = None
    source: str | None = None
    folder: str | None = None
    parts: tuple[ModelSpec, ...] = ()

    @property
    def part_names(self) -> tuple[str, ...]:
        """The models whose features it works on: its parts, or itself."""
        return tuple(part.name for part in self.parts) or (self.name,)

    @property
    def weights_file(self) -> Path | None:
        """The weights file, where there is one."""
        return None if self.weights in _NO_FILE else Path(self.weights)

    @property
    def weights_label(self) -> str:
        """The weights in tables: a file as ``<name>@<first 8 digits of its sha256>``, below its place on the Hub."""
        if self.parts:
            return "+".join(dict.fromkeys(part.weights_label for part in self.parts))
        file = self.weights_file
        if file is None:
            return self.weights
        place = f"{self.source}/" if self.source else ""
        return f"{place}{file.name}@{file_sha256(file)[:8]}"

    @property
    def is_network(self) -> bool:
        """Whether it is an encoder with weights."""
        return self.kind == "features"

    @property
    def uses_torch(self) -> bool:
        """Whether it needs torch, and so threads and a device."""
        return self.kind in ("features", "scratch", "video", "fusion")  # networks compare videos

    @property
    def can_generate(self) -> bool:
        """Whether it gives angiogram frames for a photograph."""
        return self.family in GENERATORS

    def identity(self) -> dict[str, Any]:
        """Everything that decides the model's output and can be known without loading it.

        Raises:
            WeightsError: the weights file has gone or can't be read.
        """
        if self.parts:
            return {"fusion": self.architecture, "parts": [part.identity() for part in self.parts]}
        known: dict[str, Any] = {
            "family": self.family,
            "architecture": self.architecture,
            "cut": self.cut,
            "preprocessing": PREPROCESSING_VERSION,
        }
        file = self.weights_file
        if file is not None:
            known["weights_sha256"] = file_sha256(file)
        else:
            known["weights"] = self.weights
        if self.weights == UNTRAINED:
            # The random stream and the layers' order belong to these libraries, not to their build for a device.
            known |= {"init": INIT_VERSION, "init_seed": INIT_SEED, "torch": _version("torch")}
        if self.family in ("timm", "random", *MASKED, *RETFOUND):
            known["timm"] = _version("timm")
        if self.family in ("frangi", "sato", "colour"):
            known["scikit_image"] = _version("scikit-image")
        if self.folder is not None:
            from f2vbench.data.video_folders import folder_sha256

            known["frames_sha256"] = folder_sha256(Path(self.folder))
        if self.family not in BUILT_IN:
            point = entry_points()[self.family]
            known |= {"entry_point": point.value, "package": package(point)}
        return known


def _version(package: str) -> str:
    return metadata.version(package).partition("+")[0]
