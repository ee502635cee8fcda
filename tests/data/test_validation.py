"""An unusable data set is refused, with all problems in one error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from f2vbench.data.file_facts import add_file_facts
from f2vbench.data.index import build_index
from f2vbench.data.task_cards import TaskCard, load_card
from f2vbench.data.validation import check
from f2vbench.errors import DataError
from tests.helpers.small_eyes import HEIGHT, WIDTH, field_of_view, label, photograph, save, write_folder, write_rite


def refusal(folder: Path, **changes) -> list[str]:
    """Problems of a folder; empty if it passes."""
    card: TaskCard = load_card("folder").model_copy(update=changes)
    try:
        check(add_file_facts(build_index(card, folder)), card)
    except DataError as error:
        return error.problems
    return []


@pytest.fixture
def folder(tmp_path) -> Path:
    write_folder(tmp_path)
    return tmp_path


def test_a_sound_folder_passes(folder):
    assert refusal(folder) == []


@pytest.mark.parametrize("name", ["rite", "chase_db1", "hrf", "les_av"])
def test_the_shared_photographs_pass(photographs, name):
    card = load_card(name)
    check(add_file_facts(build_index(card, photographs / name)), card)


def test_all_problems_are_listed(folder):
    (folder / "images" / "a.png").write_bytes((folder / "images" / "a.png").read_bytes()[:200])
    save(folder / "masks" / "b.png", label(1)[:-1])
    save(folder / "masks" / "c.png", label(2) & False)
    (folder / "masks" / "d.png").unlink()
    save(folder / "images" / "e.png", photograph(2))
    save(folder / "masks" / "e.png", label(4))
    problems = refusal(folder)
    assert len(problems) == 5
    for parts in (
        ("a.png", "unreadable"),
        ("masks/b.png", f"{HEIGHT - 1} × {WIDTH}", f"b.png has {HEIGHT} × {WIDTH}"),
        ("masks/c.png", "no vessel pixel"),
        ("images/d.png", "without a label", "unlabelled: leave-out"),
        ("images/c.png", "images/e.png", "same picture"),
    ):
        assert any(all(part in problem for part in parts) for problem in problems), parts


def test_all_unreadable_files_are_listed(folder):
    for name in ("a", "c", "d"):
        (folder / "images" / f"{name}.png").write_text("gone")
    (folder / "masks" / "b.png").write_text("gone")
    problems = refusal(folder)
    assert len(problems) == 4
    assert all("unreadable" in problem for problem in problems)


def test_a_mask_outside_the_field_of_view_counts_as_empty(folder):
    corner = np.zeros((HEIGHT, WIDTH), bool)
    corner[:3, :3] = True
    save(folder / "masks" / "a.png", corner)
    assert ["no vessel pixel" in problem for problem in refusal(folder)] == [True]
    save(folder / "fov" / "a.png", np.ones((HEIGHT, WIDTH), bool))
    assert refusal(folder) == []


def test_implausible_masks_are_refused(folder):
    save(folder / "masks" / "a.png", ~label(0))
    save(folder / "fov" / "b.png", np.zeros((HEIGHT, WIDTH), bool))
    save(folder / "fov" / "c.png", field_of_view()[:, :-2])
    first, second, third = refusal(folder)
    assert "inverted" in first
    assert "fov/b.png" in second
    assert "no pixel set" in second
    assert "fov/c.png" in third


def test_unlabelled_images_can_be_left_out(folder):
    (folder / "masks" / "b.png").unlink()
    assert "images/b.png" in refusal(folder)[0]
    assert refusal(folder, unlabelled="leave-out") == []


def test_one_picture_may_occur_twice_for_the_same_patient(folder):
    save(folder / "images" / "e.bmp", photograph(0))
    save(folder / "masks" / "e.png", label(0))
    assert "same picture" in refusal(folder)[0]
    (folder / "patients.csv").write_text("image,patient\na,1\nb,2\nc,3\nd,4\ne,1\n")
    assert refusal(folder) == []


def test_pictures_and_patients_in_two_official_splits_are_refused(tmp_path):
    write_folder(tmp_path / "train", ("a", "b"))
    write_folder(tmp_path / "test", ("c", "d"), first_seed=1)
    for split, rows in (("train", "a,P1\nb,P2"), ("test", "c,P2\nd,P3")):
        (tmp_path / split / "patients.csv").write_text(f"image,patient\n{rows}\n")
    assert refusal(tmp_path, split="random") == []
    problems = refusal(tmp_path, split="official")
    assert len(problems) == 2
    assert "in different splits" in problems[0]
    assert "patient P2" in problems[1]
    assert "test_c (test), train_b (train)" in problems[1]


def test_an_incomplete_data_set_has_a_note_and_passes(tmp_path):
    write_rite(tmp_path, splits=("training",))
    card = load_card("rite")
    table = add_file_facts(build_index(card, tmp_path))
    check(table, card)
    assert "20 labelled images found; the complete data set has 40" in table.attrs["notes"]
