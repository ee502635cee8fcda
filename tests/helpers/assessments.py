"""Small assessments: cases of grey disks, generated frames of two methods, and files of raters."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np

from f2vbench.config.parsing import build
from f2vbench.videos.assessment.key import AssessmentKey, KeyItem, assessment_id
from f2vbench.videos.assessment.prepare import PreparedAssessment, prepare
from f2vbench.videos.assessment.settings import PrepareSettings
from tests.helpers.case_files import colour_eye, grey_eye, save

Answer = Callable[[KeyItem, str], str]
"""Item and criterion → answer."""


def write_cases(folder: Path, cases: int = 5) -> Path:
    """Cases ``c0``, ``c1``, … of twelve frames, below ``real``; frames of two methods below ``near`` and ``far``.

    Frame f (from 0) of case c has the grey level 20 + 5 f + c, of ``near`` 30 and of ``far`` 160 instead of 20.
    """
    for number in range(cases):
        save(folder / "real" / f"c{number}" / "photograph.png", colour_eye() - np.uint8(number) * (colour_eye() > 0))
        for place, level in (("real", 20), ("near", 30), ("far", 160)):
            inner = Path(f"c{number}") / "frames" if place == "real" else Path(f"c{number}")
            for frame in range(12):
                save(folder / place / inner / f"{frame + 1:02d}.png", grey_eye(level + number + 5 * frame))
    return folder


def prepare_small(folder: Path, out: Path, **arguments: object) -> PreparedAssessment:
    """Prepare an assessment of the cases of `write_cases`: five examinations, two methods, two raters."""
    frames = {"near": str(folder / "near"), "far": str(folder / "far")}
    values = {"cases": str(folder / "real"), "frames": frames, "videos": 5, "out": str(out), **arguments}
    return prepare(build(PrepareSettings, values))


def write_ratings(
    path: Path, key: AssessmentKey, rater: int, answer: Answer, guess: Callable[[KeyItem], str] | None = None
) -> Path:
    """Write the file of a rater (from 0), as the page exports it, with all questions answered.

    Without ``guess``, the rater recognizes every acquired video.
    """
    drawn = key["raters"][rater]
    asks_source = key["blind"] == "source"
    names = ["assessment", "rater", "position", "video", *key["criteria"], *(["acquired"] if asks_source else [])]
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*names, "comment", "rated"])
        for item in drawn["items"]:
            row = [assessment_id(key), drawn["name"], item["position"], item["video"]]
            row += [answer(item, criterion) for criterion in key["criteria"]]
            if asks_source:
                row.append(guess(item) if guess else "A" if item["generated"] == "B" else "B")
            writer.writerow([*row, "", "2026-11-28T09:00:00.000Z"])
    return path
