"""Angiograms from photographs: what a trained generator is for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from f2vbench.data.field_of_view import FIELD_OF_VIEW_VERSION, field_of_view
from f2vbench.data.images import content_hash, read_rgb
from f2vbench.data.square_crop import SquareView
from f2vbench.data.video_files import encode_gif, encode_mp4
from f2vbench.encoders.loading import build
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.registry import FAMILIES
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import DataError, SettingsError, StoreError
from f2vbench.utils.device import torch_device
from f2vbench.utils.png import encode_png
from f2vbench.utils.progress import Progress, Silent
from f2vbench.utils.system import software
from f2vbench.videos.inputs import find_photographs, is_one_file
from f2vbench.videos.outputs import Result, check_writable, plan_results
from f2vbench.videos.settings import GenerateSettings
from f2vbench.videos.strip import StripText, strip

if TYPE_CHECKING:
    from f2vbench.encoders.base import Encoder

VERSION = 1
"""Raised when the same photograph, weights and settings give other frames."""

FRAMES = 12


@dataclass(frozen=True)
class Angiogram:
    """Frames made from a photograph, black outside its field of view.

    Attributes:
        square: uint8 (s, s, 3), the photograph as the model saw it: the square around the field of view.
        frames: uint8 (t, s, s), on the same square.
        view: where that square lies.
        inside: bool (height, width), the field of view on the photograph.
    """

    square: np.ndarray
    frames: np.ndarray
    view: SquareView
    inside: np.ndarray

    def restored(self) -> np.ndarray:
        """uint8 (t, height, width): the frames on the photograph's own pixels."""
        return np.stack(
            [_grey_levels(self.view.restore(frame / np.float32(255))) * self.inside for frame in self.frames]
        )


@dataclass(frozen=True)
class Generated:
    """What a call has done: results made, and results that were there already, as it would have made them."""

    made: tuple[Path, ...]
    kept: tuple[Path, ...]


def generate(settings: GenerateSettings, progress: Progress | None = None) -> Generated:
    """Make the results that are missing.

    Raises:
        SettingsError: a model that makes no frames, or a format that does not suit it.
        WeightsError: weights missing or not the model's.
        DataError: photographs not there; or, after all others are done, those that can't be read.
        StoreError: something else stands where a result should lie, or it can't be written.
    """
    told = progress or Silent()
    spec = parse_model(settings.model, settings.weights)
    frames = _frames(settings, spec)
    photographs = find_photographs(settings.image)
    results = plan_results(settings, photographs, is_one_file(settings.image), frames)
    check_writable(results)
    device = torch_device(settings.device)
    unreadable: list[str] = []
    missing: list[tuple[Result, dict[str, Any]]] = []
    kept: list[Path] = []
    problems: list[str] = []
    for result in results:
        try:
            request = _request(settings, spec, frames, result)
        except DataError as error:
            unreadable += error.problems
            continue
        if result.is_finished(request):
            kept.append(result.path)
        elif problem := result.problem(request, settings.overwrite):
            problems.append(problem)
        else:
            missing.append((result, request))
    if problems:
        raise StoreError(problems)
    if kept:
        told.note(f"{len(kept)} of {len(results)} there already, as this call would make them: left as they are")
    if missing:
        encoder = build(spec).to(device)
        told.begin("generating", len(missing))
        for result, request in missing:
            try:
                _make(encoder, result, request, settings, frames)
            except DataError as error:
                unreadable += error.problems
            told.advance(result.path.name)
        told.end()
    if unreadable:
        told.note(f"{len(results) - len(unreadable)} of {len(results)} photographs are done, the others can't be")
        raise DataError(unreadable)
    return Generated(tuple(result.path for result, _ in missing), tuple(kept))


def angiogram(encoder: Encoder, rgb: np.ndarray, size: int = 512, frames: int = FRAMES) -> Angiogram:
    """Frames for one photograph, which is shown to the model as in training: cropped, and black outside the field.

    Args:
        encoder: one that can generate.
        rgb: uint8 (height, width, 3).
        size: side of the square, px.

    Raises:
        DataError: the photograph has no light.
        SettingsError: the model generates nothing, or another number of frames.
    """
    inside = field_of_view(rgb)
    view = SquareView.around(inside)
    field = view.crop(inside, size)
    square = view.crop(rgb * inside[..., None], size) * field[..., None]
    device = next(encoder.parameters()).device
    x = torch.from_numpy(square).to(device).permute(2, 0, 1)[None].float() / 255
    made = encoder.generate(x, frames)[0].cpu().numpy()
    if len(made) != frames:
        raise SettingsError(f"frames={frames}: {encoder.spec.name} makes {len(made)}; ask for so many")
    return Angiogram(square, _grey_levels(made) * field, view, inside)


def _frames(settings: GenerateSettings, spec: ModelSpec) -> int:
    if (spec.family in FAMILIES or spec.kind == "fusion") and not spec.can_generate:
        generators = [family.name for family in FAMILIES.values() if family.frames]
        raise SettingsError(f"model={settings.model}: makes no frames; there are {', '.join(generators)}")
    if spec.can_generate and FAMILIES[spec.family].frames == 1:
        if settings.frames not in (None, 1):
            raise SettingsError(f"frames={settings.frames}: {spec.family} makes one; leave frames out")
        return 1
    return settings.frames or FRAMES


def _is_video(spec: ModelSpec) -> bool:
    """Whether a model is trained for frames of all phases."""
    return spec.can_generate and FAMILIES[spec.family].frames > 1


def _request(settings: GenerateSettings, spec: ModelSpec, frames: int, result: Result) -> dict[str, Any]:
    """Everything that decides a result, without device and versions of libraries.

    Raises:
        DataError: the photograph can't be read.
    """
    pixels = content_hash(read_rgb(result.photograph))
    weights = {key: value for key, value in spec.identity().items() if key != "cut" and value is not None}
    request: dict[str, Any] = {"version": VERSION, "field_of_view": FIELD_OF_VIEW_VERSION, "photograph": pixels}
    request |= {"model": spec.name, **weights, "size": settings.size, "frames": frames, "restore": settings.restore}
    return request | ({"fps": settings.fps} if result.format in ("gif", "mp4") else {})


def _make(
    encoder: Encoder, result: Result, request: Mapping[str, Any], settings: GenerateSettings, frames: int
) -> None:
    made = angiogram(encoder, read_rgb(result.photograph), settings.size, frames)
    source = f"{encoder.spec.name} ({encoder.spec.weights_label})"
    footer = f"Generated by {source} from {result.photograph.name}; not an acquired angiogram"
    files = _encoded(result, made.restored() if settings.restore else made.frames, settings.fps, footer)
    files[result.strip.name] = strip(made.square, made.frames, StripText(_is_video(encoder.spec), footer))
    told = {"photograph": result.photograph.name, "weights": encoder.spec.weights_label, "software": software()}
    result.write(request, files, told)


def _encoded(result: Result, frames: np.ndarray, fps: float, comment: str) -> dict[str, bytes]:
    name = result.path.name
    if result.format == "frames":
        digits = max(2, len(str(len(frames))))
        return {f"{name}/{number:0{digits}d}.png": encode_png(frame) for number, frame in enumerate(frames, 1)}
    if result.format == "png":
        return {name: encode_png(frames[0])}
    return {name: encode_gif(frames, fps, comment) if result.format == "gif" else encode_mp4(frames, fps)}


def _grey_levels(frames: np.ndarray) -> np.ndarray:
    """[0, 1] → uint8; rounding may have left the range by a little."""
    return np.rint(np.clip(frames, 0, 1) * 255).astype(np.uint8)
