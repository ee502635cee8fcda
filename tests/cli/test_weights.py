"""`f2vbench weights`: list, show, where and check."""

from __future__ import annotations

import pytest
import yaml

from f2vbench.cli.main import main
from f2vbench.encoders.model_argument import parse_model
from f2vbench.errors import WeightsError
from tests.helpers.completed_training import make_card, write_training


def test_list_show_and_where(card_folder, tmp_path, capsys):
    make_card(write_training(tmp_path / "run"), card_folder, "tiny", "default=yes")
    capsys.readouterr()
    assert main(["weights", "list"]) == 0
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("tiny"))
    assert "default of fundus2video" in row
    assert str(card_folder / "tiny.safetensors") in row
    assert main(["weights", "show", "tiny"]) == 0
    assert yaml.safe_load(capsys.readouterr().out)["training"]["seed"] == 3
    assert main(["weights", "where", "tiny"]) == 0
    assert capsys.readouterr().out == f"{card_folder / 'tiny.safetensors'}\n"
    assert main(["list", "models"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert any(row[0] == "fundus2video" and row[2] == "tiny" for row in rows)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["where", "lpips-alexx"], "did you mean 'lpips-alex'"),
        (["chek"], "did you mean 'check'"),
        (["show"], "give <card>, as in: f2vbench weights show <card>"),
        (["show", "a", "b"], "give one <card>, not a b"),
        (["check", "a", "b"], "give one [<card>], not a b"),
        (["list", "a"], "not a setting"),
    ],
)
def test_invalid_calls_are_explained(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["weights", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_help_of_each_command(capsys):
    assert main(["weights"]) == 0
    assert "usage: f2vbench weights <command>" in capsys.readouterr().out
    for command in ("list", "show", "where", "check", "make", "push"):
        assert main(["weights", command, "--help"]) == 0
        assert f"usage: f2vbench weights {command}" in capsys.readouterr().out


def test_a_file_that_differs_from_its_card_is_refused_by_the_model_and_by_check(card_folder, tmp_path, capsys):
    make_card(write_training(tmp_path / "run"), card_folder, "tiny", "default=yes")
    assert main(["weights", "check", "tiny"]) == 0
    assert "loads as fundus2video" in capsys.readouterr().out
    other = write_training(tmp_path / "other", seed=4) / "generator.safetensors"
    (card_folder / "tiny.safetensors").write_bytes(other.read_bytes())
    with pytest.raises(WeightsError, match="not the file"):
        parse_model("fundus2video")
    assert main(["weights", "check"]) == 2
    assert "tiny.safetensors: not the file" in capsys.readouterr().err


def test_files_in_a_weights_folder_that_are_not_cards_are_ignored(card_folder, capsys):
    (card_folder / "config.yaml").write_text("lr: 1\n")
    (card_folder / "broken.yaml").write_text("used_for: [\n")
    assert main(["weights", "list"]) == 0
    table = capsys.readouterr().out
    assert "config" not in table
    assert "damaged card" in table
    assert parse_model("fundus2video:untrained").weights == "untrained"
