"""A cohort on disk: readable by the layouts, reproducible bytes, continuation of interrupted calls, messages."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import filelock
import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from f2vbench.cli.main import main
from f2vbench.data.index import build_index
from f2vbench.data.task_cards import load_card
from f2vbench.data.task_data import open_task
from f2vbench.errors import DataError, SettingsError, StoreError
from f2vbench.phantom import Cohort
from f2vbench.phantom.anatomy.quantities import QUANTITIES
from f2vbench.phantom.export.folders import HIDDEN, identity, identity_hash, is_complete, write_cohort
from f2vbench.phantom.export.tables import DEFAULT_PARTS, PARTS, VIDEO_COLUMNS
from f2vbench.phantom.follow_up import draw_follow_up, risk
from f2vbench.phantom.patients import generator
from f2vbench.utils.progress import Silent

SEED, PATIENTS, SIZE = 7, 3, 64
NAMES = sorted(eye.name for eye in Cohort(SEED, PATIENTS))


def make(out: Path, progress: Silent | None = None, jobs: int = 1, parts: tuple[str, ...] = PARTS) -> Path:
    write_cohort(out, Cohort(SEED, PATIENTS, size=SIZE), parts=parts, jobs=jobs, progress=progress)
    return out


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    return make(tmp_path_factory.mktemp("phantom") / "eyes")


def test_two_processes_write_the_same_bytes(written, tmp_path):
    assert tree(make(tmp_path / "eyes", jobs=2)) == tree(written)


class StopsAfter(Silent):
    """Progress that is interrupted."""

    def __init__(self, eyes: int) -> None:
        self.left = eyes

    def advance(self, label: str) -> None:
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


class Counts(Silent):
    """Progress that records its messages."""

    def __init__(self) -> None:
        self.eyes: list[str] = []
        self.notes: list[str] = []

    def advance(self, label: str) -> None:
        self.eyes.append(label)

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_an_interrupted_call_is_continued(written, tmp_path):
    out = tmp_path / "eyes"
    with pytest.raises(KeyboardInterrupt):
        make(out, StopsAfter(4))
    assert not is_complete(out)
    assert not (out / "eyes.csv").exists()
    (out / "images" / ".half.png.1.part").touch()
    counts = Counts()
    make(out, counts)
    assert len(counts.eyes) == 2
    assert tree(out) == tree(written)


def test_missing_and_damaged_files_are_written_again(written, tmp_path):
    out = make(tmp_path / "eyes")
    (out / "images" / f"{NAMES[0]}_macula.png").unlink()
    record = out / HIDDEN / "eyes" / f"{NAMES[1]}.json"
    record.write_bytes(record.read_bytes()[:-9])
    counts = Counts()
    make(out, counts)
    assert sorted(counts.eyes) == NAMES[:2]
    assert tree(out) == tree(written)
    make(out, counts)
    assert len(counts.eyes) == 2


def test_a_call_waits_for_another_process_in_the_folder(tmp_path):
    out, counts = tmp_path / "eyes", Counts()
    (out / HIDDEN).mkdir(parents=True)
    lock = filelock.FileLock(out / HIDDEN / "lock")
    lock.acquire()
    worker = threading.Thread(target=make, args=(out, counts), kwargs={"parts": ("dr",)})
    worker.start()
    while not counts.notes:
        assert worker.is_alive()
    assert not is_complete(out)
    lock.release()
    worker.join(60)
    assert is_complete(out)
    assert "waiting" in counts.notes[0]


def test_a_folder_with_other_content_raises_and_stays_unchanged(written, tmp_path):
    before = tree(written)
    with pytest.raises(StoreError, match="seed is 7 in the folder, 8 requested"):
        write_cohort(written, Cohort(8, PATIENTS, size=SIZE))
    with pytest.raises(StoreError, match="size is 64 in the folder, 128 requested"):
        write_cohort(written, Cohort(SEED, PATIENTS, size=128))
    assert tree(written) == before
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").touch()
    with pytest.raises(StoreError, match="other files"):
        make(tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["thesis.txt"]
    with pytest.raises(StoreError, match=r"thesis\.txt: cannot create or use the folder"):
        make(tmp_path / "other" / "thesis.txt")


def test_vessel_trees_agree_with_the_masks(written):
    tree = np.load(written / "trees" / "P00001_left.npz")
    mask = np.asarray(Image.open(written / "masks" / "vessels" / "P00001_left.png")) > 0
    assert (tree["parent"] < np.arange(len(tree["parent"]))).all()
    columns, rows = np.rint(tree["points_px"][2000 * tree["radius_mm"] > 40]).astype(int).T
    inside = (columns >= 0) & (columns < mask.shape[1]) & (rows >= 0) & (rows < mask.shape[0])
    field = np.asarray(Image.open(written / "masks" / "field_of_view" / "P00001_left.png")) > 0
    visible = field[rows[inside], columns[inside]]
    assert visible.sum() > 20
    assert mask[rows[inside], columns[inside]][visible].mean() > 0.85  # rounded to whole pixels


def test_every_image_is_stored_once(written):
    for layout in ("vessels/AV_groundTruth", "dr", "glaucoma", "disease"):
        files = list((written / layout).rglob("*.png"))
        assert files
        assert all(path.stat().st_nlink > 1 for path in files)


def test_the_table_of_eyes_has_all_labels_and_quantities(written):
    table = pd.read_csv(written / "eyes.csv")
    eyes = Cohort(SEED, PATIENTS, size=SIZE)
    assert len(table) == 6
    for row, eye in zip(table.itertuples(), eyes, strict=True):
        labels = eye.labels
        assert (row.patient, row.eye, row.disease) == (eye.patient, eye.side, labels.disease)
        assert (row.dr_grade, row.glaucoma_stage, row.sex) == (labels.dr_grade, labels.glaucoma_stage, labels.sex)
        assert row.stroke == labels.outcomes["stroke"]
        assert all(getattr(row, name) == pytest.approx(labels.values[name], rel=1e-5) for name in QUANTITIES)
        assert (written / row.image).is_file()
    assert set(table.split) == {"train", "val", "test"}
    assert set(pd.read_csv(written / "quantities.csv").quantity) == set(QUANTITIES)
    text = (written / "README.txt").read_text()
    assert "0.760" in text
    assert all(part in text for part in ("AV_groundTruth", "anodr", "video.csv", "retrieval.csv"))
    assert json.loads((written / "phantom.json").read_text())["seed"] == SEED


def test_images_on_disk_equal_those_of_the_cohort(written):
    eye = Cohort(SEED, PATIENTS, size=SIZE)[3]
    photograph = eye.photograph()
    assert np.array_equal(np.array(Image.open(written / "images" / f"{eye.name}_macula.png")), photograph.image)
    vessels = np.array(Image.open(written / "masks" / "vessels" / f"{eye.name}.png"))
    assert np.array_equal(vessels, photograph.truth.vessels * np.uint8(255))
    colours = np.array(Image.open(written / "masks" / "arteries_veins" / f"{eye.name}.png"))
    assert np.array_equal(colours[..., 0] > 0, photograph.truth.arteries & ~photograph.truth.veins)
    frames = [np.array(Image.open(path)) for path in sorted((written / "frames" / eye.name).iterdir())]
    assert np.array_equal(np.stack(frames), eye.angiogram().frames)


@pytest.mark.parametrize("part", PARTS)
def test_each_task_card_indexes_the_complete_folder(written, part):
    card = load_card(f"phantom-{part}")
    index = build_index(card, written)
    expected = {"retrieval": 36, "video": 6 * 13}.get(part, 6)
    if part == "dr":
        expected = int(pd.read_csv(written / "eyes.csv").disease.isin(["normal", "diabetic_retinopathy"]).sum())
    assert len(index) == expected
    assert set(index.patient) <= {"P00001", "P00002", "P00003"}
    assert index.groupby("patient").split.nunique().max() == 1


def test_indices_agree_with_the_table_of_eyes(written):
    eyes = pd.read_csv(written / "eyes.csv")
    diseases = build_index(load_card("phantom-disease"), written)
    assert sorted(zip(diseases.patient, diseases.eye, diseases.label, diseases.split, strict=True)) == sorted(
        zip(eyes.patient, eyes.eye, eyes.disease, eyes.split, strict=True)
    )
    strokes = build_index(load_card("phantom-systemic"), written)
    assert list(strokes.label == "with") == list(eyes.sort_values("image").stroke == 1)
    gallery = build_index(load_card("phantom-retrieval"), written)
    assert gallery.groupby(["patient", "eye"]).size().eq(6).all()
    assert gallery.groupby(["modality", "view"]).size().to_dict() == {
        ("AF", "macula"): 6,
        ("CF", "disc"): 6,
        ("CF", "macula"): 6,
        ("FFA", "macula"): 6,
        ("ICG", "macula"): 6,
        ("RF", "macula"): 6,
    }
    videos = build_index(load_card("phantom-video"), written)
    frames = videos[videos.modality == "FFA"]
    assert frames.groupby(["case", "phase"]).size().eq(4).all()
    for _, case in videos.groupby("case"):
        assert (case.modality == "CF").sum() == 1
        seconds = case[case.modality == "FFA"].sort_values("path").seconds.astype(float)
        assert seconds.is_monotonic_increasing
    assert tuple(pd.read_csv(written / "video.csv").columns) == VIDEO_COLUMNS


def test_follow_up_is_that_of_the_patient_and_fits_its_risk(written):
    table = pd.read_csv(written / "survival.csv")
    assert (table.groupby("patient")[["years", "event", "split"]].nunique() == 1).all(axis=None)
    assert (table.years > 0).all()
    draws = [[draw_follow_up(each, generator(1, "follow-up", n)) for n in range(2000)] for each in range(5)]
    for severity, of_severity in enumerate(draws):
        progressed = [each.event and each.years <= 2.9 for each in of_severity]  # all are followed for 3 years
        assert np.mean(progressed) == pytest.approx(risk(severity, 2.9), abs=0.03)


def test_the_parts_of_the_first_version_identify_a_folder_as_before():
    cohort = Cohort(SEED, PATIENTS, size=SIZE)
    assert identity(cohort, DEFAULT_PARTS)["parts"] == [
        "vessels",
        "dr",
        "glaucoma",
        "disease",
        "systemic",
        "retrieval",
        "video",
    ]
    assert identity_hash(Cohort(102, 200, size=384, diseases=["normal", "diabetic_retinopathy"]), ["dr"])[:16] == (
        "9db2ac50ef4baacd"
    )


def small_card(folder: Path, name: str, **changes) -> None:
    values = yaml.safe_load(load_card(name).path.read_text())
    values["phantom"] = {"patients": 3, "seed": 1, "size": 64, "parts": values["phantom"]["parts"]}
    for key in ("images", "classes", "label_kind"):  # three patients do not have all classes
        values.pop(key, None)
    (folder / "tasks").mkdir(exist_ok=True)
    (folder / "tasks" / f"{name}.yaml").write_text(yaml.safe_dump(values | changes), encoding="utf-8")


@pytest.mark.parametrize("part", PARTS)
def test_a_card_simulates_its_data_on_first_use_only(tmp_path, monkeypatch, part):
    monkeypatch.chdir(tmp_path)
    small_card(tmp_path, f"phantom-{part}")
    first, second = Counts(), Counts()
    task = open_task(f"phantom-{part}", progress=first)
    assert len(first.eyes) == 6
    assert task.folder.parent == tmp_path / "cache" / "phantom"
    again = open_task(f"phantom-{part}", progress=second)
    assert (second.eyes, second.notes) == ([], [])
    assert again.fingerprint == task.fingerprint


def test_a_run_on_simulated_vessels_needs_no_data(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    small_card(tmp_path, "phantom-vessels")
    assert main(["list", "tasks"]) == 0
    assert "simulated on first use" in capsys.readouterr().out
    arguments = ["task=phantom-vessels", "model=tophat", "baselines=none", "shots=1", "seeds=1", "jobs=1"]
    assert main(["run", *arguments]) == 0
    assert "6 images of 3 patients" in capsys.readouterr().out
    assert main(["list", "tasks"]) == 0
    assert str(tmp_path / "cache" / "phantom") in capsys.readouterr().out


def test_a_card_with_wrong_simulator_settings_is_named_in_the_message(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    phantom = {"patients": 2, "seed": 1, "size": 64, "parts": ["vessels"], "diseases": ["glaukoma"]}
    small_card(tmp_path, "phantom-vessels", phantom=phantom)
    with pytest.raises(SettingsError, match=r"task card phantom-vessels: phantom: disease=glaukoma.*did you mean"):
        open_task("phantom-vessels")
    small_card(tmp_path, "phantom-vessels", phantom=phantom | {"diseases": None, "parts": ["vesels"]})
    with pytest.raises(SettingsError, match=r"parts=vesels.*did you mean 'vessels'"):
        open_task("phantom-vessels", progress=Silent())


def test_the_verb_writes_a_folder_and_a_contact_sheet(tmp_path, capsys):
    arguments = [f"out={tmp_path / 'eyes'}", f"sheet={tmp_path / 'sheet.png'}", "patients=1", "size=64", "jobs=1"]
    assert main(["phantom", *arguments, "parts=vessels,dr", "eyes=1", "disease=glaucoma"]) == 0
    assert "2 eyes of 1 patient;" in capsys.readouterr().out
    assert Image.open(tmp_path / "sheet.png").mode == "RGB"
    assert (tmp_path / "eyes" / "vessels").is_dir()
    assert not (tmp_path / "eyes" / "video.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "out=folder, sheet=file.png"),
        (["out={}/a", "patients=0"], "patients: '0'"),
        (["out={}/a", "size=32"], "size: '32'"),
        (["out={}/a", "size=9000"], "size: '9000'"),
        (["out={}/a", "disease=glaukoma"], "did you mean 'glaucoma'"),
        (["out={}/a", "parts=vesels"], "did you mean 'vessels'"),
        (["out={}/a", "jobs=0"], "jobs=0: must be auto or at least 1"),
        (["out={}/a", "seed=-1"], "seed: '-1'"),
        (["out={}/a", "patient=3"], "did you mean 'patients'"),
        (["sheet={}/a.gif"], "PNG file"),
        (["out={}/file/eyes"], "cannot create or use the folder"),
        (["sheet={}/file/a.png", "size=64", "eyes=1"], "can't be written"),
    ],
)
def test_wrong_arguments_are_reported_and_nothing_is_written(tmp_path, capsys, arguments, message):
    (tmp_path / "file").touch()
    assert main(["phantom", *(argument.format(tmp_path) for argument in arguments)]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_is_reported(tmp_path, monkeypatch):
    def full(*_, **__):
        raise StoreError("images/x.png: can't be written (No space left on device)")

    monkeypatch.setattr("f2vbench.phantom.export.folders.write_atomically", full)
    with pytest.raises(StoreError, match="No space left"):
        make(tmp_path / "eyes")


def test_mistakes_in_tables_are_reported(written, tmp_path):
    for part, file, old, new, message in (
        ("video", "video.csv", "arterial", "choroidal", "Phase 'choroidal' must be one of"),
        ("video", "video.csv", "images/P00001_right", "../P00001_right", "P00001_right_macula.png not found"),
        ("retrieval", "retrieval.csv", "P00002_left_icg", "P00002_left_icgx", "not found"),
        ("systemic", "systemic.csv", "train", "trian", "split 'trian' must be"),
        ("systemic", "systemic.csv", "stroke", "strokes", "column 'stroke' .* not found"),
    ):
        table = (written / file).read_text().replace(old, new)
        (tmp_path / file).write_text(table)
        for name in ("images", "frames"):
            if not (tmp_path / name).exists():
                (tmp_path / name).symlink_to(written / name)
        with pytest.raises(DataError, match=message):
            build_index(load_card(f"phantom-{part}"), tmp_path)
