"""Task cards are found in order of precedence, and errors in them name file and key."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml

from f2vbench.data import task_cards
from f2vbench.data.task_cards import TaskCard, all_cards, card_hash, load_card
from f2vbench.errors import SettingsError

PUBLISHED = {
    "angiogram": None,
    "angioreport": None,
    "chase_db1": 28,
    "drishti-gs": 101,
    "drive": 40,
    "folder": None,
    "hrf": 45,
    "image-bank": 405,
    "les_av": 22,
    "odir-eyes": 7000,
    "rite": 40,
    "rite-av": 40,
    "idrid-lesions": 81,
    "refuge": 1200,
    "stare": 20,
}
CLASSIFIED = {
    "aptos2019": 3662,
    "brset": 16266,
    "deepdrid-uwf": None,
    "eyepacs": 35126,
    "glaucoma_fundus": 1544,
    "hrf-disease": 45,
    "hugging-face": None,
    "idrid": 516,
    "jsiec": 1000,
    "messidor2": 1744,
    "octid": 572,
    "odir": None,
    "odir-dr": None,
    "odir-grade": None,
    "papila": 488,
    "retina": 601,
    "rfmid": 3200,
    "rfmid-risk": 3200,
    "table": None,
    "ukb-dementia": None,
    "ukb-infarction": None,
    "ukb-parkinson": None,
    "ukb-stroke": None,
}
SIMULATED = {
    "phantom-age": 400,
    "phantom-cup": 200,
    "phantom-av": 40,
    "phantom-disc": 40,
    "phantom-lesions": 40,
    "phantom-disease": 420,
    "phantom-dr": 400,
    "phantom-glaucoma": 200,
    "phantom-grade": 400,
    "phantom-retrieval": 600,
    "phantom-survival": 400,
    "phantom-systemic": 240,
    "phantom-vessels": 40,
    "phantom-video": 650,
}

VALUES = {
    "name": "mine",
    "title": "My set",
    "family": "segmentation",
    "layout": "folder",
    "labels": "Mine.",
    "source": "my clinic",
    "terms": "internal",
    "citation": "none",
    "obtain": "ask me",
}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Work in an empty folder, so that ./tasks contains the cards of the test only."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


def write_card(folder, **changes):
    folder.mkdir(parents=True, exist_ok=True)
    values = VALUES | changes
    path = folder / f"{values['name']}.yaml"
    path.write_text(yaml.safe_dump(values), encoding="utf-8")
    return path


def test_the_published_cards_load():
    assert {name: card.images for name, card in all_cards().items()} == PUBLISHED | CLASSIFIED | SIMULATED
    rite = load_card("rite")
    assert (rite.layout, rite.family, rite.split, rite.test_fraction) == ("rite", "segmentation", "random", 0.5)
    assert rite.path.name == "rite.yaml"


def test_cards_of_the_user_take_precedence(tmp_path, monkeypatch):
    user, work = tmp_path / "user", tmp_path / "work"
    monkeypatch.setenv("F2VBENCH_PATH", f"{tmp_path / 'nowhere'}:{user}")
    write_card(user / "tasks", name="rite", title="from F2VBENCH_PATH/tasks")
    assert load_card("rite").title == "from F2VBENCH_PATH/tasks"
    write_card(user, name="rite", title="from F2VBENCH_PATH")
    assert load_card("rite").title == "from F2VBENCH_PATH"
    write_card(work / "tasks", name="rite", title="from the working directory")
    assert load_card("rite").title == "from the working directory"
    assert all_cards()["rite"].title == "from the working directory"


def test_a_card_is_parsed_again_only_if_its_file_has_changed(tmp_path, monkeypatch):
    write_card(tmp_path / "work" / "tasks", name="clinic", title="first")
    first = load_card("clinic")
    assert load_card("clinic") is first
    write_card(tmp_path / "work" / "tasks", name="clinic", title="second")
    assert load_card("clinic").title == "second"
    write_card(tmp_path / "elsewhere" / "tasks", name="clinic", title="third")
    monkeypatch.chdir(tmp_path / "elsewhere")  # the same relative path
    assert load_card("clinic").title == "third"


def test_a_package_adds_cards_with_an_entry_point(tmp_path, monkeypatch):
    package = tmp_path / "site" / "clinic_tasks"
    write_card(package, name="clinic")
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path / "site")
    points = [
        task_cards.EntryPoint("clinic", "clinic_tasks", "f2vbench.tasks"),
        task_cards.EntryPoint("gone", "no_such_package", "f2vbench.tasks"),
    ]
    monkeypatch.setattr(task_cards, "entry_points", lambda group: points)
    assert load_card("clinic").title == "My set"
    assert load_card("rite").layout == "rite"
    assert "no_such_package" in str(all_cards()["gone"])
    with pytest.raises(SettingsError, match="no_such_package"):
        load_card("nowhere")


def test_an_unknown_name_gets_a_suggestion_and_the_list():
    with pytest.raises(
        SettingsError,
        match=r"unknown task 'chase_db'; did you mean 'chase_db1'\?.*drive, eyepacs, folder, glaucoma_fundus",
    ):
        load_card("chase_db")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test_fracton": 0.5}, "unknown key 'test_fracton'; did you mean 'test_fraction'?"),
        ({"path": "/elsewhere"}, "unknown key 'path'"),
        ({"test_fraction": 1.5}, "test_fraction: 1.5"),
        ({"split": "oficial"}, "split: 'oficial': must be one of random, official, auto; did you mean 'official'?"),
        ({"layout": "chase"}, "layout: 'chase': unknown layout 'chase'; did you mean 'chase_db1'?"),
        ({"folders": ["../up"]}, "'../up' is not a plain folder name"),
        ({"images": "many"}, "images: 'many'"),
        ({"family": "segmentasion"}, "did you mean 'segmentation'?"),
        ({"phantom": {"patients": 0, "seed": 1, "parts": ["dr"]}}, "phantom.patients: 0"),
        ({"phantom": {"patients": 2, "seed": 1, "parts": ["dr"], "sise": 64}}, "phantom.sise"),
        ({"title": ""}, "title: ''"),
    ],
)
def test_errors_name_file_and_key(tmp_path, changes, message):
    path = write_card(tmp_path / "work" / "tasks", **changes)
    with pytest.raises(SettingsError) as caught:
        load_card("mine")
    assert message in str(caught.value)
    assert f"tasks/{path.name}" in str(caught.value)
    assert isinstance(all_cards()["mine"], SettingsError)


def test_all_errors_are_listed(tmp_path):
    path = write_card(tmp_path / "work" / "tasks", test_fraction=2, splitt="random")
    path.write_text(path.read_text().replace("terms: internal\n", "").replace("name: mine", "name: yours"))
    with pytest.raises(SettingsError) as caught:
        load_card("mine")
    assert len(caught.value.problems) == 4
    for problem in ("unknown key 'splitt'", "test_fraction", "terms: this key is required", "must be the file name"):
        assert problem in str(caught.value)


def test_invalid_yaml_is_refused_with_its_line(tmp_path):
    path = write_card(tmp_path / "work" / "tasks")
    path.write_text("layout: folder\ntitle: [open\nname: mine\n")
    with pytest.raises(SettingsError, match=r"mine\.yaml, line \d: not valid YAML"):
        load_card("mine")
    path.write_bytes(b"layout: folder\ntitle: caf\xe9\n")
    with pytest.raises(SettingsError, match="UTF-8"):
        load_card("mine")
    path.write_text("family: segmentation\n--- \nlayout: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(SettingsError, match="not valid YAML"):
        load_card("mine")


def test_files_of_other_projects_are_ignored(tmp_path):
    tasks = tmp_path / "work" / "tasks"
    tasks.mkdir()
    (tasks / "main.yaml").write_text("- hosts: all\n  tasks: []\n")
    (tasks / "template.yaml").write_text("{{ jinja }}: [\n")
    (tasks / "drive.yaml").write_text("mount: /dev/sda\n")
    (tasks / "empty.yaml").touch()
    assert set(all_cards()) == set(PUBLISHED | CLASSIFIED | SIMULATED)
    assert load_card("drive").title == "DRIVE"
    with pytest.raises(SettingsError, match=r"main\.yaml is not a task card"):
        load_card("main")


def test_the_hash_depends_on_keys_that_influence_results():
    card = TaskCard(**VALUES)
    assert card_hash(card) == card_hash(card.model_copy(update={"title": "Other", "terms": "none", "folders": ["x"]}))
    changes = ({"split": "official"}, {"test_fraction": 0.3}, {"options": {"observer": 2}}, {"layout": "drive"})
    hashes = {card_hash(card.model_copy(update=change)) for change in changes}
    assert len(hashes | {card_hash(card)}) == 5
    assert len(card_hash(card)) == 64


def test_reading_cards_imports_no_pandas():
    heavy = "{'pandas', 'torch', 'cv2'} & set(sys.modules)"
    code = f"import sys, f2vbench.data.task_cards as task_cards; task_cards.all_cards(); print(sorted({heavy}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
