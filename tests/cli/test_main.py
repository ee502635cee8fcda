"""Verbs of the command line."""

from __future__ import annotations

import json
import subprocess
import sys

import pandas as pd
import pytest

from f2vbench import Results, load_encoder, load_task
from f2vbench.cli.main import main
from f2vbench.cli.verbs import VERBS
from f2vbench.config.parsing import describe
from f2vbench.config.run import RunSettings
from tests.helpers.eyes import write_eyes

ARGUMENTS = ["task=folder", "model=tophat", "baselines=green", "shots=1", "seeds=2", "jobs=1"]


@pytest.fixture
def eyes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return write_eyes(tmp_path / "eyes", 4)


def test_a_run_and_its_report(eyes, capsys):
    assert main(["run", *ARGUMENTS, f"data={eyes}"]) == 0
    output = capsys.readouterr().out
    assert "4 images of 4 patients" in output
    assert "folder · few-shot · 1 support image" in output
    assert "tophat against the best other model" in output
    assert main(["report", "metric=auroc,sensitivity_frame", "figures=none"]) == 0
    output = capsys.readouterr().out
    assert "sensitivity_frame: mean ± sd [95 % CI]" in output
    for name in ("results", "summary", "comparison"):
        assert len(pd.read_csv(f"runs/folder/{name}.csv"))
    assert main(["list", "runs"]) == 0
    assert "runs/folder" in capsys.readouterr().out


def test_the_csv_file_has_the_values_of_the_frame(eyes, tmp_path):
    main(["run", *ARGUMENTS, f"data={eyes}"])
    results = Results.load("runs/folder")
    read = pd.read_csv("runs/folder/results.csv", keep_default_na=False, na_values={"value": "", "shots": ""})
    assert len(read) == len(results.frame)
    assert (read.value.dropna().to_numpy() == results.frame.value.dropna().to_numpy()).all()


def test_plan_and_dry_run_print_the_grid_and_write_nothing(eyes, capsys):
    for arguments in (["plan", *ARGUMENTS], ["run", "--dry-run", *ARGUMENTS]):
        assert main([*arguments, f"data={eyes}"]) == 0
        output = capsys.readouterr().out
        assert "4 units: 0 done, 4 missing; about" in output
    assert not (eyes.parent / "runs").exists()


def test_data_sets_are_found_in_the_data_root(eyes, capsys, monkeypatch):
    card = "name: mine\ntitle: Mine\nfamily: segmentation\nlayout: folder\nfolders: [eyes]\nsplit: random\n"
    card += "test_fraction: 0.5\nlabels: me\nsource: me\nterms: mine\ncitation: none\nobtain: ask me\n"
    (eyes.parent / "tasks").mkdir()
    (eyes.parent / "tasks" / "mine.yaml").write_text(card)
    monkeypatch.setenv("F2VBENCH_DATA", str(eyes.parent))
    assert main(["run", "task=mine", *ARGUMENTS[1:]]) == 0
    assert main(["list", "tasks"]) == 0
    assert ["mine", "segmentation", "Mine", str(eyes)] in [
        line.split() for line in capsys.readouterr().out.splitlines()
    ]
    assert load_task("mine").title == "Mine"


def test_missing_data_are_reported_with_terms_and_advice(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["run", "task=rite", "shots=1"]) == 2
    output = capsys.readouterr().err
    for part in ("terms:", "to get it:", "F2VBENCH_DATA", "data=", "task=folder"):
        assert part in output


def test_help_lists_every_key(capsys):
    assert main(["run", "--help"]) == 0
    output = capsys.readouterr().out
    assert all(f"  {key}  [" in output for key, _, _ in describe(RunSettings))
    assert main(["--help"]) == 0
    output = capsys.readouterr().out
    assert all(f"  {verb} " in output for verb in VERBS)


def test_help_texts_import_no_large_library():
    code = (
        "import sys; from f2vbench.cli.main import main\n"
        "assert main(['--help']) == 0\n"
        "assert not {'torch', 'pandas', 'cv2', 'timm', 'pydantic'} & set(sys.modules)\n"
        "assert main(['run', '--help']) == 0\n"
        "assert not {'torch', 'pandas', 'cv2', 'timm'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_unknown_verbs_and_actions_get_a_suggestion(capsys):
    assert main(["rum"]) == 2
    assert "did you mean 'run'" in capsys.readouterr().err
    assert main(["list", "taks"]) == 2
    assert "did you mean 'tasks'" in capsys.readouterr().err


def test_doctor_and_list_name_present_and_missing_items(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 0
    summary = capsys.readouterr().out
    assert "no problem found" in summary
    assert len(summary.splitlines()) < 20
    assert main(["doctor", "format=json"]) == 0
    checks = json.loads(capsys.readouterr().out)
    assert {"section", "status", "item", "found"} == set(checks[0])
    assert main(["doctor", "details=yes"]) == 0
    output = capsys.readouterr().out
    assert all(check["item"] in output for check in checks)
    for part in ("torch", "memory", "cache (F2VBENCH_CACHE)", "Hugging Face Hub", "rite", "not found"):
        assert part in output
    assert not [path for path in tmp_path.iterdir() if path.name != "cache"]
    assert main(["list", "models"]) == 0
    output = capsys.readouterr().out
    assert output.startswith(
        "14 encoders, 3 generators without features, 7 weights cards and 13 baselines; default weights on"
    )
    assert max(map(len, output.splitlines())) <= 140
    assert main(["list", "models", "format=json"]) == 0
    models = {item["model"]: item for item in json.loads(capsys.readouterr().out)}
    for name in ("fundus2video-mini", "fundus2fa-mini"):  # widths of the weights, which decide the shape
        assert models[name]["width"] == models[name.removesuffix("-mini")]["width"] == load_encoder(name).width
    assert models["tophat"]["kind"] == "baseline"


@pytest.mark.parametrize("arguments", [["data", "list"], ["weights", "list"], ["list", "tasks"], ["list", "runs"]])
def test_every_listing_can_be_json(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main([*arguments, "format=json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert isinstance(listed, list)
    assert main([*arguments, "format=yaml"]) == 2
    assert "must be one of text, json" in capsys.readouterr().err


def test_other_words_for_verbs_and_actions_are_understood(capsys):
    for word in ("version", "--version", "-V"):
        assert main([word]) == 0
        assert capsys.readouterr().out.startswith("f2vbench ")
    for word in ("datasets", "task", "data"):
        assert main(["list", word]) == 0
        assert "protocols of each task family" in capsys.readouterr().out


def test_a_report_without_a_run_gives_advice(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["report"]) == 2
    assert "f2vbench run task=rite" in capsys.readouterr().err
    assert main(["report", f"run={tmp_path}"]) == 2
    assert "not a run folder" in capsys.readouterr().err


def test_an_encoder_can_be_used_without_a_run():
    encoder = load_encoder("timm:test_resnet:untrained")
    image = (pd.Series(range(96 * 96 * 3)) % 255).to_numpy("uint8").reshape(96, 96, 3)
    assert encoder.embed([image, image[:50]]).shape == (2, encoder.width)
