"""Layouts of retrieval data on small generated folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from f2vbench.data.file_facts import add_file_facts
from f2vbench.data.images import content_hash, read_part
from f2vbench.data.layouts import LAYOUTS
from f2vbench.data.layouts.angio_report import draw_patients, patient_and_eye
from f2vbench.data.layouts.image_bank import contains_term, short_modality
from f2vbench.data.photographs import open_photograph
from f2vbench.data.task_cards import load_card
from f2vbench.data.task_data import open_task
from f2vbench.errors import DataError, SettingsError


def write(path: Path, height: int, width: int, seed: int = 0) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def test_angioreport_frames_are_split_and_their_text_is_cropped(tmp_path):
    write(tmp_path / "12_R" / "frame 3.png", 150, 200, 1)
    write(tmp_path / "12_L" / "x.png", 150, 300, 2)
    write(tmp_path / "7_OD_01.png", 150, 320, 3)
    write(tmp_path / "8_OS.png", 150, 150, 4)
    index = LAYOUTS["angio_report"](tmp_path, {"subset": "all"})
    assert sorted(zip(index.patient, index.eye, index.modality, strict=True)) == [
        ("12", "left", "FFA"), ("12", "left", "ICG"), ("7", "right", "FFA"), ("7", "right", "ICG"),
    ]  # fmt: skip
    assert "2 frames with one modality" in index.attrs["notes"][0]  # 150 × 200 shows one
    (tmp_path / "angioreport.csv").write_text(
        "image,patient,eye,modality\n12_R/frame 3.png,p,right,icg\n7_OD_01.png,q,,\n"
    )
    index = LAYOUTS["angio_report"](tmp_path, {}).sort_values("image")
    assert list(zip(index.patient, index.modality, index.part, strict=True)) == [
        ("p", "ICG", ""), ("q", "FFA", "left-50"), ("q", "ICG", "right-50"),
    ]  # fmt: skip
    described = add_file_facts(index)
    halves = read_part(tmp_path / "7_OD_01.png", "right-50")
    row = described[described.part == "right-50"].iloc[0]
    assert (row.height, row.width, row.problem) == (100, 160, "")
    assert row.sha256 == content_hash(halves)
    again = add_file_facts(index)  # cached facts distinguish the parts
    assert again.sha256.tolist() == described.sha256.tolist()
    assert len(set(again.sha256)) == 3
    np.testing.assert_array_equal(open_photograph(row).rgb, halves)


def test_angioreport_names_without_a_patient_are_refused(tmp_path):
    write(tmp_path / "scan.png", 100, 220)
    with pytest.raises(DataError, match=r"no patient in the names of.*angioreport.csv"):
        LAYOUTS["angio_report"](tmp_path, {})


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("12_R/a.jpg", ("12", "right")), ("12-OS_003.jpg", ("12", "left")), ("P003/x.jpg", ("P003", "")),
        ("all/0042L.jpg", ("0042", "left")),
        ("12.left/a.jpg", ("12", "left")), ("7_right_01/a.jpg", ("7", "right")), ("all/scan.jpg", ("", "")),
    ],
)  # fmt: skip
def test_patient_and_eye_in_angioreport_names(path, expected):
    assert patient_and_eye(Path(path)) == expected


def test_the_drawn_subset_has_whole_patients_and_depends_on_names_only():
    patients = [f"p{n % 60}" for n in range(900)] + ["large"] * 500
    chosen = draw_patients(patients, 387)
    assert sum(patient in chosen for patient in patients) == 375  # 25 patients of 15; a 26th would not fit
    assert "large" not in chosen
    assert draw_patients(patients[::-1], 387) == chosen
    assert chosen != {f"p{n}" for n in range(25)}


def bank(folder: Path) -> Path:
    lines = ["image,case,modality,diagnosis,year,patient"]
    cases = [
        ("1", "Color Fundus Photograph", "Stargardt Disease", "2020", ""),
        ("1", "Fluorescein Angiography", "stargardt disease (early)", "2023", ""),
        ("2", "OCT", "Retinoblastoma", "2018", "x"),
        ("3", "Fundus Autofluorescence", "Diabetic retinopathy", "2021", ""),
        ("4", "Ultrasound B-scan", "Choroidal Osteoma", "2019", "x"),
    ]
    for number, row in enumerate(cases):
        write(folder / f"{number}.png", 64, 64, number)
        lines.append(",".join([f"{number}.png", *row]))
    (folder / "export.csv").write_text("\n".join(lines))
    return folder


def test_the_image_bank_is_filtered_by_year_and_rare_disease(tmp_path):
    card = load_card("image-bank")
    index = LAYOUTS[card.layout](bank(tmp_path), card.options)
    assert sorted(zip(index.image, index.patient, index.modality, strict=True)) == [
        ("0", "1", "CF"), ("1", "1", "FFA"), ("4", "x", "Ultrasound_B-scan"),
    ]  # fmt: skip
    assert index.attrs["notes"] == ["1 image of other years left out", "1 image of other diagnoses left out"]
    assert len(LAYOUTS[card.layout](tmp_path, {})) == 5
    (tmp_path / "export.csv").write_text(
        "image,case,modality,diagnosis,year\n0.png,1,CF,best disease,soon\n9.png,,CF,x,2020\n"
    )
    with pytest.raises(DataError, match=r"year 'soon' must have four digits"):
        LAYOUTS[card.layout](tmp_path, card.options)
    with pytest.raises(DataError, match=r"no case.*\n.*file '9.png' not found"):
        LAYOUTS[card.layout](tmp_path, {})
    with pytest.raises(SettingsError, match=r"options\.years"):
        LAYOUTS[card.layout](tmp_path, {"years": "2019"})


def test_diagnosis_terms_and_modalities_match_whole_words():
    assert contains_term("Coats Disease, left", ["coats disease"])
    assert not contains_term("Bestrophin", ["best"])
    assert (short_modality("Spectral domain OCT"), short_modality("Indocyanine green")) == ("OCT", "ICG")
    assert short_modality("Doctor's sketch") == "Doctor_s_sketch"


def test_pairs_of_eyes_are_read_and_left_eyes_mirrored(tmp_path):
    for number, name in enumerate(("1_left", "1_right", "2_left")):
        write(tmp_path / "preprocessed_images" / f"{name}.jpg", 64, 64, number)
    (tmp_path / "full_df.csv").write_text(
        "ID,Left-Fundus,Right-Fundus\n1,1_left.jpg,1_right.jpg\n1,1_left.jpg,1_right.jpg\n2,2_left.jpg,2_right.jpg\n"
    )
    index = LAYOUTS["odir_eyes"](tmp_path, {"mirror": "left"}).sort_values("image")
    assert list(zip(index.patient, index.eye, index.part, strict=True)) == [
        ("1", "left", "mirrored"),
        ("1", "right", ""),
    ]
    assert index.attrs["notes"] == ["1 patient without photographs of both eyes left out"]
    assert set(LAYOUTS["odir_eyes"](tmp_path, {}).part) == {""}
    (tmp_path / "full_df.csv").write_text("ID,Left-Fundus\n1,1_left.jpg\n")
    with pytest.raises(DataError, match="column right-fundus not found"):
        LAYOUTS["odir_eyes"](tmp_path, {})


def test_the_real_pairs_of_eyes(photographs):
    index = LAYOUTS["odir_eyes"](photographs / "odir", {"mirror": "left"})
    assert len(index) == 2 * index.patient.nunique() == 1210
    assert index.groupby("patient").eye.agg(set).map(len).eq(2).all()


def test_cards_of_retrieval_can_be_read(tmp_path):
    for name in ("odir-eyes", "angioreport", "image-bank"):
        assert load_card(name).family == "retrieval"
    with pytest.raises(DataError, match="data set not found"):
        open_task("angioreport")
