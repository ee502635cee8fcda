"""Which models there are, what a word such as ``timm:resnet18:untrained`` means, and what identifies a model.

Importing this module, parsing words and asking for an identity need neither torch nor timm; `build` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from f2vbench.encoders.fusion_words import FUSION, fusion_name, fusion_words, is_fusion
from f2vbench.errors import SettingsError, WeightsError, did_you_mean
from f2vbench.store.checkpoints import file_sha256

if TYPE_CHECKING:
    from f2vbench.encoders.base import Encoder

PREPROCESSING_VERSION = 1
"""Raised when the arithmetic of an encoder or a floor changes what it gives for a photograph."""

INIT_VERSION = 1
"""Raised when the recipe for untrained weights changes."""

INIT_SEED = 0
CUTS = (17, 19, 25)
UNTRAINED = "untrained"
ENTRY_POINTS = "f2vbench.encoders"

_GENERATORS = {
    "fundus2video": "generator of 12-frame angiograms (6 to 3 channels); its front part is the encoder",
    "fundus2fa": "pix2pixHD trained to one venous- or late-phase angiogram frame; its front part is the encoder",
    "pix2pixhd": "plain pix2pixHD global generator; its front part is the encoder",
}
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
_FLOORS_OF = {
    "segmentation": tuple(_FLOORS),
    "classification": tuple(_VECTOR_FLOORS),
    "retrieval": tuple(_VECTOR_FLOORS),
}
_ALL_FLOORS = {**_FLOORS, **_VECTOR_FLOORS}
_TIMM = "any timm model, as timm:<model name>"

Kind = Literal["features", "score", "scratch", "vector", "fusion"]


@dataclass(frozen=True)
class ModelSpec:
    """What is known of a model before it is loaded.

    Attributes:
        name: as shown in every table, such as ``fundus2video:untrained`` or ``fundus2video:latest_net_G``.
        family: ``fundus2video``, ``fundus2fa``, ``pix2pixhd``, ``timm``, a floor, or a name from an entry point.
        architecture: such as ``pix2pixhd-global-ngf64`` (without the width where a weights file decides it), or
            the timm model's or floor's name.
        kind: ``features`` (gives embeddings and maps), ``score`` (a training-free score map), ``vector`` (a
            training-free embedding), ``scratch`` (trained on the support images by the adapter), or ``fusion`` (of
            ``parts``, with ``attention``, ``concat`` or ``mean`` for an architecture).
        weights: ``untrained``, ``none`` (a floor), ``hub`` (timm's own), ``package`` (what an entry point brings),
            or the absolute path of a file.
        cut: index at which a pix2pixHD generator's encoder ends; None for others.
        parts: the models of a fusion.
    """

    name: str
    family: str
    architecture: str
    kind: Kind
    is_floor: bool
    weights: str
    cut: int | None = None
    parts: tuple[ModelSpec, ...] = ()

    @property
    def part_names(self) -> tuple[str, ...]:
        """The models whose features it works on: its parts, or itself."""
        return tuple(part.name for part in self.parts) or (self.name,)

    @property
    def weights_file(self) -> Path | None:
        """The weights file, where there is one."""
        return None if self.weights in (UNTRAINED, "none", "hub", "package", FUSION) else Path(self.weights)

    @property
    def weights_label(self) -> str:
        """How tables name the weights: a file as ``<name>@<first 8 digits of its sha256>``."""
        if self.parts:
            return "+".join(dict.fromkeys(part.weights_label for part in self.parts))
        file = self.weights_file
        return self.weights if file is None else f"{file.name}@{file_sha256(file)[:8]}"

    @property
    def is_network(self) -> bool:
        """Whether it is an encoder with weights."""
        return self.kind == "features"

    @property
    def uses_torch(self) -> bool:
        """Whether it needs torch, and so threads and a device."""
        return self.kind in ("features", "scratch", "fusion")

    @property
    def can_generate(self) -> bool:
        """Whether it gives angiogram frames for a photograph."""
        return self.family in _GENERATORS

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
        if self.family == "timm":
            known["timm"] = _version("timm")
        if self.family in ("frangi", "sato"):
            known["scikit_image"] = _version("scikit-image")
        if self.family not in (*_GENERATORS, *_ALL_FLOORS, "timm"):
            known |= _provider(self.family)
        return known


def parse_model(text: str, weights: Mapping[str, str] | str | None = None, cut: int = 19) -> ModelSpec:
    """The model a word means: ``<family>[:untrained|:<weights file>]`` or ``timm:<model>[:untrained|:<weights file>]``.

    Several joined by + are a fusion (see `f2vbench.encoders.fusion_words`).

    Args:
        weights: a file for every model whose word names no weights (that it serves only one is for the caller to
            check), or files by word or family.
        cut: 17, 19 or 25: the encoder is ``model[:cut]`` of a pix2pixHD generator.

    Raises:
        SettingsError: no such family, a malformed word, contradicting weights, or another cut.
        WeightsError: the weights file does not exist, or the family has none of its own and none were given.
    """
    if is_fusion(text):
        return _fusion(text, weights, cut)
    family, _, rest = text.partition(":")
    if cut not in CUTS:
        raise SettingsError(f"cut={cut}: the encoder can end at {', '.join(map(str, CUTS))} (model[:cut])")
    if family in _ALL_FLOORS:
        if rest:
            raise SettingsError(f"model={text}: the floor '{family}' has no variants; write model={family}")
        kind: Kind = "vector" if family in _VECTOR_FLOORS else "scratch" if family == "scratch" else "score"
        return ModelSpec(family, family, family, kind, True, "none")
    if family in _GENERATORS:
        return _generator(text, _weights_named(text, family, rest, weights), cut)
    if family == "timm":
        model, _, named = rest.partition(":")
        if not model:
            raise SettingsError(f"model={text}: say which timm model, as in timm:resnet18")
        found = _weights_named(text, family, named, weights) or "hub"
        name = f"timm:{model}" if found == "hub" else f"timm:{model}:{_short(found)}"
        return ModelSpec(name, family, model, "features", False, found)
    if family in _entry_points():
        return _from_entry_point(text, family, rest, weights)
    known = list(known_families())
    raise SettingsError(
        f"model={text}: no model family named '{family}'{did_you_mean(family, known)}; "
        f"there are {', '.join(known)} (a timm model is written timm:<model name>)"
    )


def _fusion(text: str, weights: Mapping[str, str] | str | None, cut: int) -> ModelSpec:
    how, words = fusion_words(text)
    parts = tuple(parse_model(word, weights, cut) for word in words)
    names = [part.name for part in parts]
    for part in parts:
        if part.kind not in ("features", "vector"):
            raise SettingsError(f"model={text}: '{part.name}' gives no embedding that could be joined with others")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SettingsError(f"model={text}: '{twice[0]}' is in it twice; join different models")
    name = fusion_name(how, names)
    return ModelSpec(name, FUSION, how, "fusion", False, FUSION, parts=parts)


def known_families() -> dict[str, str]:
    """One line on every family, floors and families from other packages included."""
    added = {name: f"from the package {_package(point)}" for name, point in _entry_points().items()}
    return {**_GENERATORS, "timm": _TIMM, **_ALL_FLOORS, **added}


def floor_names(family: str = "segmentation") -> tuple[str, ...]:
    """The floors for a family of tasks; empty where there are none yet."""
    return _FLOORS_OF.get(family, ())


def build(spec: ModelSpec) -> Any:
    """The model, in evaluation mode on the CPU: an `Encoder`, or for ``kind`` ``score`` a `floors.ScoreFloor`,
    for ``vector`` a `vector_floors.VectorFloor`.

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
    if spec.family in _GENERATORS:
        from f2vbench.encoders.pix2pixhd import Pix2PixHDEncoder

        return Pix2PixHDEncoder(spec).eval()
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


def _generator(text: str, weights: str | None, cut: int) -> ModelSpec:
    family = text.partition(":")[0]
    if weights is None:
        raise WeightsError(
            f"model={text}: no weights named '{family}' are installed, and none were given; write "
            f"weights=path/to/latest_net_G.pth, model={family}:<weights file>, or model={family}:untrained"
        )
    architecture = "pix2pixhd-global-ngf64" if weights == UNTRAINED else "pix2pixhd-global"
    return ModelSpec(f"{family}:{_short(weights)}", family, architecture, "features", False, weights, cut)


def _weights_named(text: str, family: str, named: str, weights: Mapping[str, str] | str | None) -> str | None:
    """``untrained``, an absolute path, or None, from the word itself or else from what was given beside it."""
    beside = None if weights is None or isinstance(weights, str) else weights.get(text)
    if named and beside is not None:
        raise SettingsError(f"model={text} names its weights, and weights.{text}={beside} names others; keep one")
    if not named and text.endswith(":"):
        raise SettingsError(f"model={text}: nothing follows the colon; write a weights file, or {UNTRAINED}")
    if not named:
        named = weights if isinstance(weights, str) else beside or (weights or {}).get(family, "")
    if not named or named == UNTRAINED:
        return named or None
    path = Path(named).expanduser().absolute()
    if not path.is_file():
        raise WeightsError(
            f"model={text}: there is no weights file {path}{did_you_mean(named, [UNTRAINED])}; check the path, "
            f"or write {UNTRAINED} to run without weights"
        )
    return str(path)


def _short(weights: str) -> str:
    return UNTRAINED if weights == UNTRAINED else Path(weights).stem


def _from_entry_point(text: str, family: str, variant: str, weights: Mapping[str, str] | str | None) -> ModelSpec:
    """A model of another package: what stands after the colon is weights if it can be, else the package's own name."""
    own_name = bool(variant) and variant != UNTRAINED and not Path(variant).expanduser().is_file()
    found = _weights_named(text, family, "" if own_name else variant, weights) or "package"
    name = text if own_name else family
    if found != "package":
        name = f"{name}:{_short(found)}"
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
        if point.name in (*points, *_GENERATORS, *_ALL_FLOORS, "timm"):
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
