"""Patients whose names differ only in spelling give one warning, and are merged on request only."""

from __future__ import annotations

import doctest

import pandas as pd
import pytest

from f2vbench.data import patient_names, patient_spelling
from f2vbench.data.index import build_index
from f2vbench.data.patient_spelling import normalised_name, normalised_patients, spelling_sentence
from f2vbench.data.survey import survey
from f2vbench.data.task_cards import card_hash, load_card
from f2vbench.data.task_data import open_task
from f2vbench.errors import SettingsError
from f2vbench.training.data.dataset import open_dataset
from f2vbench.training.data.options import ImageOptions, SplitShares
from f2vbench.utils.progress import Silent
from tests.helpers.case_files import write_case_folder
from tests.helpers.small_eyes import photograph, save
from tests.helpers.small_sets import write_table


@pytest.mark.parametrize(
    "names",
    [
        ("p04", "P04", "p4", "P-04", "p_004", "p.04"),
        ("7", "07", "007", "7."),
        ("Smith-Jones", "smith jones", "SMITHJONES"),
        ("12", "12_OD", "12_os", "12-L", "12 R", "12.left", "012_RIGHT", "12R", "12od"),
        ("P7", "p7_L", "p-07 right"),
        ("Müller 3", "müller3", "Mu\u0308ller_03"),
    ],
)
def test_spellings_of_one_person_have_one_name(names):
    assert len({person for person, _ in normalised_patients((name, "") for name in names).values()}) == 1


@pytest.mark.parametrize(
    "names",
    [
        ("1-11", "11-1", "111"),
        ("1.2", "12", "21"),
        ("p1", "p10", "p100"),
        ("a1", "b1", "1"),
        ("0", "1", "00A"),
        ("girl", "gi"),
        ("-", "--"),
        ("left", "right"),
        ("001_h", "001_dr", "001_g"),
    ],
)
def test_different_patients_keep_different_names(names):
    assert len({person for person, _ in normalised_patients((name, "") for name in names).values()}) == len(names)


def test_a_suffix_that_contradicts_the_eye_is_no_eye():
    assert normalised_patients([("12_L", "left"), ("12_R", "")]) == {"12_L": ("12", "left"), "12_R": ("12", "right")}
    assert normalised_patients([("12_L", "left"), ("12_L", "right")]) == {"12_L": ("12l", "")}


def test_the_sentence_counts_groups_and_what_would_remain():
    persons = {name: normalised_name(name) for name in ("p04", "P04", "7", "07", "x")}
    assert spelling_sentence(persons, merged=False, remedy="this") == (
        "4 names of patients differ only in case, leading zeros, punctuation or an eye suffix (07 and 7; P04 and p04): "
        "each counts as a patient of its own, 5 in all; if they are the same persons, this merges them, and 3 patients "
        "remain"
    )
    assert spelling_sentence({"a": "a", "b": "b"}, merged=False, remedy="this") == ""


@pytest.fixture
def systemic(tmp_path):
    """Twelve photographs of six patients, each under two spellings."""
    names = [name for number in range(1, 7) for name in (f"p{number}_OD", f"P{number:02}-os")]
    rows = [["image", "patient", "stroke"]]
    for position, name in enumerate(names):
        save(tmp_path / "set" / f"i{position}.png", photograph(position))
        rows.append([f"i{position}.png", name, str(position // 2 % 2)])
    write_table(tmp_path / "set" / "systemic.csv", rows)
    return tmp_path / "set"


def write_card(folder, patients):
    text = (
        "name: mine\ntitle: Mine\nfamily: classification\nlayout: outcome_table\nlabel_kind: binary\n"
        'classes:\n- {name: none, read: ["0"], meaning: none}\n- {name: stroke, read: ["1"], meaning: stroke}\n'
        f"patients: {patients}\nlabels: x\nsource: x\nterms: x\ncitation: x\nobtain: x\n"
    )
    (folder / "tasks").mkdir(exist_ok=True)
    (folder / "tasks" / "mine.yaml").write_text(text)


def test_one_warning_and_no_merging_without_the_setting(systemic, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_card(tmp_path, "each name is a person")
    found = survey(load_card("mine"), systemic)
    warnings = [finding.detail for finding in found.findings if "eye suffix" in finding.detail]
    assert len(warnings) == 1
    assert warnings[0].startswith("12 names of patients differ only in case")
    assert warnings[0].endswith("`patients: normalise` in the task card merges them, and 6 patients remain")
    assert [finding.severity for finding in found.findings if finding.detail == warnings[0]] == ["warning"]
    task = open_task("mine", systemic, Silent())
    assert task.index["patient"].nunique() == 12
    assert warnings[0] in task.notes


def test_normalise_merges_patients_and_changes_the_identity(systemic, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_card(tmp_path, "each name is a person")
    written, plain = open_task("mine", systemic, Silent()), card_hash(load_card("mine"))
    write_card(tmp_path, "another sentence")
    assert card_hash(load_card("mine")) == plain
    write_card(tmp_path, "normalise")
    merged = open_task("mine", systemic, Silent())
    assert merged.index.groupby("patient")["image"].count().to_dict() == {f"p{number}": 2 for number in range(1, 7)}
    assert merged.index.groupby("patient")["eye"].agg(set).map(lambda eyes: eyes == {"left", "right"}).all()
    assert any("12 patients as written, 6 normalised" in note for note in merged.notes)
    assert not any(
        finding.severity == "warning" and "eye suffix" in finding.detail
        for finding in survey(load_card("mine"), systemic).findings
    )
    assert card_hash(load_card("mine")) != plain
    assert merged.fingerprint != written.fingerprint
    splits = merged.index.assign(split=merged.index["image"].map(merged.splits(0)))
    assert splits.groupby("patient")["split"].nunique().max() == 1


@pytest.mark.parametrize("word", ["normalize", "unknown", "yes"])
def test_a_single_other_word_is_refused(tmp_path, monkeypatch, word):
    monkeypatch.chdir(tmp_path)
    write_card(tmp_path, f'"{word}"')
    with pytest.raises(SettingsError, match="must be `normalise`, or a sentence of several words"):
        load_card("mine")


def test_training_cases_follow_the_same_rule(tmp_path):
    data = tmp_path / "cases"
    for name in ("p1_left", "P01_right", "p2", "p3"):
        write_case_folder(data / name, 12)
    shares = SplitShares(0.3, 0.3)
    written = open_dataset(data, ImageOptions(32), shares=shares)
    note = next(note for note in written.notes if "eye suffix" in note)
    assert "(P01 and p1)" in note
    assert note.endswith("patients=normalise merges them, and 3 patients remain")
    merged = open_dataset(data, ImageOptions(32), shares=shares, normalise_patients=True)
    assert any("4 patients as written, 3 normalised" in note for note in merged.notes)
    sources = [split.source for split in (merged.train, merged.validation, merged.test)]
    patients = [{case.patient for case in source.cases} for source in sources]
    assert sorted(map(len, patients)) == [1, 1, 1]
    assert set().union(*patients) == {"p1", "p2", "p3"}


def test_the_examples_run():
    assert doctest.testmod(patient_spelling).failed == 0
    assert doctest.testmod(patient_names).failed == 0


def test_unchanged_data_keeps_its_index(tmp_path):
    rows = [["image", "patient", "stroke"], *([f"i{n}.png", f"p{n}", str(n % 2)] for n in range(4))]
    for number in range(4):
        save(tmp_path / f"i{number}.png", photograph(number))
    write_table(tmp_path / "systemic.csv", rows)
    card = load_card("phantom-systemic").model_copy(update={"phantom": None, "classes": [], "label_kind": None})
    index = build_index(card, tmp_path)
    assert index["patient"].tolist() == ["p0", "p1", "p2", "p3"]
    assert not any("eye suffix" in note for note in index.attrs["notes"])
    assert isinstance(index, pd.DataFrame)
