"""The five-point scale of human assessments, and the criteria that raters score on it.

Scale and descriptions are those of Table 2 of the Fundus2Video foundation-model paper. Its text names the criteria
perfusion, lesions and coherence; the MICCAI paper adds stability and artefacts.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Grade:
    """One step of the scale.

    Attributes:
        score: 1 (best) to 5.
        quality: Its name.
        description: What a video of this quality looks like.
    """

    score: int
    quality: str
    description: str


@dataclass(frozen=True)
class Criterion:
    """One aspect of a video, scored by itself.

    Attributes:
        name: Key in settings and files.
        title: Heading.
        question: What raters judge.
    """

    name: str
    title: str
    question: str


SCALE = (
    Grade(1, "Excellent", "Similar morphology and fluorescent changes of retinal vessels and lesions"),
    Grade(2, "Good", "Slight variation in morphology and fluorescent changes of retinal vessels and lesions"),
    Grade(
        3,
        "Normal",
        "Moderate variation in morphology and fluorescent changes of retinal vessels and lesions; indicates lesions of "
        "diagnostic significance",
    ),
    Grade(
        4,
        "Poor",
        "Large variation in morphology and intensity of retinal vessels and lesions; without lesions of diagnostic "
        "significance",
    ),
    Grade(5, "Very poor", "Large variation in morphology and intensity of choroidal and retinal vessels"),
)
"""The scale, best first. Lower scores are better. Table 2 omits "variation in" at score 2."""

SCORES = tuple(grade.score for grade in SCALE)
"""All scores, in ascending order."""

CRITERIA = {
    criterion.name: criterion
    for criterion in (
        Criterion("perfusion", "Vascular perfusion", "Filling of arteries, capillaries and veins over time"),
        Criterion(
            "lesions", "Lesion dynamics", "Leakage, staining, pooling and blocked fluorescence as in clinical practice"
        ),
        Criterion("coherence", "Overall coherence", "Frames follow each other as in one angiogram of this eye"),
        Criterion("stability", "Stability", "No flicker, jumps or drift between frames"),
        Criterion("artefacts", "Absence of artefacts", "No structures that an angiogram of this eye does not have"),
        Criterion("quality", "Overall quality", "The video as a whole, as a single score"),
    )
}
"""Name → criterion."""

DEFAULT_CRITERIA = ("perfusion", "lesions", "coherence")
"""The criteria of the foundation-model paper."""
