"""Settings from arguments, files and Python; all problems are listed with key, value and suggestion."""

from __future__ import annotations

from typing import Annotated, Literal, get_args, get_origin

import pytest
from pydantic import TypeAdapter

from f2vbench import Benchmark
from f2vbench.config.parsing import build, describe, parse
from f2vbench.config.run import PRESETS, RunSettings
from f2vbench.errors import SettingsError
from f2vbench.report.settings import ReportSettings
from f2vbench.training.loss_settings import LossSettings
from f2vbench.training.settings import TrainSettings


def problems(*arguments: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        parse(RunSettings, arguments)
    return caught.value.problems


def test_lists_ranges_and_repeated_values():
    settings = parse(RunSettings, ["task=rite,drive", "shots=0-2,8", "seeds=3", "model=a,b,a"])
    assert settings.task == ["rite", "drive"]
    assert settings.shots == [0, 1, 2, 8]
    assert settings.seeds == [0, 1, 2]
    assert settings.model == ["a", "b"]


@pytest.mark.parametrize("model", [RunSettings, TrainSettings, LossSettings, ReportSettings])
def test_every_choice_can_be_written_as_text(model):
    """Values of the command line are text, choices among numbers too."""
    for name, field in model.model_fields.items():
        if get_origin(field.annotation) is Literal:
            adapter = TypeAdapter(Annotated[field.annotation, field])
            for choice in get_args(field.annotation):
                text = str(choice).lower() if isinstance(choice, bool) else str(choice)
                assert adapter.validate_python(text) == choice, name


def test_a_wrong_number_is_answered_with_the_choices():
    assert problems("task=rite", "score_views=4") == ["score_views=4: must be one of 1, 8"]


@pytest.mark.parametrize(
    ("argument", "seeds"), [("seeds=1", [0]), ("seeds=0-4", [0, 1, 2, 3, 4]), ("seeds=7,9", [7, 9])]
)
def test_seeds_are_a_number_a_range_or_a_list(argument, seeds):
    assert parse(RunSettings, ["task=rite", argument]).seeds == seeds


def test_command_line_file_and_python_give_the_same_settings(tmp_path):
    (tmp_path / "run.yaml").write_text("task: rite\nshots: [1, 2]\ndecoder:\n  crop: 64\n")
    from_arguments = parse(RunSettings, ["task=rite", "shots=1,2", "decoder.crop=64"])
    assert parse(RunSettings, [f"@{tmp_path / 'run.yaml'}"]) == from_arguments
    assert build(RunSettings, {"task": "rite", "shots": [1, 2], "decoder": {"crop": 64}}) == from_arguments


def test_arguments_override_the_file_in_any_order(tmp_path):
    (tmp_path / "run.yaml").write_text("task: rite\nepochs: 7\n")
    for arguments in (["epochs=9", f"@{tmp_path / 'run.yaml'}"], [f"@{tmp_path / 'run.yaml'}", "epochs=9"]):
        assert parse(RunSettings, arguments).epochs == 9


def test_one_value_is_read_from_a_file(tmp_path):
    (tmp_path / "models.yaml").write_text("[a, b]\n")
    assert parse(RunSettings, ["task=rite", f"model=@{tmp_path / 'models.yaml'}"]).model == ["a", "b"]


def test_every_problem_is_listed_with_key_value_and_suggestion():
    messages = problems("tsk=rite", "shots=one", "preset=quik", "decoder.crp=3", "what", "device=gpu")
    text = "\n".join(messages)
    assert "'what' is not a setting" in text
    assert "unknown key 'tsk' (value 'rite'); did you mean 'task'?" in text
    assert "task: required" in text
    assert "shots: 'one'" in text
    assert "preset=quik" in text
    assert "did you mean 'quick'?" in text
    assert "unknown key 'decoder.crp' (value '3'); did you mean 'decoder.crop'?" in text


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("shots=-1", "shots"),
        ("shots=", "shots"),
        ("jobs=0", "jobs=0"),
        ("device=gpu", "device=gpu"),
        ("shard=3/2", "shard=3/2"),
        ("cut=half", "cut"),
        ("image_size=8", "image_size"),
        ("decoder.crop=600", "must not be larger than image_size"),
        ("protocol=fewshot", "did you mean 'few-shot'"),
        ("epochs=@nowhere.yaml", "nowhere.yaml"),
        ("task=drive", "task: set twice"),
    ],
)
def test_an_invalid_value_is_reported_with_its_key(argument, message):
    assert any(message in problem for problem in problems("task=rite", argument))


def test_external_validation_names_the_side_that_is_missing():
    assert any("train=a: test= is missing" in problem for problem in problems("train=a"))
    assert any("test=b: train= is missing" in problem for problem in problems("test=b"))


def test_a_preset_sets_missing_keys_and_lists_its_changes():
    quick = parse(RunSettings, ["task=rite", "preset=quick"])
    assert quick.steps == PRESETS["quick"]["steps"]
    assert quick.augment == "pool"
    assert any(change == "augment=pool (paper: live)" for change in quick.preset_changes())
    assert parse(RunSettings, ["task=rite", "preset=paper"]).preset_changes() == []
    default = parse(RunSettings, ["task=rite"])
    assert default.preset_changes() == ["finetune=frozen (paper: vessels)", "head.recipe=mlp (paper: paper)"]
    kept = parse(RunSettings, ["task=rite", "preset=quick", "augment=live"])
    assert kept.augment == "live"
    assert not any(change.startswith("augment") for change in kept.preset_changes())


def test_the_preset_of_the_paper_fine_tunes_for_vessels_and_has_the_head_of_the_paper():
    paper, frozen = (parse(RunSettings, ["task=rite,odir-dr", "shots=1", *words]) for words in (["preset=paper"], []))
    assert (paper.finetune, paper.head.recipe, paper.preset) == ("vessels", "paper", "paper")
    assert (frozen.finetune, frozen.head.recipe, frozen.preset) == ("frozen", "mlp", "frozen")
    for name in ("image_size", "epochs", "steps", "batch_size", "augment", "decoder", "scratch"):
        assert getattr(paper, name) == getattr(frozen, name)
    assert paper.grid() == frozen.grid()  # encoders are frozen in classification
    assert (paper.folder().name, frozen.folder().name) == ("rite+odir-dr-paper", "rite+odir-dr")
    assert parse(RunSettings, ["task=rite", "preset=paper", "finetune=frozen"]).finetune == "frozen"
    with pytest.raises(SettingsError, match="augment=pool: finetune=vessels changes the encoder"):
        parse(RunSettings, ["task=rite", "preset=paper", "augment=pool"])


def test_epochs_override_the_steps_of_the_quick_preset():
    settings = parse(RunSettings, ["task=rite", "preset=quick", "epochs=3"])
    assert settings.steps is None
    assert settings.decoder_steps(support=4) == 3 * -(-4 * settings.decoder.views // settings.batch_size)


def test_floors_is_an_alias_of_baselines(tmp_path):
    (tmp_path / "run.yaml").write_text("task: rite\nfloors: [tophat, green]\n")
    expected = parse(RunSettings, ["task=rite", "baselines=tophat,green"])
    assert parse(RunSettings, ["task=rite", "floors=tophat,green"]) == expected
    assert parse(RunSettings, [f"@{tmp_path / 'run.yaml'}"]) == expected
    assert Benchmark(task="rite", floors=["tophat", "green"]).settings == expected
    assert expected.baselines == ["tophat", "green"]


def test_baselines_and_floors_together_are_an_error(tmp_path):
    message = "baselines and floors are two names of one key; keep baselines"
    assert message in problems("task=rite", "floors=none", "baselines=all")
    (tmp_path / "run.yaml").write_text("task: rite\nfloors: none\n")
    assert message in problems(f"@{tmp_path / 'run.yaml'}", "baselines=all")
    with pytest.raises(SettingsError, match=message):
        Benchmark(task="rite", floors="none", baselines="all")


def test_the_grid_follows_shots_and_protocol():
    assert parse(RunSettings, ["task=rite", "shots=0,1,4"]).grid() == [
        ("zero-shot", 0),
        ("prototype", 1),
        ("prototype", 4),
        ("few-shot", 1),
        ("few-shot", 4),
        ("probe", 1),
        ("probe", 4),
    ]
    assert parse(RunSettings, ["task=rite", "shots=all"]).grid() == [("supervised", None)]
    assert parse(RunSettings, ["task=rite", "shots=2", "finetune=full"]).grid() == [("few-shot", 2)]
    assert parse(RunSettings, ["task=rite", "shots=2", "protocol=few-shot,supervised"]).grid() == [
        ("few-shot", 2),
        ("supervised", None),
    ]


def test_every_key_has_a_description():
    for model in (RunSettings, ReportSettings):
        assert all(description for _, _, description in describe(model))
    keys = {key for key, _, _ in describe(RunSettings)}
    named = (
        "task model shots seeds protocol data out device jobs batch_size image_size cut finetune epochs preset shard"
    )
    assert set(named.split()) <= keys


@pytest.mark.parametrize("argument", ["out=", "out= ", "data=", "data.rite=", "split=", "weights=", ""])
def test_an_empty_value_is_an_error_because_a_shell_variable_may_be_unset(argument):
    (problem,) = problems("task=rite", argument)
    assert "empty" in problem
    assert "shell variable unset" in problem


def test_empty_values_in_files_and_in_python_are_errors(tmp_path):
    (tmp_path / "run.yaml").write_text("task: rite\nout: ''\n")
    assert any("out: the value is empty" in problem for problem in problems(f"@{tmp_path / 'run.yaml'}"))
    with pytest.raises(SettingsError, match="out: the value is empty"):
        Benchmark(task="rite", out="")


def test_options_with_a_space_are_read_like_keys():
    expected = parse(RunSettings, ["task=rite", "shots=1,2", "dry_run=yes", "image_size=768"])
    spaced = ["--task", "rite", "--shots", "1,2", "--dry-run", "--image-size", "768"]
    assert parse(RunSettings, spaced) == expected
    assert parse(RunSettings, ["--task=rite", "--dry-run", "shots=1,2", "image_size=768"]) == expected
    assert any("task: set twice" in problem for problem in problems("--task", "rite", "task=drive"))


def test_a_key_twice_in_a_file_is_an_error(tmp_path):
    (tmp_path / "run.yaml").write_text("task: rite\nseeds: 3\nseeds: 5\n")
    assert any("the key 'seeds' is in lines 2 and 3" in problem for problem in problems(f"@{tmp_path / 'run.yaml'}"))


@pytest.mark.parametrize("order", [["data=a", "data.rite=b"], ["data.rite=b", "data=a"]])
def test_one_folder_for_all_tasks_and_one_for_each_exclude_each_other(order):
    assert any("keep one of the two" in problem for problem in problems("task=rite", *order))


def test_the_home_folder_is_expanded_in_paths(monkeypatch):
    monkeypatch.setenv("HOME", "/home/me")
    assert str(parse(RunSettings, ["task=rite", "out=~/runs"]).out) == "/home/me/runs"


def test_only_changes_that_matter_to_the_units_are_listed():
    settings = parse(RunSettings, ["task=rite", "preset=quick"])
    assert any(change.startswith("scratch.steps") for change in settings.preset_changes())
    assert settings.preset_changes({"threshold"}) == []
    assert settings.preset_changes({"augment"}) == ["augment=pool (paper: live)"]
