"""The key of an assessment: which video on which page is of which method, and on which side.

The key is a sealed file, whose checksum reveals accidental changes. Its identifier, a hash of the whole content, is on
every page and in every file of ratings, so that a key that was changed and sealed again no longer fits them. The key
has a random salt: neither the seed nor the identifier allow a rater to find the method behind a video.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypedDict, cast

import numpy as np

from f2vbench.errors import DataError
from f2vbench.utils.files import canonical_json, sha256, unseal

KIND = "f2vbench assessment key"
VERSION = 1
FILE_NAME = "assessment-key.json"
_ID_DIGITS = 16
_VIDEO_DIGITS = 6

Side = Literal["A", "B"]
"""Left (or first) and right (or second) video on a page."""


class KeyItem(TypedDict):
    """One video pair on a page: its opaque name, its case and method, and the side of the generated video."""

    position: int
    video: str
    image: str
    method: str
    generated: Side


class KeyRater(TypedDict):
    """A rater's name, and the video pairs in the order of the page."""

    name: str
    items: list[KeyItem]


class KeyCase(TypedDict):
    """An assessed examination: id of its photograph, its case and its patient."""

    image: str
    case: str
    patient: str


class AssessmentKey(TypedDict):
    """Content of a key file."""

    kind: str
    version: int
    created: str
    salt: str
    seed: int
    criteria: list[str]
    view: str
    blind: str
    origin: dict[str, Any]
    methods: list[str]
    cases: list[KeyCase]
    raters: list[KeyRater]


def assessment_id(key: AssessmentKey) -> str:
    """The identifier of an assessment: 16 hexadecimal digits of the SHA-256 of its key."""
    return sha256(canonical_json(key))[:_ID_DIGITS]


def select_images(images: Sequence[str], patients: Mapping[str, str], count: int, seed: int) -> list[str]:
    """Select photographs at random: one of each patient before a second one of any patient.

    Args:
        images: All photographs.
        patients: Patient of each photograph.
        count: Number to select, at most ``len(images)``.
        seed: Seed of the selection.

    Returns:
        The selected photographs, sorted.
    """
    order = np.random.default_rng([seed, 0]).permutation(len(images))
    rounds: dict[str, int] = {}
    ranked = []
    for place, number in enumerate(order):
        image = sorted(images)[number]
        patient = patients[image]
        rounds[patient] = rounds.get(patient, 0) + 1
        ranked.append((rounds[patient], place, image))
    return sorted(image for _, _, image in sorted(ranked)[:count])


def draw_raters(images: Sequence[str], methods: Sequence[str], raters: int, seed: int, salt: str) -> list[KeyRater]:
    """Draw order, sides and names of the videos of each rater.

    Each rater has an order of their own. Of each method's videos, half are on side A (one more or less if odd).

    Args:
        images: Selected photographs.
        methods: Names of the methods.
        raters: Number of raters.
        seed: Seed of order and sides.
        salt: Random text that the opaque names depend on.
    """
    drawn: list[KeyRater] = []
    for number in range(1, raters + 1):
        generator = np.random.default_rng([seed, number])
        pairs = [(image, method) for method in methods for image in images]
        sides: list[Side] = []
        for _ in methods:
            first: Side = "A" if generator.integers(2) else "B"
            balanced: list[Side] = [first if place % 2 == 0 else _other(first) for place in range(len(images))]
            sides += [balanced[place] for place in generator.permutation(len(images))]
        names = _opaque_names([f"{salt} {number} {image} {method}" for image, method in pairs])
        items: list[KeyItem] = [
            {
                "position": position,
                "video": names[place],
                "image": pairs[place][0],
                "method": pairs[place][1],
                "generated": sides[place],
            }
            for position, place in enumerate(generator.permutation(len(pairs)).tolist(), 1)
        ]
        drawn.append({"name": f"rater-{number}", "items": items})
    return drawn


def new_salt() -> str:
    """A random salt, different in each call."""
    return secrets.token_hex(16)


def read_key(path: Path) -> AssessmentKey:
    """Read a key.

    Raises:
        DataError: The file is missing, changed, or not a key.
    """
    try:
        key = unseal(path.read_bytes())
    except OSError as error:
        raise DataError(f"key={path}: can't be read ({error.strerror or error}); give {FILE_NAME}") from None
    except ValueError as error:
        raise DataError(
            f"key={path}: {error}: it was changed or damaged since f2vbench assess prepare wrote it; use the original"
        ) from None
    if not isinstance(key, dict) or key.get("kind") != KIND:
        raise DataError(f"key={path}: is not the key of an assessment; give the {FILE_NAME} of f2vbench assess prepare")
    if key["version"] > VERSION:
        raise DataError(
            f"key={path}: has version {key['version']}, this f2vbench reads up to {VERSION}; update f2vbench"
        )
    return cast(AssessmentKey, key)


def _other(side: Side) -> Side:
    return "B" if side == "A" else "A"


def _opaque_names(texts: Sequence[str]) -> list[str]:
    """A name for each text that does not reveal it; all are different."""
    digits = _VIDEO_DIGITS
    while True:
        names = [f"v{hashlib.sha256(text.encode()).hexdigest()[:digits]}" for text in texts]
        if len(set(names)) == len(names):
            return names
        digits += 1
