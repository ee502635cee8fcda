"""Patients whose names differ only in spelling: ``P04`` and ``p04``, ``7`` and ``07``, ``12_OD`` and ``12_OS``."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping

from pandas import DataFrame

from f2vbench.data.patient_names import patient_and_eye
from f2vbench.data.task_cards import NORMALISE
from f2vbench.utils.text import plural

_EXAMPLES = 3


def normalised_name(name: str) -> str:
    """The name of a patient in lower case, without leading zeros and punctuation.

    Between two numbers one hyphen stays, so that ``1-11`` and ``11-1`` remain two patients. A name without letters and
    digits only becomes lower case.

    >>> normalised_name("P-007"), normalised_name("Centre 02/0013"), normalised_name("1.11")
    ('p7', 'centre2-13', '1-11')
    """
    folded = unicodedata.normalize("NFKC", name).casefold()
    parts = re.findall(r"\d+|[^\W\d_]+", folded)
    text = ""
    for part in parts:
        is_number = part[0].isdecimal()
        text += "-" if is_number and text[-1:].isdecimal() else ""
        text += (part.lstrip("0") or "0") if is_number else part
    return text or folded


def normalised_patients(rows: Iterable[tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Normalised names of patients, without a suffix that names the eye (see `patient_names.patient_and_eye`).

    A suffix stays if an image of the patient is known to show the other eye: then it is no eye.

    Args:
        rows: Patient and eye ("left", "right" or "") of each image.

    Returns:
        By name: the normalised name, and the eye that the name contains ("" if none).
    """
    eyes: dict[str, set[str]] = defaultdict(set)
    for patient, eye in rows:
        eyes[patient].add(eye)
    found = {}
    for patient, known in eyes.items():
        person, eye = patient_and_eye(patient) or (patient, "")
        if known - {eye, ""}:
            person, eye = patient, ""
        found[patient] = (normalised_name(person), eye)
    return found


def spelling_sentence(persons: Mapping[str, str], *, merged: bool, remedy: str) -> str:
    """A sentence on patients whose names differ only in spelling, "" if there are none.

    Args:
        persons: Normalised names by name, see `normalised_patients`.
        merged: Whether they are merged; else they could be.
        remedy: The setting that merges them.
    """
    spellings: dict[str, list[str]] = defaultdict(list)
    for name in sorted(persons):
        spellings[persons[name]].append(name)
    several = [names for names in spellings.values() if len(names) > 1]
    if not several:
        return ""
    groups = [" and ".join(names[:_EXAMPLES]) + " …" * (len(names) > _EXAMPLES) for names in several[:_EXAMPLES]]
    more = f"; and {len(several) - _EXAMPLES:,} more groups" if len(several) > _EXAMPLES else ""
    names = (
        f"{plural(sum(map(len, several)), 'name')} of patients differ only in case, leading zeros, punctuation or an "
        f"eye suffix ({'; '.join(groups)}{more})"
    )
    if merged:
        return f"{names} and are merged: {plural(len(persons), 'patient')} as written, {len(spellings):,} normalised"
    return (
        f"{names}: each counts as a patient of its own, {len(persons):,} in all; if they are the same persons, "
        f"{remedy} merges them, and {plural(len(spellings), 'patient')} remain"
    )


def with_patient_spelling(index: DataFrame, normalise: bool) -> tuple[DataFrame, list[str]]:
    """Merge patients whose names differ only in spelling, or only find them.

    Args:
        index: One row per image, with the columns ``patient`` and ``eye``.
        normalise: Whether to replace the names by the normalised ones. The eye in a name becomes the eye of images
            without one.

    Returns:
        The index, and a sentence on the patients that are, or could be, merged; no sentence if there are none.
    """
    found = normalised_patients(zip(index["patient"], index["eye"], strict=True))
    persons = {name: person for name, (person, _) in found.items()}
    sentence = spelling_sentence(persons, merged=normalise, remedy=f"`patients: {NORMALISE}` in the task card")
    sentences = [sentence] if sentence else []
    if not normalise:
        return index, sentences
    named_eyes = index["patient"].map({name: eye for name, (_, eye) in found.items()})
    eyes = index["eye"].where(index["eye"] != "", named_eyes)
    return index.assign(patient=index["patient"].map(persons), eye=eyes), sentences
