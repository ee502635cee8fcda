"""Contact sheet: one row per eye with photograph, ground truth and all modalities."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from f2vbench.errors import SettingsError
from f2vbench.phantom.cohort import Cohort, CohortEye
from f2vbench.phantom.imaging.ground_truth import GroundTruth
from f2vbench.utils.files import write_atomically
from f2vbench.utils.png import encode_png

_MARGIN, _CAPTION = 6, 20  # px
_TITLES = ("photograph", "truth", "angiogram: arterial, venous, late", "ICG", "red-free", "autofluorescence")
_WIDTHS = (3, 3, 4, 3, 3, 3)  # in thirds of a tile; the angiogram is three rows of four small frames
_ARTERY, _VEIN, _OUTLINE = (230, 60, 50), (80, 120, 255), (240, 240, 240)
_LESIONS = {
    "microaneurysm": (255, 160, 0),
    "haemorrhage": (200, 0, 60),
    "preretinal_haemorrhage": (140, 0, 40),
    "hard_exudate": (255, 255, 0),
    "cotton_wool_spot": (255, 220, 200),
    "neovascularisation": (255, 0, 255),
    "intraretinal_microvascular_abnormality": (255, 100, 200),
    "oedema": (0, 90, 90),
    "non_perfusion": (60, 60, 60),
    "laser_scar": (150, 120, 90),
    "drusen": (200, 230, 120),
    "atrophy": (230, 200, 150),
    "nerve_fibre_defect": (0, 110, 50),
    "crescent": (240, 190, 120),
}


def contact_sheet(cohort: Cohort, eyes: int = 6, tile: int = 300) -> np.ndarray:
    """Draw a contact sheet with eyes of different patients and as many different diseases as possible.

    Args:
        cohort: The cohort.
        eyes: Number of rows, at most one per patient.
        tile: Edge length of a photograph on the sheet, px; all images are simulated at this size.

    Returns:
        uint8 (height, width, 3), RGB.

    Raises:
        SettingsError: ``eyes`` is less than 1.
    """
    if eyes < 1:
        raise SettingsError(f"eyes={eyes}: must be at least 1")
    rows = [_row(cohort[index], tile) for index in _chosen(cohort, eyes)]
    return np.concatenate([_titles(tile), *rows], axis=0)


def write_sheet(file: Path, cohort: Cohort, eyes: int = 6) -> None:
    """Write the contact sheet of a cohort as a PNG file; see `contact_sheet`.

    Raises:
        StoreError: The file is not writable.
    """
    write_atomically(file, encode_png(contact_sheet(cohort, eyes), software="f2vbench"))


def _chosen(cohort: Cohort, eyes: int) -> list[int]:
    """Indices of affected eyes, one per patient, rare diseases first; considers the first 16 patients per row."""
    order: list[tuple[int, int]] = []
    counts: dict[str, int] = {}
    for number in range(min(cohort.patients, 16 * eyes)):
        patient = cohort.patient(number)
        side = number % 2 if len(set(patient.diseases)) == 1 else int(patient.severities[1] > 0)
        times = counts[patient.diseases[side]] = counts.get(patient.diseases[side], 0) + 1
        order.append((times, 2 * number + side))
    return sorted(index for _, index in sorted(order)[:eyes])


def _row(eye: CohortEye, tile: int) -> np.ndarray:
    photograph = eye.photograph(size=tile)
    small = tile // 3 - 2
    angiogram = eye.angiogram(size=tile)
    frames = [cv2.resize(frame, (small, small), interpolation=cv2.INTER_AREA) for frame in angiogram.frames]
    strip = np.zeros((tile, tile * 4 // 3), np.uint8)
    for number, frame in enumerate(frames):
        top, left = number // 4 * (tile // 3), number % 4 * (tile // 3)
        strip[top : top + small, left : left + small] = frame
    images = [photograph.image, _draw_truth(photograph.truth), strip]
    images += [eye.icg(size=tile), eye.red_free(size=tile), eye.autofluorescence(size=tile)]
    row = np.zeros((tile + _CAPTION + _MARGIN, _left(len(images), tile), 3), np.uint8)
    for number, image in enumerate(images):
        left = _left(number, tile)
        row[_CAPTION : _CAPTION + tile, left : left + image.shape[1]] = image if image.ndim == 3 else image[..., None]
    _write(row, _caption(eye), _MARGIN)
    return row


def _draw_truth(truth: GroundTruth) -> np.ndarray:
    image = np.zeros((*truth.vessels.shape, 3), np.uint8)
    for kind in sorted(truth.lesions, key=lambda kind: -int(truth.lesions[kind].sum())):  # small ones on top
        image[truth.lesions[kind]] = _LESIONS[kind]
    image[truth.veins], image[truth.arteries] = _VEIN, _ARTERY
    for mask in (truth.disc, truth.cup):
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(image, contours, -1, _OUTLINE, 1)
    rim, _ = cv2.findContours(truth.field_of_view.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(image, rim, -1, (90, 90, 90), 1)
    return image


def _caption(eye: CohortEye) -> str:
    labels = eye.labels
    grade = {
        "diabetic_retinopathy": f", grade {labels.dr_grade}",
        "glaucoma": f", stage {labels.glaucoma_stage}",
    }.get(labels.disease, "")
    have = "".join(f", {name}" for name, has in labels.outcomes.items() if has)
    disease = labels.disease.replace("_", " ")
    return f"{eye.patient} {eye.side}: {disease}{grade}; {labels.sex}, {labels.age:.0f} years{have}"


def _titles(tile: int) -> np.ndarray:
    line = np.zeros((_CAPTION, _left(len(_TITLES), tile), 3), np.uint8)
    for number, title in enumerate(_TITLES):
        _write(line, title, _left(number, tile))
    return line


def _left(number: int, tile: int) -> int:
    """Left edge of an image in its row, px."""
    return _MARGIN + sum(tile * thirds // 3 + _MARGIN for thirds in _WIDTHS[:number])


def _write(image: np.ndarray, text: str, left: int) -> None:
    cv2.putText(image, text, (left, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (220, 220, 220), 1, cv2.LINE_AA)
