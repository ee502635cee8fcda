"""`f2vbench data` reports everything that is wrong with a copy of a data set, and nothing else."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from f2vbench.cli.main import main
from f2vbench.data import file_facts
from f2vbench.data.survey import survey
from f2vbench.data.task_cards import load_card
from f2vbench.data.task_data import open_task
from f2vbench.errors import DataError
from f2vbench.utils.progress import Silent
from tests.helpers.small_eyes import photograph, save, write_rite
from tests.helpers.small_sets import write_split_folders, write_table

FOLDERS = ["1_normal", "2_cataract", "2_glaucoma", "3_retina_disease"]


@pytest.fixture
def retina(tmp_path) -> Path:
    """Eight photographs of each of the four classes, all different."""
    for position, folder in enumerate(FOLDERS):
        for number in range(8):
            save(tmp_path / "retina" / folder / f"{folder}{number}.png", photograph(100 * position + number))
    return tmp_path / "retina"


def kinds(folder: Path, name: str = "retina", **changes) -> Counter:
    found = survey(load_card(name).model_copy(update=changes), folder)
    return Counter((finding.severity, finding.kind) for finding in found.findings if finding.severity != "note")


def test_a_usable_copy_has_unexpected_counts_only(retina):
    assert kinds(retina) == {("warning", "count"): 4, ("warning", "assumption"): 1}


def test_unreadable_files_duplicates_and_near_duplicates_are_found(retina, tmp_path):
    first = retina / FOLDERS[0]
    (first / "broken.png").write_bytes(b"\x89PNG not really")
    save(retina / FOLDERS[1] / "copy.png", photograph(0))
    Image.fromarray(photograph(7)).resize((112, 96), Image.Resampling.BICUBIC).save(retina / FOLDERS[2] / "larger.png")
    found = survey(load_card("retina").model_copy(update={"copies": "refuse"}), retina)
    by_kind = {finding.kind: finding for finding in found.findings if finding.severity != "note"}
    assert not found.is_usable
    assert "broken.png" in by_kind["file"].detail
    assert by_kind["duplicate"].severity == "error"
    assert "with different labels (cataract, normal)" in by_kind["duplicate"].detail
    assert "larger.png" in by_kind["near-duplicate"].detail
    assert "1_normal7.png" in by_kind["near-duplicate"].detail
    assert "with labels" in by_kind["near-duplicate"].detail
    with pytest.raises(DataError, match=r"broken\.png"):
        open_task("retina", retina, Silent())


def test_missing_and_unlisted_images_are_found(tmp_path):
    write_table(tmp_path / "train.csv", [["id_code", "diagnosis"], *([f"i{n}", str(n % 5)] for n in range(12))])
    for number in range(2, 13):
        save(tmp_path / "train_images" / f"i{number}.png", photograph(number))
    found = kinds(tmp_path, "aptos2019")
    assert found["error", "missing"] == 2
    assert found["warning", "extra"] == 1
    assert kinds(tmp_path, "aptos2019", absent="leave-out")["warning", "missing"] == 2


def test_patients_in_two_splits_are_found(tmp_path):
    for split, eye in (("train", "right"), ("test", "left")):
        for position, folder in enumerate(["anormal_control", "bearly_glaucoma", "cadvanced_glaucoma"]):
            for number in range(2):
                name = f"p{10 * position + number}_{eye if number else split}.png"
                save(tmp_path / split / folder / name, photograph(len(list(tmp_path.rglob("*.png")))))
    found = survey(load_card("glaucoma_fundus"), tmp_path)
    divided = [finding.image for finding in found.findings if finding.kind == "patient"]
    assert [Counter(Path(image).name.split("_")[0] for image in ids.split(";")) for ids in divided] == [
        {"test": 1, "train": 1}
    ] * 3


def test_a_missing_class_is_an_error(retina):
    for file in (retina / FOLDERS[3]).iterdir():
        file.unlink()
    assert kinds(retina)["error", "count"] == 1
    with pytest.raises(
        DataError, match=r"no image of the class retina_disease: the data has 3 of the 4 classes of the task"
    ):
        open_task("retina", retina, Silent())


def test_an_interrupted_check_continues_and_a_second_one_reads_no_image(retina, monkeypatch):
    reads: list[Path] = []
    real = file_facts.read_part

    def counted(path, part):
        reads.append(path)
        return real(path, part)

    monkeypatch.setattr(file_facts, "read_part", counted)
    monkeypatch.setattr(file_facts, "_MIN_FILES_FOR_PROGRESS", 1)

    class Interrupted(Silent):
        files = 0

        def advance(self, label: str) -> None:
            self.files += 1
            if self.files == 10:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        survey(load_card("retina"), retina, progress=Interrupted())
    reads.clear()
    first = survey(load_card("retina"), retina)
    assert len(reads) == 32 - 10
    reads.clear()
    assert survey(load_card("retina"), retina).index.equals(first.index)
    assert reads == []


def test_check_prints_counts_and_writes_findings(retina, tmp_path, capsys):
    out = tmp_path / "findings.csv"
    assert main(["data", "check", "task=retina", f"data={retina}", f"out={out}"]) == 0
    printed = capsys.readouterr().out
    assert "32 of 601 images, 32 patients" in printed
    assert "8/300" in printed
    assert "random split by patient, stratified by class" in printed
    assert "no errors: ready to run" in printed
    with out.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert list(rows[0]) == ["task", "weight", "kind", "image", "detail"]
    assert {row["task"] for row in rows} == {"retina"}
    assert "class normal has 8 images, expected 300" in [row["detail"] for row in rows]
    assert main(["data", "check", "task=retina", f"data={retina}", f"out={out.with_suffix('.json')}"]) == 0
    content = json.loads(out.with_suffix(".json").read_text())
    assert content["findings"] == rows
    assert content["counts"]["retina"]["all classes"]["all"] == 32
    assert sum(content["counts"]["retina"]["normal"][split] for split in ("train", "val", "test")) == 8
    (retina / FOLDERS[0] / "broken.png").write_text("no image")
    assert main(["data", "check", "task=retina", f"data={retina}"]) == 2
    assert "1 error: correct it before a run" in capsys.readouterr().out
    assert main(["data", "check", "task=retina", f"data={retina}", "out=a.txt"]) == 2


def test_findings_are_aligned_to_the_left_if_they_start_with_a_number(tmp_path, capsys):
    write_rite(tmp_path)
    (tmp_path / "AV_groundTruth" / "test" / "vessel" / "01_test.png").unlink()
    (tmp_path / "AV_groundTruth" / "test" / "images" / "01_test.tif").unlink()
    assert main(["data", "check", "task=rite", f"data={tmp_path}"]) == 0
    lines = capsys.readouterr().out.splitlines()
    note = next(line for line in lines if line.startswith("note") and "labelled" in line)
    assert note.endswith("assumption  39 labelled images found; the complete data set has 40")
    heading = next(line for line in lines if line.startswith("severity"))
    assert heading.index("finding") == note.index("39")


def test_a_split_is_written_and_used(retina, tmp_path, capsys):
    file = tmp_path / "split.csv"
    assert main(["data", "split", "task=retina", f"data={retina}", f"out={file}", "seed=3"]) == 0
    printed = capsys.readouterr().out
    assert "(random split by patient, stratified by class, seed 3)" in printed
    drawn = open_task("retina", retina, Silent()).splits(3)
    read = open_task("retina", retina, Silent(), split=file)
    assert read.splits(0).equals(drawn)
    assert read.episode("few-shot", 2, 0).test == read.episode("supervised", None, 4).test
    assert read.classes == ["normal", "cataract", "glaucoma", "retina_disease"]
    plain = open_task("retina", retina, Silent())
    assert plain.fingerprint != read.fingerprint
    assert main(["data", "check", "task=retina", f"data={retina}", f"split={file}"]) == 0
    assert "split from the file" in capsys.readouterr().out
    assert main(["data", "split", "task=retina", f"data={retina}"]) == 2


def test_list_and_where_print_terms_and_how_to_get_the_data(capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert main(["data", "list"]) == 0
    printed = capsys.readouterr().out
    assert any(line.split()[:3] == ["jsiec", "classification", "1000"] for line in printed.splitlines())
    assert "simulated on first use" in printed
    assert main(["data", "where", "task=papila,idrid"]) == 0
    printed = capsys.readouterr().out
    for text in ("CC BY 4.0", "Kovalyk", "Porwal", "suspected glaucoma (68 images)", "IEEE DataPort"):
        assert text in printed
    assert main(["data", "chek"]) == 2
    assert "did you mean 'check'" in capsys.readouterr().err


def test_simulated_data_is_checked_in_the_same_way(tmp_path):
    write_split_folders(
        tmp_path / "dr", {"train": {"anodr": 3, "eproliferativedr": 2}, "test": {"anodr": 2}}, pictures=True
    )
    found = survey(load_card("phantom-dr"), tmp_path)
    assert Counter(found.index["label"]) == {"no_dr": 5, "proliferative": 2}
    assert found.split_origin == "official"
    details = [finding.detail for finding in found.findings if finding.kind == "class"]
    assert [detail.split(":")[0] for detail in details] == [
        "class proliferative is not in the validation split",
        "class proliferative is not in the test split",
    ]
