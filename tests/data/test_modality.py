"""OCT and ultra-widefield images: no search for a round field, from the card to the encoder."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from f2vbench.data.field_of_view import REGION, WHOLE, field_name, field_of_kind, field_of_view
from f2vbench.data.photographs import entry_name, open_photograph
from f2vbench.data.survey import survey
from f2vbench.data.task_cards import TaskCard, card_hash, load_card
from f2vbench.data.task_data import open_task
from f2vbench.encoders.baselines.image_vectors import colour_and_texture
from f2vbench.runner.extraction import encode_squares
from f2vbench.utils.progress import Silent
from tests.helpers.small_eyes import save
from tests.helpers.small_sets import write_table


def scan(seed: int) -> np.ndarray:
    """A B-scan: a bright band on a dark ground, which does not reach the sides."""
    draw = np.random.default_rng(seed)
    pixels = draw.integers(5, 25, (64, 96, 3))
    pixels[24 + seed % 3 : 40, 20:76] += 150
    return pixels.astype(np.uint8)


def oval(height: int = 90, width: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """An ultra-widefield image: an oval field that the lower lid cuts off, on black, with its true field."""
    y, x = np.mgrid[:height, :width]
    field = ((y - 45) / 40) ** 2 + ((x - 60) / 57) ** 2 < 1
    field &= y < 70
    noise = np.random.default_rng(0).integers(0, 30, (height, width, 3))
    return ((np.array([60, 110, 40]) + noise) * field[..., None]).astype(np.uint8), field


@pytest.fixture
def octid(tmp_path):
    names = ("NORMAL", "AMRD", "CSR", "DR", "MH")
    for number in range(10):
        save(tmp_path / names[number % 5] / f"{number}.jpeg", scan(number))
    return tmp_path


def test_the_whole_scan_is_the_field(octid):
    task = open_task("octid", octid, Silent())
    assert sorted(set(task.index["label"])) == ["amd", "csr", "dr", "mh", "normal"]
    assert set(task.index["modality"]) == {"OCT"}
    row = task.index.iloc[0]
    opened = open_photograph(row)
    assert opened.fov.all()
    assert not field_of_view(opened.rgb).all(), "a search would take the band for the field"
    assert not opened.has_round_field
    assert opened.square(0).shape == (96, 96, 3)
    as_colour = row.copy()
    as_colour["field"] = ""
    assert entry_name(row, 0) == opened.entry(0) != open_photograph(as_colour).entry(0)
    details = " ".join(finding.detail for finding in survey(task.card, octid, alike=1).findings)
    assert "field of view" not in details


def test_an_ultra_widefield_image_has_a_field_of_its_own_shape():
    image, true = oval()
    found = field_of_kind(image, REGION)
    dice = 2 * (found & true).sum() / (found.sum() + true.sum())
    assert dice > 0.97
    assert field_of_kind(np.full((40, 60, 3), 90, np.uint8), REGION).all()
    assert np.array_equal(field_of_kind(image, ""), field_of_view(image))
    assert [field_name(kind) for kind in ("", WHOLE, REGION)] == ["computed-2", "whole", "region-2"]


def test_deepdrids_ultra_widefield_part(tmp_path):
    for part, patients in (("training", (1, 2)), ("validation", (3,))):
        rows = [["patient_id", "image_id", "image_path", "DR_level"]]
        for patient in patients:
            for eye in "lr":
                name = f"{patient}_{eye}1"
                save(tmp_path / f"ultra-widefield-{part}" / "Images" / str(patient) / f"{name}.jpg", oval()[0])
                rows.append([str(patient), name, f"\\{patient}\\{name}.jpg", str(patient - 1)])
        write_table(tmp_path / f"ultra-widefield-{part}" / f"ultra-widefield-{part}.csv", rows)
    found = survey(load_card("deepdrid-uwf"), tmp_path, alike=1)
    assert found.index["split"].value_counts().to_dict() == {"train": 4, "test": 2}
    assert found.index["patient"].nunique() == 3
    assert set(found.index["modality"]) == {"UWF"}


def test_encoders_do_not_crop_images_without_a_round_field():
    class Recorder:
        def __init__(self):
            self.calls = []

        def embed(self, images, **options):
            self.calls.append(options)
            return np.zeros((len(images), 2), np.float32)

    recorder, square = Recorder(), scan(0)[:64, :64]
    for crops in (None, [True], [False]):
        encode_squares(recorder, "embedding", [square], torch.device("cpu"), "float32", crops=crops)
    assert recorder.calls == [{}, {}, {"crops": [False]}]
    whole = colour_and_texture(scan(0), has_field=False)
    assert np.isfinite(whole).all()
    assert not np.allclose(whole, colour_and_texture(scan(0)))


def test_the_modality_of_a_card_is_part_of_its_hash_and_fits_its_family():
    card = load_card("octid")
    assert card_hash(card) != card_hash(card.model_copy(update={"modality": "colour"}))
    values = card.model_dump()
    for changes, message in (
        ({"modality": "opt"}, "'colour', 'oct' or 'ultra-widefield'"),
        ({"family": "segmentation", "classes": [], "label_kind": None}, "modality: oct is for classification"),
        ({"phantom": {"patients": 2, "seed": 0, "parts": ["dr"]}}, "simulated photographs are colour"),
    ):
        with pytest.raises(ValueError, match=message):
            TaskCard.model_validate(values | changes)
