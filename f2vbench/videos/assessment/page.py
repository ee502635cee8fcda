"""The page of a rater: one HTML file that needs neither the network nor other files."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup
from PIL import Image

from f2vbench.analysis.assessment import ACQUIRED
from f2vbench.analysis.rating_scale import CRITERIA, SCALE
from f2vbench.report.writers.html import policy_hash

_WEBP_EFFORT = 3  # of 6: a tenth larger than at 6, at a fifth of the time


@dataclass(frozen=True)
class PageItem:
    """One video pair on a page.

    Attributes:
        video: Opaque name.
        photograph: Encoded photograph, base64.
        sides: Encoded frames of video A and of video B.
        phases: Phase of each frame.
        generated: Side of the generated video, where the page labels it; empty otherwise.
    """

    video: str
    photograph: str
    sides: tuple[Sequence[str], Sequence[str]]
    phases: Sequence[str]
    generated: str = ""


@dataclass(frozen=True)
class PageSettings:
    """What a page shows besides its videos.

    Attributes:
        assessment: Identifier of the assessment.
        rater: Name of the rater.
        criteria: Names of the criteria.
        view: ``side-by-side`` or ``one-at-a-time``.
        asks_source: Whether the rater guesses which video is acquired.
        fps: Frames a second at the start.
    """

    assessment: str
    rater: str
    criteria: Sequence[str]
    view: str
    asks_source: bool
    fps: float


def encode_frame(pixels: np.ndarray, quality: int) -> str:
    """Encode an image as WebP, base64.

    Args:
        pixels: uint8 (h, w) or (h, w, 3).
        quality: WebP quality, 100 for lossless.
    """
    content, lossless = io.BytesIO(), quality == 100
    picture = Image.fromarray(pixels).convert("RGB")
    picture.save(content, "WEBP", lossless=lossless, quality=60 if lossless else quality, method=_WEBP_EFFORT)
    return base64.b64encode(content.getvalue()).decode()


def render_page(settings: PageSettings, items: Iterable[PageItem]) -> str:
    """Render the page of one rater.

    Images are numbered in the order in which the page shows them, each content once, so that numbers do not depend on
    the method. Every string is escaped.

    Args:
        settings: What the page shows besides the videos.
        items: Video pairs, in the order of the page.
    """
    numbers: dict[str, str] = {}
    listed = []
    for item in items:
        entry: dict[str, Any] = {"video": item.video, "photograph": _number(numbers, item.photograph)}
        entry["a"], entry["b"] = ([_number(numbers, frame) for frame in side] for side in item.sides)
        listed.append(entry | {"phases": list(item.phases), "generated": item.generated})
    data = {
        "assessment": settings.assessment,
        "rater": settings.rater,
        "criteria": list(settings.criteria),
        "questions": _questions(settings),
        "view": settings.view,
        "fps": settings.fps,
        "items": listed,
    }
    style, script = _asset("page.css"), _asset("page.js")
    return _template().render(
        settings=settings,
        questions=data["questions"],
        scale=SCALE,
        count=len(listed),
        data=Markup(json.dumps(data, ensure_ascii=False).replace("<", "\\u003c")),
        images=numbers,
        version=version("f2vbench"),
        style=Markup(style),
        script=Markup(script),
        style_hash=policy_hash(style),
        script_hash=policy_hash(script),
    )


def _number(numbers: dict[str, str], content: str) -> str:
    return numbers.setdefault(content, f"i{len(numbers)}")


def _questions(settings: PageSettings) -> list[dict[str, Any]]:
    """Criteria with the scale as their options, and the question which video is acquired."""
    grades = [{"value": str(grade.score), "label": grade.quality, "description": grade.description} for grade in SCALE]
    questions: list[dict[str, Any]] = []
    for name in settings.criteria:
        criterion = CRITERIA[name]
        questions.append({"name": name, "title": criterion.title, "question": criterion.question, "options": grades})
    if settings.asks_source:
        options = [{"value": side, "label": f"Video {side}", "description": ""} for side in ("A", "B")]
        question = "Which of both videos was acquired from the patient? Guess if you are not sure"
        questions.append({"name": ACQUIRED, "title": "Acquired video", "question": question, "options": options})
    return questions


@cache
def _template() -> Template:
    environment = Environment(
        loader=PackageLoader("f2vbench", "videos/assessment"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    return environment.get_template("page.html.j2")


@cache
def _asset(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
