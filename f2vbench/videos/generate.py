"""Generation of angiograms from photographs with a trained generator."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from f2vbench.data.field_of_view import FIELD_OF_VIEW_VERSION, field_of_view
from f2vbench.data.images import content_hash, read_rgb
from f2vbench.data.plausibility import is_blank
from f2vbench.data.square_crop import SquareView
from f2vbench.data.video_files import encode_gif, encode_mp4, grey_level_error
from f2vbench.encoders.loading import build_encoder
from f2vbench.encoders.model_argument import parse_only_model
from f2vbench.encoders.registry import FAMILIES
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import DataError, SettingsError, StoreError
from f2vbench.utils.device import torch_device
from f2vbench.utils.png import encode_png
from f2vbench.utils.progress import Progress, Silent
from f2vbench.utils.system import software
from f2vbench.videos.inputs import find_photographs, is_single_file
from f2vbench.videos.outputs import Result, check_writable, plan_results
from f2vbench.videos.settings import GenerateSettings
from f2vbench.videos.strip import StripText, draw_strip

if TYPE_CHECKING:
    from f2vbench.encoders.base import Encoder

VERSION = 1
"""Version of the generation code. Increase it when the frames of the same photograph, weights and settings change."""

FRAMES = 12


@dataclass(frozen=True)
class Angiogram:
    """Frames generated from a photograph, black outside its field of view.

    Attributes:
        square: uint8 (s, s, 3), the input of the model: the photograph's square around the field of view.
        frames: uint8 (t, s, s), on the same square.
        view: Position of the square on the photograph.
        fov_mask: bool (height, width), the field of view on the photograph.
    """

    square: np.ndarray
    frames: np.ndarray
    view: SquareView
    fov_mask: np.ndarray

    def restored(self) -> np.ndarray:
        """The frames on the photograph's own pixels, uint8 (t, height, width)."""
        return np.stack(
            [_to_grey_levels(self.view.restore(frame / np.float32(255))) * self.fov_mask for frame in self.frames]
        )


@dataclass(frozen=True)
class Generated:
    """The results of a call.

    Attributes:
        new: Results that this call generated.
        existing: Complete results of an earlier call with the same settings.
    """

    new: tuple[Path, ...]
    existing: tuple[Path, ...]


@dataclass
class _Plan:
    """The results of a call by what has to be done.

    Attributes:
        missing: Results to generate, with their requests.
        existing: Complete results.
        unreadable: Messages of photographs that can't be read.
    """

    missing: list[tuple[Result, dict[str, Any]]] = field(default_factory=list)
    existing: list[Path] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)


def generate(settings: GenerateSettings, progress: Progress | None = None) -> Generated:
    """Generate the missing results.

    Args:
        settings: Photographs, model and output.
        progress: Receives notes and the progress.

    Raises:
        SettingsError: The model generates no frames, or the format does not fit it.
        WeightsError: Weights are missing, or of another model.
        DataError: A photograph does not exist; or, after all others are generated, photographs that can't be read.
        StoreError: A file that is not a result has the path of a result, or a result can't be written.
    """
    reporter = progress or Silent()
    spec = parse_only_model(settings.model, settings.weights)
    frames = _frame_count(settings, spec)
    results = plan_results(settings, find_photographs(settings.image), is_single_file(settings.image), frames)
    check_writable(results)
    device = torch_device(settings.device)
    plan = _compare_with_stored(settings, spec, frames, results)
    if plan.existing:
        reporter.note(f"{len(plan.existing)} of {len(results)} results with the same settings exist and are kept")
    unreadable = plan.unreadable
    if plan.missing:
        encoder = build_encoder(spec).to(device)
        reporter.begin("generating", len(plan.missing))
        for result, request in plan.missing:
            try:
                _generate_result(encoder, result, request, settings, frames)
            except DataError as error:
                unreadable += error.problems
            reporter.advance(result.path.name)
        reporter.end()
    if unreadable:
        reporter.note(f"{len(results) - len(unreadable)} of {len(results)} results are complete, the others failed")
        raise DataError(unreadable)
    return Generated(tuple(result.path for result, _ in plan.missing), tuple(plan.existing))


def generate_angiogram(encoder: Encoder, rgb: np.ndarray, size: int = 512, frames: int = FRAMES) -> Angiogram:
    """Generate the frames of one photograph, cropped and masked as in training.

    Args:
        encoder: An encoder with ``can_generate``.
        rgb: uint8 (height, width, 3).
        size: Side of the square in pixels.
        frames: Number of frames.

    Raises:
        DataError: The photograph is black or of one colour.
        SettingsError: The model generates no frames, or another number of frames.
    """
    if is_blank(rgb):
        raise DataError("the photograph is black or of one colour: there is nothing to generate an angiogram from")
    fov_mask = field_of_view(rgb)
    view = SquareView.around(fov_mask)
    square_fov = view.crop(fov_mask, size)
    square = view.crop(rgb * fov_mask[..., None], size) * square_fov[..., None]
    device = next(encoder.parameters()).device
    x = torch.from_numpy(square).to(device).permute(2, 0, 1)[None].float() / 255
    generated = encoder.generate(x, frames)[0].cpu().numpy()
    if len(generated) != frames:
        raise SettingsError(f"frames={frames}: {encoder.spec.name} generates {len(generated)}; use this number")
    return Angiogram(square, _to_grey_levels(generated) * square_fov, view, fov_mask)


def _frame_count(settings: GenerateSettings, spec: ModelSpec) -> int:
    if (spec.family in FAMILIES or spec.kind == "fusion") and not spec.can_generate:
        generators = ", ".join(family.name for family in FAMILIES.values() if family.frames)
        raise SettingsError(f"model={settings.model}: generates no frames; models that do are {generators}")
    if spec.can_generate and FAMILIES[spec.family].frames == 1:
        if settings.frames not in (None, 1):
            raise SettingsError(f"frames={settings.frames}: {spec.family} generates one; leave frames out")
        return 1
    return settings.frames or FRAMES


def _is_video(spec: ModelSpec) -> bool:
    """Whether a model is trained for frames of all phases."""
    return spec.can_generate and FAMILIES[spec.family].frames > 1


def _compare_with_stored(settings: GenerateSettings, spec: ModelSpec, frames: int, results: list[Result]) -> _Plan:
    """Compare each request with the stored result.

    Raises:
        StoreError: A result must not be written.
    """
    plan, problems = _Plan(), []
    for result in results:
        try:
            request = _request(settings, spec, frames, result)
        except DataError as error:
            plan.unreadable += error.problems
            continue
        if result.is_complete(request):
            plan.existing.append(result.path)
        elif problem := result.problem(request, settings.overwrite):
            problems.append(problem)
        else:
            plan.missing.append((result, request))
    if problems:
        raise StoreError(problems)
    return plan


def _request(settings: GenerateSettings, spec: ModelSpec, frames: int, result: Result) -> dict[str, Any]:
    """Everything that determines a result, except device and library versions.

    Raises:
        DataError: The photograph can't be read.
    """
    pixels = content_hash(read_rgb(result.photograph))
    weights = {key: value for key, value in spec.identity().items() if key != "cut" and value is not None}
    request: dict[str, Any] = {"version": VERSION, "field_of_view": FIELD_OF_VIEW_VERSION, "photograph": pixels}
    request |= {"model": spec.name, **weights, "size": settings.size, "frames": frames, "restore": settings.restore}
    return request | ({"fps": settings.fps} if result.format in ("gif", "mp4") else {})


def _generate_result(
    encoder: Encoder, result: Result, request: Mapping[str, Any], settings: GenerateSettings, frames: int
) -> None:
    try:
        angiogram = generate_angiogram(encoder, read_rgb(result.photograph), settings.size, frames)
    except DataError as error:
        known = str(result.photograph)
        raise DataError([text if known in text else f"{known}: {text}" for text in error.problems]) from None
    source = f"{encoder.spec.name} ({encoder.spec.weights_label})"
    footer = f"Generated by {source} from {result.photograph.name}; not an acquired angiogram"
    files = _encode(result, angiogram.restored() if settings.restore else angiogram.frames, settings.fps, footer)
    text = StripText(_is_video(encoder.spec), footer)
    files[result.strip.name] = draw_strip(angiogram.square, angiogram.frames, text)
    details: dict[str, Any] = {
        "photograph": result.photograph.name,
        "weights": encoder.spec.weights_label,
        "software": software(),
    }
    if result.format == "mp4":
        written = angiogram.restored() if settings.restore else angiogram.frames
        mean, largest = grey_level_error(files[result.path.name], written)
        details["grey_level_error"] = {"mean": round(mean, 3), "largest": largest, "of": 255}
    result.write(request, files, details)


def _encode(result: Result, frames: np.ndarray, fps: float, comment: str) -> dict[str, bytes]:
    """The result's files by name."""
    name = result.path.name
    if result.format == "frames":
        digits = max(2, len(str(len(frames))))
        return {f"{name}/{number:0{digits}d}.png": encode_png(frame) for number, frame in enumerate(frames, 1)}
    if result.format == "png":
        return {name: encode_png(frames[0])}
    return {name: encode_gif(frames, fps, comment) if result.format == "gif" else encode_mp4(frames, fps)}


def _to_grey_levels(frames: np.ndarray) -> np.ndarray:
    """[0, 1] → uint8; clipped, because rounding may exceed the range slightly."""
    return np.asarray(np.rint(np.clip(frames, 0, 1) * 255), np.uint8)
