"""The columns of a user's table: which is the image, the label, the patient and so on."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from f2vbench.data.label_classes import Spellings
from f2vbench.data.layouts.table_options import MULTI_LABEL, CardLabels
from f2vbench.errors import DataError, did_you_mean
from f2vbench.utils.text import shortened

_LABELS = ("label", "value", "time", "event")
GROUPS = ("age", "sex", "site", "camera")
"""Columns that are kept under these names, whatever their heading is."""

USUAL_NAMES: dict[str, tuple[str, ...]] = {
    "image": (
        "image", "image_id", "image_name", "image_file", "image_path", "img", "img_id", "img_name", "img_path",
        "filename", "file_name", "file", "path", "id_code", "photograph", "photo", "fundus", "id", "name",
    ),
    "patient": (
        "patient", "patient_id", "patientid", "patient_no", "subject", "subject_id", "participant", "participant_id",
        "person", "person_id", "pid", "eid", "mrn", "case_id",
    ),
    "eye": ("eye", "laterality", "side", "eye_side", "exam_eye"),
    "split": ("split", "set", "subset", "partition", "data_split"),
    "age": ("age", "patient_age", "age_years", "age_at_exam", "age_at_examination"),
    "sex": ("sex", "gender", "patient_sex", "patient_gender"),
    "site": ("site", "center", "centre", "hospital", "clinic", "institution"),
    "camera": ("camera", "device", "camera_model", "camera_type"),
    "label": (
        "label", "labels", "class", "level", "diagnosis", "grade", "dr_grade", "dr_level", "retinopathy_grade",
        "adjudicated_dr_grade", "target", "category", "disease", "diseases", "outcome",
    ),
    "value": ("value", "target", "label", "measurement"),
    "time": ("time", "time_to_event", "follow_up", "followup", "follow_up_time", "survival_time", "duration"),
    "event": ("event", "event_observed", "observed", "status"),
}  # fmt: skip
"""Headings that are recognised, by role, the first that exists is used; case and punctuation do not count."""


@dataclass(frozen=True)
class TableColumns:
    """The columns of a table by their headings.

    Attributes:
        image: Column with the names of the images.
        labels: The label column, or several with 0 and 1; of numbers, the columns of `CardLabels.fields`.
        roles: Other columns by role: patient, eye, split and `GROUPS`.
        further: Columns that are kept under their own headings.
        note: The choice, for the user.
    """

    image: str
    labels: tuple[str, ...]
    roles: Mapping[str, str]
    further: tuple[str, ...]
    note: str


def choose_columns(headings: Iterable[str], source: str, named: Mapping[str, Any], card: CardLabels) -> TableColumns:
    """Choose the columns: those that the card names, else those with a usual heading.

    Args:
        headings: The headings, in lower case.
        source: The table, for messages.
        named: Headings by role; None for a role without a column. ``label`` may be a list.
        card: The labels of the task; of a multi-label task, headings that are classes are label columns.

    Raises:
        DataError: A named column does not exist, or there is no column for images or labels.
    """
    columns = list(headings)
    own = {role: [name] if isinstance(name, str) else list(name or []) for role, name in named.items()}
    problems = [
        f"{source}: column '{name}' ({role} in the options of the card) not found"
        f"{did_you_mean(name.lower(), columns)}; columns are {', '.join(columns)}"
        for role, names in own.items()
        for name in names
        if name.lower() not in columns
    ]
    if problems:
        raise DataError(problems)
    chosen = {role: [name.lower() for name in names] for role, names in own.items()}
    taken = {name for names in chosen.values() for name in names}
    if "label" not in chosen and card.kind == MULTI_LABEL:
        spellings = Spellings(card.classes)
        chosen["label"] = [name for name in columns if name not in taken and spellings.find(name) is not None]
        taken |= set(chosen["label"])
    others: list[str] = []
    for role, usual in USUAL_NAMES.items():
        if role in _LABELS and role not in card.fields:
            continue
        if role in chosen and (role in named or chosen[role]):
            continue
        candidates = [name for wanted in usual for name in columns if _plain(name) == wanted and name not in taken]
        chosen[role] = candidates[:1]
        taken |= set(candidates[:1])
        others += candidates[1:] if role in _LABELS else []
    for role in ("image", *card.fields):
        if not chosen[role]:
            problems.append(
                f"{source}: no column recognised as {role}; columns are {', '.join(columns)}: name it in the task "
                f"card, as in `options: {{{role}: {columns[0] if columns else role}}}`"
            )
    if problems:
        raise DataError(problems)
    roles = {role: names[0] for role, names in chosen.items() if names and role not in ("image", *_LABELS)}
    labels = tuple(name for field in card.fields for name in chosen[field])
    further = tuple(name for name in columns if name not in taken)
    note = _describe(chosen, further, others)
    return TableColumns(chosen["image"][0], labels, roles, further, note)


def _plain(heading: str) -> str:
    """A heading with single underscores for everything but letters and digits."""
    return re.sub(r"[^a-z0-9]+", "_", heading.lower()).strip("_")


def _describe(chosen: Mapping[str, list[str]], further: tuple[str, ...], others: list[str]) -> str:
    """One sentence on the choice of the columns."""
    order = ("image", *_LABELS, "patient", "eye", "split", *GROUPS)
    used = "; ".join(f"{role}: {shortened(chosen[role])}" for role in order if chosen.get(role))
    kept = f"; kept for subgroups: {shortened(list(further))}" if further else ""
    doubt = f"; not used as label: {shortened(others)}" if others else ""
    return f"columns {used}{kept}{doubt}; others are named by `options` in the task card"
