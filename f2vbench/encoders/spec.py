"""What is known about a model before it is loaded, and its identity in caches and fingerprints. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from f2vbench.encoders.model_family import PRECOMPUTED, UNTRAINED, EmbeddingPooling, Kind, SegmentationDecoder
from f2vbench.encoders.registry import FAMILIES, find_family
from f2vbench.pretrained.checkpoints import file_sha256
from f2vbench.pretrained.shards import whole_path

PREPROCESSING_VERSION = 1
"""Version of the preprocessing and feature code. Increase it when the output for the same photograph changes."""

INIT_VERSION = 1
"""Version of the initialisation of untrained networks. Increase it when their weights change."""

INIT_SEED = 0
"""Seed of untrained weights."""

FUSION = "fusion"
"""`family`, `kind` and `weights` of a model that joins the embeddings of several."""

_WITHOUT_FILE = (UNTRAINED, "none", "hub", "released", "package", PRECOMPUTED, FUSION)


@dataclass(frozen=True)
class ModelSpec:
    """What is known about a model before it is loaded.

    Attributes:
        name: As shown in every table, such as `fundus2video:untrained` or `fundus2video:latest_net_G`. Weights with a
            card have the card's name, such as `fundus2video-mini`, and never their family's.
        family: Name of its `ModelFamily`, or `fusion`.
        architecture: Such as `pix2pixhd-global-ngf64` (without the width where a weights file decides it), the timm
            model, the released RETFound variant, or the baseline's name. Of a fusion `attention`, `concat` or `mean`.
        kind: `features` (an encoder with embeddings and feature maps), `generator` (a network that generates angiogram
            frames and has neither), `vector` (a baseline with embeddings), `score`
            (a baseline with vessel scores), `video` (angiogram frames of a baseline or from a folder), `scratch` (a
            network that a task trains on its support images), `constant` (a baseline that predicts the mean of the
            support labels without looking at images) or `fusion` (of the models in `parts`).
        is_baseline: Whether tables and figures list it as a baseline.
        weights: `untrained`, `none` (a baseline without weights), `hub` (timm's own), `released` (a file of other
            owners that a weights card describes), `package` (those of the package that adds the family),
            `precomputed` (frames in a folder, or imported embeddings), or the absolute path of a file.
        cut: Index of the layer at which a pix2pixHD generator's encoder ends; None for other models.
        pooling: How its embeddings are pooled, of a pix2pixHD generator or RETFound. None for other models.
        decoder: Decoder that vessel segmentation trains on its feature maps: `unet` for a new one, `generator` for the
            second half of the generator, `mask-decoder` for SAM2's own, `mask-decoder-click` for the same with a click
            on a vessel of the annotation as its prompt.
        has_truth_layer: Whether its generator predicts classes of the simulator's truth beside the frames.
        sampler: Sampler of a diffusion model, such as `ddim-50`; None for other models.
        side: Side in pixels of the square from which its feature maps are computed; None: `image_size=` of the run.
        source: Location on the Hugging Face Hub that the weights come from, as `hf://owner/name@<commit>`; None for
            other files.
        folder: Absolute path of precomputed frames; None for other models.
        content: SHA-256 of the file that imported embeddings come from; None for other models.
        parts: The models of a fusion.
        pretrained_on: Data sets whose images the weights were trained on, as their weights card lists them; empty for
            weights without a card.
        outputs: Of a model that is scored with its own head (`@own-head`), the names of the head's outputs in order,
            "" where they have none; empty for other models.
    """

    name: str
    family: str
    architecture: str
    kind: Kind
    is_baseline: bool
    weights: str
    cut: int | None = None
    pooling: EmbeddingPooling | None = None
    decoder: SegmentationDecoder = "unet"
    has_truth_layer: bool = False
    sampler: str | None = None
    side: int | None = None
    source: str | None = None
    folder: str | None = None
    content: str | None = None
    parts: tuple[ModelSpec, ...] = ()
    pretrained_on: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    @property
    def part_names(self) -> tuple[str, ...]:
        """Names of the models whose features it uses: its parts, or itself."""
        return tuple(part.name for part in self.parts) or (self.name,)

    @property
    def weights_file(self) -> Path | None:
        """The weights file; None for weights that are no file of this machine."""
        return None if self.weights in _WITHOUT_FILE else Path(self.weights)

    @property
    def weights_label(self) -> str:
        """The weights in tables: a file as `<name>@<first 8 digits of its SHA-256>`, after its location on the Hub.

        Weights in shards have the name of the file that their index replaces, and the `file_sha256` of all shards.
        """
        if self.parts:
            return "+".join(dict.fromkeys(part.weights_label for part in self.parts))
        file = self.weights_file
        if file is None:
            return self.weights
        location = f"{self.source}/" if self.source else ""
        return f"{location}{whole_path(file).name}@{file_sha256(file)[:8]}"

    @property
    def is_network(self) -> bool:
        """Whether it is an encoder or a generator with weights."""
        return self.kind in ("features", "generator")

    @property
    def uses_torch(self) -> bool:
        """Whether its units compute with torch, and so need threads and a device."""
        return self.is_network or self.kind in ("scratch", "video", "fusion")  # networks compare videos

    @property
    def can_generate(self) -> bool:
        """Whether it generates angiogram frames from a photograph."""
        return self.family in FAMILIES and FAMILIES[self.family].frames > 0

    @property
    def has_vessel_score(self) -> bool:
        """Whether its outputs give a vessel score without training."""
        return self.can_generate or self.predicts_vessels

    @property
    def predicts_vessels(self) -> bool:
        """Whether its outputs contain the probability of vessels."""
        return self.has_truth_layer or (self.family in FAMILIES and FAMILIES[self.family].predicts_truth)

    def trained_on(self, data_sets: Iterable[str]) -> list[str]:
        """Those of some data sets whose images its weights, or those of a part, were trained on.

        Args:
            data_sets: Names, such as `f2vbench.data.task_cards.TaskCard.data_sets`; case does not matter.
        """
        seen = {name.casefold() for model in (self, *self.parts) for name in model.pretrained_on}
        return [name for name in data_sets if name.casefold() in seen]

    def identity(self) -> dict[str, Any]:
        """Everything that decides the model's output and is known without loading it.

        Returns:
            JSON-compatible values. Cache keys and fingerprints are hashes of it: a changed key or value makes stored
            features and units unusable.

        Raises:
            SettingsError: The package of the model's family is no longer installed.
            WeightsError: The weights file is missing or unreadable.
        """
        if self.parts:
            return {"fusion": self.architecture, "parts": [part.identity() for part in self.parts]}
        family = find_family(self.family)
        identity: dict[str, Any] = {
            "family": self.family,
            "architecture": self.architecture,
            "cut": self.cut,
            "preprocessing": PREPROCESSING_VERSION,
        }
        if self.pooling is not None:
            identity["pooling"] = self.pooling
        if self.decoder != "unet":
            identity["decoder"] = self.decoder
        if self.has_truth_layer:
            identity["has_truth_layer"] = True
        if self.sampler is not None:
            identity["sampler"] = self.sampler
        if self.side is not None:
            identity["side"] = self.side
        if self.outputs:
            identity["own_head"] = list(self.outputs)
        file = self.weights_file
        if file is not None:
            identity["weights_sha256"] = file_sha256(file)
        else:
            identity["weights"] = self.weights
        if self.weights == UNTRAINED:
            # The random stream and the order of layers depend on the version of these libraries, not on the build.
            identity |= {"init": INIT_VERSION, "init_seed": INIT_SEED, "torch": _version("torch")}
        identity |= {library.replace("-", "_"): _version(library) for library in family.libraries}
        if self.folder is not None:
            from f2vbench.data.video_folders import folder_sha256

            identity["frames_sha256"] = folder_sha256(Path(self.folder))
        if self.content is not None:
            identity["embeddings_sha256"] = self.content
        if family.package is not None:
            identity |= {"entry_point": family.loader, "package": family.package}
        return identity


def _version(package: str) -> str:
    return metadata.version(package).partition("+")[0]
