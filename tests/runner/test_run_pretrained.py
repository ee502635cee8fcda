"""A model that was trained on images of a task's data set is marked from its card to the page."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from f2vbench import Benchmark, Results
from f2vbench.cli.main import main
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.timm_models import timm
from f2vbench.errors import WeightsError
from f2vbench.pretrained.weights_cards import weights_card
from f2vbench.report.content import report_content
from f2vbench.report.figures.catalogue import draw_figures
from f2vbench.utils.progress import Silent
from tests.helpers.patients import MODEL, write_cards, write_patients

CARD = """\
name: seen
title: A network that was trained on the eyes of the task
used_for: tests
kind: shipped
source: this test
file: seen.pth
licence: MIT
architecture: ResNet of timm
preprocessing: none
training_data: eyes
pretrained_on: [Another set, SMALL-EYES]
citation: none
family: timm:test_resnet
"""


@pytest.fixture(scope="module")
def eyes(tmp_path_factory) -> Path:
    return write_patients(tmp_path_factory.mktemp("eyes"), 24, 25, 1)


@pytest.fixture(autouse=True)
def cards(tmp_path, monkeypatch) -> Path:
    """Two tasks, of which one is of the data set ``small-eyes``, and the card of a model that was trained on it."""
    folder = write_cards(tmp_path / "cards")
    card = (folder / "tiny.yaml").read_text()
    (folder / "other.yaml").write_text(card.replace("name: tiny", "name: other"))
    (folder / "tiny.yaml").write_text(f"{card}datasets: [small-eyes]\n")
    (folder / "seen.yaml").write_text(CARD)
    torch.save(timm.create_model("test_resnet", num_classes=0).state_dict(), folder / "seen.pth")
    monkeypatch.setenv("F2VBENCH_PATH", str(folder))
    return folder


def run(eyes: Path, out: Path, **changes) -> Results:
    arguments = {"model": ["seen", MODEL], "baselines": "thumbnail", "shots": [1], "seeds": 2, "protocol": "probe"}
    arguments |= {"task": ["tiny", "other"], "data": {"tiny": str(eyes), "other": str(eyes)}, "out": out, "jobs": 1}
    return Benchmark(**{**arguments, **changes}).run(Silent())


def test_records_tables_figures_and_the_page_mark_the_model_at_its_data_set_alone(eyes, tmp_path):
    results = run(eyes, tmp_path / "run")
    assert results.pretrained == {("tiny", "seen")}
    stored = {(r["unit"]["task"], r["unit"]["encoder"]): r.get("pretrained_on") for r in results.records}
    assert stored["tiny", "seen"] == ["small-eyes"]
    assert [value for pair, value in stored.items() if pair != ("tiny", "seen")] == [None] * (len(stored) - 1)
    content = report_content(results)
    for table in content.conditions:
        marked = [row[0].text for row in table.rows if "†" in row[0].detail]
        assert marked == (["seen"] if table.name.startswith("tiny") else [])
        explained = any("trained on images of this data set" in note for note in table.notes)
        assert explained == table.name.startswith("tiny")
    assert any("trained on images of these data sets" in text and "seen (tiny)" in text for text in content.limitations)
    figures = list(draw_figures(results, ["roc"]))
    assert figures
    for figure in figures:
        assert "† trained on images of these data sets (seen: tiny)" in figure.caption
        legend = [text.get_text() for each in figure.figure.legends for text in each.get_texts()]
        assert [text for text in legend if "†" in text] == [next(text for text in legend if text.startswith("seen †"))]
    results.report(tmp_path / "report", format="html,latex,csv", figures="none")
    page = (tmp_path / "report" / "report.html").read_text()
    assert "seen</" in page or ">seen<" in page
    assert "trained on images of this data set" in page
    tex = "".join(path.read_text() for path in (tmp_path / "report").rglob("*.tex"))
    assert r"\textdagger{}" in tex
    assert "?" not in tex.partition(r"\textdagger{}")[0][-20:]


def test_the_plan_and_the_terminal_say_it(eyes, tmp_path, capsys):
    plan = Benchmark(
        task="tiny", model="seen", baselines="none", shots=[1], seeds=1, data=str(eyes), out=tmp_path / "run"
    ).make_plan()
    assert any("seen was trained on images of small-eyes, the data of tiny" in note for note in plan.notes)
    arguments = [f"data={eyes}", f"out={tmp_path / 'run'}", "jobs=1", "seeds=2", "shots=1", "protocol=probe"]
    assert main(["run", "task=tiny", f"model=seen,{MODEL}", "baselines=thumbnail", *arguments]) == 0
    output = capsys.readouterr().out
    row = next(line for line in output.splitlines() if line.startswith("seen ") and "seen.pth@" in line)
    assert row.startswith("seen †")
    assert "† trained on images of this data set" in output


def test_a_fusion_has_seen_what_a_part_has_seen():
    spec = parse_model(f"seen+{MODEL}")
    assert spec.trained_on(["small-eyes", "others"]) == ["small-eyes"]
    assert parse_model(MODEL).trained_on(["small-eyes"]) == []


def test_marks_do_not_change_fingerprints(eyes, tmp_path, cards):
    marked = run(eyes, tmp_path / "run", task="tiny", data=str(eyes)).records
    card = cards / "seen.yaml"
    card.write_text(card.read_text().replace("pretrained_on: [Another set, SMALL-EYES]\n", ""))
    plan = Benchmark(
        task="tiny", model=["seen", MODEL], baselines="thumbnail", shots=[1], seeds=2, protocol="probe",
        data=str(eyes), out=tmp_path / "run", jobs=1,
    ).make_plan()  # fmt: skip
    assert {unit.fingerprint for unit in plan.units} == {record["fingerprint"] for record in marked}
    assert not plan.missing


def test_a_card_with_an_empty_name_is_refused(cards):
    (cards / "seen.yaml").write_text(CARD.replace("Another set", "''"))
    with pytest.raises(WeightsError, match=r"pretrained_on\.0"):
        weights_card("seen")


def test_released_cards_name_the_tasks_that_their_papers_trained_on():
    odir = ("odir-dr", "odir")
    assert parse_model("retfound-green").trained_on(odir) == ["odir"]
    assert parse_model("retfound").trained_on(odir) == []
    assert parse_model("retfound:untrained").pretrained_on == ()
