"""Words become settings; whatever is wrong is told all at once, with its key, value and a suggestion."""

from __future__ import annotations

import pytest

from f2vbench.config.parsing import build, describe, parse
from f2vbench.config.run import PRESETS, RunSettings
from f2vbench.errors import SettingsError
from f2vbench.report.settings import ReportSettings


def problems(*words: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse(RunSettings, words)
    return caught.value.problems


def test_lists_ranges_and_numbers():
    settings = parse(RunSettings, ["task=rite,drive", "shots=0-2,8", "seeds=3", "model=a,b,a"])
    assert settings.task == ["rite", "drive"]
    assert settings.shots == [0, 1, 2, 8]
    assert settings.seeds == [0, 1, 2]
    assert settings.model == ["a", "b"]


@pytest.mark.parametrize(("word", "seeds"), [("seeds=1", [0]), ("seeds=0-4", [0, 1, 2, 3, 4]), ("seeds=7,9", [7, 9])])
def test_a_number_of_seeds_or_their_names(word, seeds):
    assert parse(RunSettings, ["task=rite", word]).seeds == seeds


def test_the_three_doors_give_the_same_settings(tmp_path):
    (tmp_path / "run.yaml").write_text("task: rite\nshots: [1, 2]\ndecoder:\n  crop: 64\n")
    by_words = parse(RunSettings, ["task=rite", "shots=1,2", "decoder.crop=64"])
    assert parse(RunSettings, [f"@{tmp_path / 'run.yaml'}"]) == by_words
    assert build(RunSettings, {"task": "rite", "shots": [1, 2], "decoder": {"crop": 64}}) == by_words


def test_words_win_over_the_file_wherever_it_stands(tmp_path):
    (tmp_path / "run.yaml").write_text("task: rite\nepochs: 7\n")
    for words in (["epochs=9", f"@{tmp_path / 'run.yaml'}"], [f"@{tmp_path / 'run.yaml'}", "epochs=9"]):
        assert parse(RunSettings, words).epochs == 9


def test_one_value_from_a_file(tmp_path):
    (tmp_path / "models.yaml").write_text("[a, b]\n")
    assert parse(RunSettings, ["task=rite", f"model=@{tmp_path / 'models.yaml'}"]).model == ["a", "b"]


def test_every_problem_is_listed_with_key_value_and_suggestion():
    found = problems("tsk=rite", "shots=one", "preset=quik", "decoder.crp=3", "what", "device=gpu")
    text = "\n".join(found)
    assert "'what' is not a setting" in text
    assert "unknown key 'tsk' (value 'rite'); did you mean 'task'?" in text
    assert "task: required" in text
    assert "shots: 'one'" in text
    assert "preset=quik" in text
    assert "did you mean 'quick'?" in text
    assert "unknown key 'decoder.crp' (value '3'); did you mean 'decoder.crop'?" in text


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("shots=-1", "shots"),
        ("shots=", "shots"),
        ("jobs=0", "jobs=0"),
        ("device=gpu", "device=gpu"),
        ("shard=3/2", "shard=3/2"),
        ("cut=18", "cut=18"),
        ("image_size=8", "image_size"),
        ("decoder.crop=600", "must not be larger than image_size"),
        ("protocol=fewshot", "did you mean 'few-shot'"),
        ("epochs=@nowhere.yaml", "nowhere.yaml"),
        ("task=drive", "task: set twice"),
    ],
)
def test_a_bad_value_is_told_by_its_key(word, message):
    assert any(message in problem for problem in problems("task=rite", word))


def test_presets_fill_what_is_not_said_and_say_what_they_changed():
    quick = parse(RunSettings, ["task=rite", "preset=quick"])
    assert quick.steps == PRESETS["quick"]["steps"]
    assert quick.augment == "pool"
    assert any(change.startswith("augment: live → pool") for change in quick.preset_changes())
    assert parse(RunSettings, ["task=rite"]).preset_changes() == []
    kept = parse(RunSettings, ["task=rite", "preset=quick", "augment=live"])
    assert kept.augment == "live"
    assert not any(change.startswith("augment") for change in kept.preset_changes())


def test_naming_epochs_makes_the_quick_preset_count_epochs():
    settings = parse(RunSettings, ["task=rite", "preset=quick", "epochs=3"])
    assert settings.steps is None
    assert settings.decoder_steps(support=4) == 3 * -(-4 * settings.decoder.views // settings.batch_size)


def test_the_grid_follows_shots_and_protocol():
    assert parse(RunSettings, ["task=rite", "shots=0,1,4"]).grid() == [
        ("zero-shot", 0),
        ("few-shot", 1),
        ("few-shot", 4),
    ]
    assert parse(RunSettings, ["task=rite", "shots=2", "protocol=few-shot,supervised"]).grid() == [
        ("few-shot", 2),
        ("supervised", None),
    ]


def test_every_key_of_the_command_has_a_meaning():
    for model in (RunSettings, ReportSettings):
        assert all(meaning for _, _, meaning in describe(model))
    keys = {key for key, _, _ in describe(RunSettings)}
    named = (
        "task model shots seeds protocol data out device jobs batch_size image_size cut finetune epochs preset shard"
    )
    assert set(named.split()) <= keys
