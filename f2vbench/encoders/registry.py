"""Which models there are, what a word such as ``timm:resnet18:untrained`` means, and what identifies a model.

Importing this module, parsing words and asking for an identity need neither torch nor timm; `build` does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from f2vbench.encoders.given_weights import UNTRAINED, Given, card_meant, hub_address, model_cards, short, weights_named
from f2vbench.errors import SettingsError, WeightsError, did_you_mean
from f2vbench.hub import fetch
from f2vbench.store.checkpoints import file_sha256
from f2vbench.weights_cards import find_weights

if TYPE_CHECKING:
    from f2vbench.encoders.base import Encoder

PREPROCESSING_VERSION = 1
"""Raised when the arithmetic of an encoder or a floor changes what it gives for a photograph."""

INIT_VERSION = 1
"""Raised when the recipe for untrained weights changes."""

INIT_SEED = 0
CUTS = (17, 19, 25, 39)
ENTRY_POINTS = "f2vbench.encoders"

_GENERATORS = {
    "fundus2video": "generator of 12-frame angiograms (6 to 3 channels); its front part is the encoder",
    "fundus2fa": "pix2pixHD trained to one venous- or late-phase angiogram frame; its front part is the encoder",
    "pix2pixhd": "plain pix2pixHD global generator; its front part is the encoder",
}
_MASKED = {"mae": "masked autoencoder of photographs, as RETFound is one; its transformer is the encoder"}
_FLOORS = {
    "tophat": "floor: black top-hat of the green channel, no learning",
    "frangi": "floor: Frangi vesselness, no learning",
    "sato": "floor: Sato tubeness, no learning",
    "green": "floor: darkness of the green channel, no learning",
    "scratch": "floor: a small U-Net trained on the support images alone",
}
_VECTOR_FLOORS = {
    "thumbnail": "floor: 32 × 32 pixels of the photograph as a vector, no learning",
}
_VIDEO_FLOORS = {
    "still": "floor: the photograph's green channel as every frame, no learning",
    "still-inverted": "floor: the same, inverted, no learning",
    "mean-video": "floor: the mean angiogram of the patients who are not tested",
}
_FRAMES = "frames"
_FLOORS_OF = {
    "segmentation": tuple(_FLOORS),
    "classification": tuple(_VECTOR_FLOORS),
    "retrieval": tuple(_VECTOR_FLOORS),
    "generation": tuple(_VIDEO_FLOORS),
}
_ALL_FLOORS = {**_FLOORS, **_VECTOR_FLOORS, **_VIDEO_FLOORS}
_PRECOMPUTED = "frames that any generator has made, as frames:<folder with <case>/<frame>.png>"
_BUILT_IN = (*_GENERATORS, *_MASKED, *_ALL_FLOORS, _FRAMES, "timm")
_TIMM = "any timm model, as timm:<model name>"

Kind = Literal["features", "score", "scratch", "vector", "video"]


@dataclass(frozen=True)
class ModelSpec:
    """What is known of a model before it is loaded.

    Attributes:
        name: as shown in every table, such as ``fundus2video:untrained`` or ``fundus2video:latest_net_G``; weights
            with a card are called by the card's name, such as ``fundus2video-mini``, and never by their family's.
        family: ``fundus2video``, ``fundus2fa``, ``pix2pixhd``, ``mae``, ``timm``, a floor, or an entry point's name.
        architecture: such as ``pix2pixhd-global-ngf64`` (without the width where a weights file decides it), or
            the timm model's or floor's name.
        kind: ``features`` (gives embeddings and maps), ``score`` (a training-free score map), ``vector`` (a
            training-free embedding), ``video`` (frames of a floor or from a folder), or ``scratch`` (trained on the
            support images by the adapter).
        weights: ``untrained``, ``none`` (a floor), ``hub`` (timm's own), ``package`` (what an entry point brings),
            ``precomputed`` (frames in a folder),
            or the absolute path of a file.
        cut: index at which a pix2pixHD generator's encoder ends; None for others.
        source: where on the Hub the weights come from, as ``hf://owner/name@<commit>``; None for other files.
        folder: of precomputed frames, absolute; None for others.
    """

    name: str
    family: str
    architecture: str
    kind: Kind
    is_floor: bool
    weights: str
    cut: int | None = None
    source: str | None = None
    folder: str | None = None

    @property
    def weights_file(self) -> Path | None:
        """The weights file, where there is one."""
        return None if self.weights in (UNTRAINED, "none", "hub", "package", "precomputed") else Path(self.weights)

    @property
    def weights_label(self) -> str:
        """The weights in tables: a file as ``<name>@<first 8 digits of its sha256>``, below its place on the Hub."""
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
        return self.kind in ("features", "scratch", "video")  # networks compare videos

    @property
    def can_generate(self) -> bool:
        """Whether it gives angiogram frames for a photograph."""
        return self.family in _GENERATORS

    def identity(self) -> dict[str, str | int | None]:
        """Everything that decides the model's output and can be known without loading it.

        Raises:
            WeightsError: the weights file has gone or can't be read.
        """
        known: dict[str, str | int | None] = {
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
        if self.family in ("timm", *_MASKED):
            known["timm"] = _version("timm")
        if self.family in ("frangi", "sato"):
            known["scikit_image"] = _version("scikit-image")
        if self.folder is not None:
            from f2vbench.encoders.videos import folder_sha256

            known["frames_sha256"] = folder_sha256(Path(self.folder))
        if self.family not in _BUILT_IN:
            known |= _provider(self.family)
        return known


def parse_model(text: str, weights: Given = None, cut: int = 19) -> ModelSpec:
    """The model a word means: ``<family>[:untrained|:<weights>]``, ``timm:<model>[:untrained|:<weights>]`` or a card.

    Weights are a file, or ``hf://owner/name[@revision]`` on the Hub, downloaded when first asked for. A family named
    without any has those of the card that says ``default_of: <family>``.

    Args:
        weights: a file for every model whose word names no weights (that it serves only one is for the caller to
            check), or files by word or family.
        cut: 17, 19 or 25: the encoder is ``model[:cut]`` of a pix2pixHD generator; 39: all of it.

    Raises:
        SettingsError: no such family, a malformed word, contradicting weights, or another cut.
        WeightsError: the weights file does not exist, is not what its card tells or can't be downloaded, or the
            family has none of its own and none were given.
    """
    family, _, rest = text.partition(":")
    if cut not in CUTS:
        raise SettingsError(f"cut={cut}: the encoder can end at {', '.join(map(str, CUTS))} (model[:cut])")
    if family in _ALL_FLOORS:
        if rest:
            raise SettingsError(f"model={text}: the floor '{family}' has no variants; write model={family}")
        return ModelSpec(family, family, family, _kind_of_floor(family), True, "none")
    if family == _FRAMES:
        return _precomputed(text, rest)
    card = card_meant(text, weights, known_families())
    if card is not None:
        return replace(parse_model(f"{card.family}:{find_weights(card)}", cut=cut), name=card.name)
    address = hub_address(text, family, weights)
    if address is not None:
        return _from_hub(text, address, cut)
    if family in (*_GENERATORS, *_MASKED):
        return _trained(text, family, weights_named(text, family, rest, weights), cut)
    if family == "timm":
        model, _, named = rest.partition(":")
        if not model:
            raise SettingsError(f"model={text}: say which timm model, as in timm:resnet18")
        found = weights_named(text, family, named, weights) or "hub"
        name = f"timm:{model}" if found == "hub" else f"timm:{model}:{short(found)}"
        return ModelSpec(name, family, model, "features", False, found)
    if family in _entry_points():
        return _from_entry_point(text, family, rest, weights)
    known = [*known_families(), *(card.name for card in model_cards())]
    raise SettingsError(
        f"model={text}: no model family named '{family}'{did_you_mean(family, known)}; "
        f"there are {', '.join(known)} (a timm model is written timm:<model name>)"
    )


def known_families() -> dict[str, str]:
    """One line on every family, floors and families from other packages included."""
    added = {name: f"from the package {_package(point)}" for name, point in _entry_points().items()}
    return {**_GENERATORS, **_MASKED, "timm": _TIMM, _FRAMES: _PRECOMPUTED, **_ALL_FLOORS, **added}


def generator_families() -> tuple[str, ...]:
    """Families whose weights `f2vbench train` makes."""
    return (*_GENERATORS, *_MASKED)


def floor_names(family: str = "segmentation") -> tuple[str, ...]:
    """The floors for a family of tasks; empty where there are none yet."""
    return _FLOORS_OF.get(family, ())


def build(spec: ModelSpec) -> Any:
    """The model, in evaluation mode on the CPU: an `Encoder`, or for ``kind`` ``score`` a `floors.ScoreFloor`,
    for ``vector`` a `vector_floors.VectorFloor`, for ``video`` one of `videos`.

    Raises:
        SettingsError: ``scratch``, which only exists once trained; an unknown timm model; a broken entry point.
        WeightsError: the weights are missing, damaged, or made for another architecture.
    """
    if spec.kind == "scratch":
        raise SettingsError("scratch is trained on a task's support images: run it in a task, it can't be loaded")
    if spec.kind == "score":
        from f2vbench.encoders.floors import ScoreFloor

        return ScoreFloor(spec.family)
    if spec.kind == "vector":
        from f2vbench.encoders.vector_floors import VectorFloor

        return VectorFloor(spec.family)
    if spec.kind == "video":
        from f2vbench.encoders.videos import PrecomputedVideos, video_floor

        return video_floor(spec.family) if spec.folder is None else PrecomputedVideos(spec.folder)
    if spec.family in _GENERATORS:
        from f2vbench.encoders.pix2pixhd import Pix2PixHDEncoder

        return Pix2PixHDEncoder(spec).eval()
    if spec.family in _MASKED:
        from f2vbench.encoders.mae import MaeEncoder

        return MaeEncoder(spec).eval()
    if spec.family == "timm":
        from f2vbench.encoders.timm_models import TimmEncoder

        return TimmEncoder(spec).eval()
    return _build_from_entry_point(spec)


def load_encoder(model: str, weights: str | None = None, cut: int = 19) -> Any:
    """The encoder a word means, with the weights file ``weights`` where the word names none.

    An `Encoder`, or for floors that give embeddings a `vector_floors.VectorFloor`, which has ``embed`` as well.

    Raises:
        SettingsError, WeightsError: as `parse_model` and `build`; or the word means a floor without features.
    """
    spec = parse_model(model, weights, cut)
    if spec.kind not in ("features", "vector"):
        raise SettingsError(f"model={model}: a floor has no features to load; it can only be run on a task")
    return build(spec)


def _kind_of_floor(name: str) -> Kind:
    if name in _VIDEO_FLOORS:
        return "video"
    return "vector" if name in _VECTOR_FLOORS else "scratch" if name == "scratch" else "score"


def _precomputed(text: str, folder: str) -> ModelSpec:
    path = Path(folder).expanduser().absolute()
    if not folder or not path.is_dir():
        raise SettingsError(f"model={text}: there is no folder {path}; write frames:<folder with <case>/<frame>.png>")
    return ModelSpec(f"{_FRAMES}:{path.name}", _FRAMES, _FRAMES, "video", False, "precomputed", folder=str(path))


def _from_hub(text: str, address: str, cut: int) -> ModelSpec:
    """A model with weights of the Hub, called by their card's name where they have one."""
    found = fetch(address)
    spec = replace(parse_model(f"{text.removesuffix(f':{address}')}:{found.path}", cut=cut), source=found.source)
    card = found.card
    if card is None:
        return spec
    if card.family is not None and card.family.partition(":")[0] != spec.family:
        raise WeightsError(f"model={text}: these are weights of {card.family}; write model={card.family}:{address}")
    return spec if card.name in known_families() else replace(spec, name=card.name)


def _trained(text: str, family: str, weights: str | None, cut: int) -> ModelSpec:
    if weights is None:
        file = "latest_net_G.pth" if family in _GENERATORS else "generator.safetensors"
        raise WeightsError(
            f"model={text}: no weights named '{family}' are installed, and none were given; write "
            f"weights=path/to/{file}, model={family}:<weights file>, or model={family}:untrained"
        )
    name = f"{family}:{short(weights)}"
    if family in _MASKED:
        architecture = "mae-vit-192x12-patch16" if weights == UNTRAINED else "mae-vit-patch16"
        return ModelSpec(name, family, architecture, "features", False, weights)
    architecture = "pix2pixhd-global-ngf64" if weights == UNTRAINED else "pix2pixhd-global"
    return ModelSpec(name, family, architecture, "features", False, weights, cut)


def _from_entry_point(text: str, family: str, variant: str, weights: Given) -> ModelSpec:
    """A model of another package: what stands after the colon is weights if it can be, else the package's own name."""
    own_name = bool(variant) and variant != UNTRAINED and not Path(variant).expanduser().is_file()
    found = weights_named(text, family, "" if own_name else variant, weights) or "package"
    name = text if own_name else family
    if found != "package":
        name = f"{name}:{short(found)}"
    return ModelSpec(name, family, variant if own_name else family, "features", False, found)


def _build_from_entry_point(spec: ModelSpec) -> Encoder:
    from f2vbench.encoders.base import Encoder

    point = _entry_points()[spec.family]
    try:
        factory = point.load()
    except (ImportError, AttributeError) as error:
        raise SettingsError(
            f"model={spec.name}: {point.value} of the package {_package(point)} can't be imported ({error}); "
            "reinstall or mend that package"
        ) from error
    encoder = factory(spec)
    if not isinstance(encoder, Encoder):
        raise SettingsError(
            f"model={spec.name}: {point.value} of the package {_package(point)} gave a {type(encoder).__name__}; "
            "it has to return a f2vbench.encoders.base.Encoder"
        )
    return encoder.eval()


def _entry_points() -> dict[str, metadata.EntryPoint]:
    points: dict[str, metadata.EntryPoint] = {}
    for point in metadata.entry_points(group=ENTRY_POINTS):
        if point.name in (*points, *_BUILT_IN):
            raise SettingsError(
                f"the package {_package(point)} adds a model family named '{point.name}', but there is one already; "
                "uninstall it or ask its authors for another name"
            )
        points[point.name] = point
    return points


def _package(point: metadata.EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value


def _provider(family: str) -> dict[str, str | int | None]:
    point = _entry_points()[family]
    return {"entry_point": point.value, "package": _package(point)}


def _version(package: str) -> str:
    return metadata.version(package).partition("+")[0]
