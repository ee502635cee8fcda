"""A completed training becomes weights with a card."""

from __future__ import annotations

import json

import pytest

from f2vbench.cli.main import main
from f2vbench.encoders.model_argument import parse_model
from f2vbench.errors import WeightsError
from f2vbench.pretrained.checkpoints import file_sha256
from f2vbench.pretrained.shards import stored_files
from f2vbench.pretrained.weights_cards import weights_card
from tests.helpers.completed_training import SHAPE, make_card, write_training


def test_a_card_has_the_facts_of_the_training(card_folder, tmp_path):
    quality = tmp_path / "quality.yaml"
    quality.write_text("- {data: RITE training half, metric: auroc, value: 0.95, note: zero-shot}\n")
    run = write_training(tmp_path / "run")
    assert make_card(run, card_folder, "tiny", f"quality={quality}") == 0
    card, facts = weights_card("tiny"), json.loads((run / "generator.json").read_text())
    assert (card.sha256, card.size) == (facts["sha256"], facts["bytes"])
    assert (card_folder / card.file).read_bytes() == (run / "generator.safetensors").read_bytes()
    assert (card.family, card.default_of, card.licence) == ("fundus2video", None, "MIT")
    assert card.network == {"name": "pix2pixhd-global", "inputs": 6, "outputs": 3, "ngf": 4, "classes": 18, **SHAPE}
    assert (card.training.seed, card.training.epochs, card.training.seconds) == (3, 5, 5400.0)
    assert card.training.machine == "Abacus 3000, 8 cores, 1 used"
    assert card.training.software == {"f2vbench": "9.9", "python": "3.12.1", "torch": "2.9.0"}
    assert "simulated eyes" in card.training_data
    assert [(m.data, m.metric, m.value, m.note) for m in card.quality] == [
        ("RITE training half", "auroc", 0.95, "zero-shot"),
        ("validation eyes of the training", "psnr", 21.5, None),
    ]


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        (lambda run: write_training(run, completed_epochs=4), [], "incomplete (4 of 5 epochs)"),
        (lambda run: (run / "generator.json").unlink(), [], "no exported weights"),
        (lambda run: (run / "generator.json").write_text("{"), [], "no description of a training"),
        (lambda run: (run / "generator.safetensors").write_bytes(b"x" * 99), [], "not the file"),
        (lambda run: write_training(run, data="pairs.csv"), [], "training_data: required"),
        (lambda run: None, ["quality=nowhere.yaml"], "quality=nowhere.yaml"),
        (lambda run: None, ["name=fundus2fa"], "a model family has this name"),
        (lambda run: None, ["name=Tiny"], "name"),
    ],
)
def test_problems_are_reported_and_nothing_is_written(card_folder, tmp_path, capsys, change, settings, message):
    run = write_training(tmp_path / "run")
    change(run)
    named = settings if any(setting.startswith("name=") for setting in settings) else ["name=tiny", *settings]
    assert main(["weights", "make", str(run), f"out={card_folder}", *named]) == 2
    assert message in capsys.readouterr().err
    assert not list(card_folder.iterdir())


def test_all_problems_of_measured_values_are_listed(card_folder, tmp_path, capsys):
    quality = tmp_path / "quality.yaml"
    quality.write_text("- {data: RITE, value: 0.9}\n- {data: RITE, metric: dice, value: much}\n")
    assert make_card(write_training(tmp_path / "run"), card_folder, "tiny", f"quality={quality}") == 2
    message = capsys.readouterr().err
    assert "entry 1: metric" in message
    assert "entry 2: value" in message


@pytest.mark.parametrize(("completed", "code"), [(True, 0), (False, 2)])
def test_a_training_with_a_budget_is_complete_at_its_end_whatever_its_number_of_passes(
    card_folder, tmp_path, capsys, completed, code
):
    run = write_training(tmp_path / "run")
    facts = json.loads((run / "generator.json").read_text())
    facts |= {"epochs": 3 if completed else 9, "seconds": 1080.0, "completed": completed}
    facts["settings"]["minutes"] = 20.0  # in 5 epochs of the schedule
    (run / "generator.json").write_text(json.dumps(facts))
    assert make_card(run, card_folder, "tiny") == code
    assert ("incomplete (18.0 of 20 minutes)" in capsys.readouterr().err) == (not completed)


def test_the_description_of_an_earlier_version_is_complete_by_its_epochs(card_folder, tmp_path):
    for epochs, code in ((4, 2), (5, 0)):
        run = write_training(tmp_path / f"run-{epochs}")
        facts = json.loads((run / "generator.json").read_text())
        del facts["completed"]
        (run / "generator.json").write_text(json.dumps({**facts, "epochs": epochs}))
        assert make_card(run, card_folder, "tiny") == code


def test_other_weights_with_the_name_are_replaced_only_with_replace(card_folder, tmp_path, capsys):
    make_card(write_training(tmp_path / "run"), card_folder, "tiny")
    before = (card_folder / "tiny.safetensors").read_bytes()
    other = write_training(tmp_path / "other", seed=4)
    assert make_card(other, card_folder, "tiny") == 2
    assert "replace=yes" in capsys.readouterr().err
    assert (card_folder / "tiny.safetensors").read_bytes() == before
    assert make_card(other, card_folder, "tiny", "replace=yes") == 0
    assert weights_card("tiny").sha256 == file_sha256(other / "generator.safetensors")


LIMIT = 600_000  # three shards


def test_weights_in_shards_get_the_name_of_their_card_and_keep_their_identity(card_folder, tmp_path, capsys):
    run = write_training(tmp_path / "run", limit=LIMIT)
    assert make_card(run, card_folder, "tiny", "default=yes") == 0
    assert "tiny.safetensors.index.json (1.4 MB)" in capsys.readouterr().out
    card, facts = weights_card("tiny"), json.loads((run / "generator.json").read_text())
    shards = [f"tiny-{number:05}-of-00003.safetensors" for number in (1, 2, 3)]
    files = stored_files(card_folder / card.file)
    assert [file.name for file in files] == ["tiny.safetensors.index.json", *shards]
    assert sorted(file.name for file in card_folder.iterdir()) == sorted([*(f.name for f in files), "tiny.yaml"])
    assert card.size == sum(file.stat().st_size for file in files)
    assert card.sha256 == facts["sha256"]
    spec = parse_model("fundus2video")
    assert spec.weights_label == f"tiny.safetensors@{card.sha256[:8]}"
    assert spec.identity() == parse_model(f"fundus2video:{run / 'generator.safetensors'}").identity()
    assert main(["weights", "check", "tiny"]) == 0
    assert "ok, loads as fundus2video" in capsys.readouterr().out


def test_check_names_the_shard_that_is_missing_or_of_other_weights(card_folder, tmp_path, capsys):
    make_card(write_training(tmp_path / "run", limit=LIMIT), card_folder, "tiny")
    make_card(write_training(tmp_path / "other", seed=4, limit=LIMIT), tmp_path / "others", "tiny")
    shard = card_folder / "tiny-00002-of-00003.safetensors"
    shard.write_bytes((tmp_path / "others" / shard.name).read_bytes())
    assert main(["weights", "check", "tiny"]) == 2
    assert f"{shard}: shard 2 of 3 of tiny.safetensors.index.json is damaged or of another" in capsys.readouterr().err
    shard.unlink()
    assert main(["weights", "check", "tiny"]) == 2
    assert f"the shards {shard.name} are missing" in capsys.readouterr().err
    with pytest.raises(WeightsError, match="are missing"):
        parse_model("tiny")
    # All files of other weights are refused by the card.
    for file in stored_files(tmp_path / "others" / "tiny.safetensors"):
        (card_folder / file.name).write_bytes(file.read_bytes())
    assert main(["weights", "check", "tiny"]) == 2
    assert "not the file of weights/tiny.yaml" in capsys.readouterr().err


@pytest.mark.parametrize("limits", [(10**9, LIMIT), (LIMIT, 10**9)])
def test_weights_in_shards_replace_a_file_and_are_replaced_by_one(card_folder, tmp_path, capsys, limits):
    first, second = limits
    make_card(write_training(tmp_path / "run", limit=first), card_folder, "tiny")
    before = {file.name: file.read_bytes() for file in card_folder.iterdir()}
    other = write_training(tmp_path / "other", seed=4, limit=second)
    assert make_card(other, card_folder, "tiny") == 2
    assert "replace=yes" in capsys.readouterr().err
    assert {file.name: file.read_bytes() for file in card_folder.iterdir()} == before
    assert make_card(other, card_folder, "tiny", "replace=yes") == 0
    card = weights_card("tiny")
    names = {file.name for file in stored_files(card_folder / "tiny.safetensors")}
    assert {file.name for file in card_folder.iterdir()} == {*names, "tiny.yaml"}
    assert card.sha256 == file_sha256(other / "generator.safetensors")


def test_a_run_folder_with_a_missing_shard_makes_no_weights(card_folder, tmp_path, capsys):
    run = write_training(tmp_path / "run", limit=LIMIT)
    (run / "generator-00003-of-00003.safetensors").unlink()
    assert make_card(run, card_folder, "tiny") == 2
    assert "shard 3 of 3 of generator.safetensors.index.json is missing" in capsys.readouterr().err
    assert not list(card_folder.iterdir())
