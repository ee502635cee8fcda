"""Files of raters, written as their pages export them."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from f2vbench.videos.assessment.key import AssessmentKey, KeyItem, assessment_id

Answer = Callable[[KeyItem, str], str]
"""Item and criterion → answer."""


def write_ratings(
    path: Path, key: AssessmentKey, rater: int, answer: Answer, guess: Callable[[KeyItem], str] | None = None
) -> Path:
    """Write the file of a rater (from 0), with all questions answered."""
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
