"""Results of a run as evaluation results of a model repository, against the Hub's own parser and a stand-in."""

from __future__ import annotations

import pytest
import yaml

from f2vbench.cli.main import main
from f2vbench.report.run_results import RunResults
from tests.helpers.hub_stand_in import TOKEN, stand_in
from tests.helpers.stored_runs import grid, write_run

hub_package = pytest.importorskip("huggingface_hub")
if not hasattr(hub_package, "EvalResultEntry"):
    pytest.skip("this huggingface_hub has no evaluation results", allow_module_level=True)

MODEL = ["model=mine", "dataset=owner/eyes", "repo=me/model"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    records = grid({"mine": 0.9, "net": 0.5}, untrained=("net",), seeds=3, shots=(0, 2), weights_sha256="ab" * 32)
    for record in records:
        record["pretrained_on"] = ["eyes"] if record["unit"]["encoder"] == "mine" else []
    return write_run(tmp_path_factory.mktemp("eval") / "run", records)


def test_a_dry_run_writes_the_layout_of_the_hub_without_network(run, tmp_path, capsys):
    arguments = ["revision=0123456", "source=https://example.org/report.html", "--dry-run", f"out={tmp_path / 'up'}"]
    assert main(["weights", "results", str(run), *MODEL, *arguments]) == 0
    assert "2 results of mine written to" in capsys.readouterr().out
    (file,) = [path for path in (tmp_path / "up").rglob("*") if path.is_file()]
    assert file.relative_to(tmp_path / "up").as_posix() == ".eval_results/eyes.yaml"
    content = yaml.safe_load(file.read_text())
    assert content[0]["dataset"] == {"id": "owner/eyes", "task_id": "eyes-zero-shot", "revision": "0123456"}
    entries = hub_package.parse_eval_result_entries(content)
    summary = RunResults.load(run).summary(["auroc"]).query("encoder == 'mine'").set_index("shots")
    assert [entry.value for entry in entries] == [summary.loc[shots, "mean"] for shots in (0, 2)]
    assert entries[1].task_id == "eyes-few-shot-2"
    assert entries[1].source_name == "f2vbench report"
    assert entries[1].notes.startswith("AUROC, mean over 3 seeds; 95 % interval [0.")
    assert entries[1].notes.endswith("f2vbench 0.1.0; trained on images of this data set")


def test_metric_and_task_id_can_be_chosen(run, tmp_path):
    chosen = ["metric=dice", "task_id=v1/{condition}", "--dry-run", f"out={tmp_path / 'up'}"]
    assert main(["weights", "results", str(run), *MODEL, *chosen]) == 0
    content = yaml.safe_load((tmp_path / "up" / ".eval_results" / "eyes.yaml").read_text())
    assert content[0]["dataset"]["task_id"] == "v1/eyes-zero-shot"
    assert content[0]["value"] == pytest.approx(0.72, abs=0.02)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ("model=mime", "did you mean 'mine'?"),
        ("model=net", "has no trained weights"),
        ("task=eye", "did you mean 'eyes'?"),
        ("metric=auro", "did you mean 'auroc'?"),
        ("dataset=eyes", "dataset"),
    ],
)
def test_invalid_arguments_are_errors_and_write_nothing(run, tmp_path, capsys, changed, message):
    key = changed.partition("=")[0]
    arguments = [argument for argument in MODEL if not argument.startswith(f"{key}=")]
    code = main(["weights", "results", str(run), *arguments, changed, "--dry-run", f"out={tmp_path / 'up'}"])
    assert code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "up").exists()


def test_a_run_of_several_tasks_needs_the_choice_of_one(tmp_path, capsys):
    records = [*grid({"mine": 0.9}, seeds=1), *grid({"mine": 0.9}, seeds=1, task="others")]
    run = write_run(tmp_path / "run", records)
    assert main(["weights", "results", str(run), *MODEL, "--dry-run", f"out={tmp_path / 'up'}"]) == 2
    assert "this run has 2 tasks (eyes, others)" in capsys.readouterr().err


def test_results_are_uploaded_in_one_commit_and_earlier_ones_are_kept_unless_replaced(run, monkeypatch, capsys):
    with stand_in() as hub:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub.url)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
        arguments = ["weights", "results", str(run), *MODEL]
        assert main(arguments) == 2
        assert "not logged in to the Hub" in capsys.readouterr().err
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        monkeypatch.setattr("huggingface_hub.get_token", lambda: TOKEN)
        assert main(arguments) == 2
        assert "no such repository" in capsys.readouterr().err
        hub.commits["me/model"] = [{"README.md": b"mine"}]
        assert main(arguments) == 0
        assert f"2 results of mine uploaded to hf://me/model@{hub.oid('me/model')}" in capsys.readouterr().out
        stored = hub.commits["me/model"][-1]
        assert stored["README.md"] == b"mine"
        assert len(hub_package.parse_eval_result_entries(yaml.safe_load(stored[".eval_results/eyes.yaml"]))) == 2
        assert main(arguments) == 2
        assert "write replace=yes" in capsys.readouterr().err
        assert main([*arguments, "metric=dice", "replace=yes"]) == 0
        assert hub.commits["me/model"][-1][".eval_results/eyes.yaml"] != stored[".eval_results/eyes.yaml"]
