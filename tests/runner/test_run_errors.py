"""Runs with unusable arguments, data, weights or run folders are refused with a message, and write nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from f2vbench import Benchmark
from f2vbench.cli.main import main
from f2vbench.errors import F2VBenchError, SettingsError, StoreError
from f2vbench.utils.progress import Silent
from tests.helpers.eyes import write_eyes
from tests.helpers.segmentation_runs import ARGUMENTS, SETTINGS, UNITS

INVALID = [
    (["task=rit"], "did you mean 'rite'"),
    (["task=rite"], "AV_groundTruth"),
    (["model=fundus2vido:untrained"], "did you mean 'fundus2video'"),
    (["model=timm:resnet81:untrained"], "resnet18"),
    (["model=fundus2video:"], "nothing follows the colon"),
    (["model=fundus2video:nowhere.pth"], "there is no weights file"),
    (["baselines=tophot"], "did you mean 'tophat'"),
    (["shots=three"], "shots"),
    (["shot=1"], "did you mean 'shots'"),
    (["shots=40"], "shots=40"),
    (["data=/nowhere/at/all"], "/nowhere/at/all"),
    (["device=cuda:7", "model=timm:test_resnet:untrained"], "cuda:7"),
]


def test_other_settings_or_data_need_another_run_folder(eyes, completed, tmp_path):
    with pytest.raises(StoreError, match=rf"steps \(stored: {SETTINGS['steps']}, now: 9\)"):
        Benchmark(data=str(eyes), out=completed, **{**SETTINGS, "steps": 9}).run()
    other = write_eyes(tmp_path / "other", 7)
    with pytest.raises(StoreError, match="images or labels of folder"):
        Benchmark(data=str(other), out=completed, **SETTINGS).run()
    extended = Benchmark(data=str(eyes), out=completed, **{**SETTINGS, "seeds": 3}).plan()
    assert extended.done.sum() == UNITS
    assert extended.missing.sum() == UNITS / 2


def test_changed_weights_of_the_same_name_are_refused(eyes, completed, monkeypatch):
    from f2vbench.encoders import base

    monkeypatch.setattr(base.Encoder, "state_sha256", lambda self: "f" * 64)
    with pytest.raises(StoreError, match="are not those of its earlier units"):
        Benchmark(data=str(eyes), out=completed, **{**SETTINGS, "seeds": 3}).run(Silent())


@pytest.mark.parametrize(("arguments", "message"), INVALID, ids=[" ".join(arguments) for arguments, _ in INVALID])
def test_invalid_arguments_are_refused_and_nothing_is_written(eyes, tmp_path, capsys, arguments, message):
    keys = {argument.partition("=")[0] for argument in arguments}
    data = [] if "task=rite" in arguments or "data" in keys else [f"data={eyes}"]
    others = [argument for argument in ARGUMENTS if argument.partition("=")[0] not in keys]
    assert main(["run", *others, *arguments, *data, f"out={tmp_path / 'run'}", "jobs=1"]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("run/units/*.json"))


class CreatesFile:
    """An object that creates a file when it is unpickled."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_invalid_checkpoints_are_named_and_their_code_is_not_executed(eyes, tmp_path, capsys):
    state = {"a": torch.zeros(2)}
    torch.save(state, tmp_path / "truncated.pth")
    torch.save(state, tmp_path / "another.pth")
    torch.save({**state, "b": CreatesFile(tmp_path / "executed")}, tmp_path / "malicious.pth")
    truncated = tmp_path / "truncated.pth"
    truncated.write_bytes(truncated.read_bytes()[:300])
    others = [argument for argument in ARGUMENTS if not argument.startswith(("model", "baselines"))]
    for name, message in (
        ("truncated", "truncated.pth"),
        ("another", "no pix2pixHD generator"),
        ("malicious", "refused"),
    ):
        model = ["model=fundus2video", f"weights={tmp_path / name}.pth", "baselines=none"]
        assert main(["run", *others, *model, f"data={eyes}", "jobs=1", f"out={tmp_path / name}"]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert f"{name}.pth" in error
    assert not (tmp_path / "executed").exists()


def test_all_problems_of_a_run_are_listed_together(eyes):
    benchmark = Benchmark(
        task=["rit", "folder"], model="fundus2vido:untrained", baselines="tophot", data={"folder": str(eyes)}
    )
    with pytest.raises(SettingsError) as caught:
        benchmark.plan()
    assert len(caught.value.problems) == 3


def test_weights_that_no_model_of_the_run_uses_are_an_error(eyes):
    for model in ("fundus2fa-mini", "tophat"):
        with pytest.raises(SettingsError, match=r"weights=nowhere\.pth: no such file, and no model uses it"):
            Benchmark(task="folder", model=model, weights="nowhere.pth", data={"folder": str(eyes)}).plan()


def test_damaged_images_and_unusable_run_folders_are_refused(eyes, tmp_path):
    damaged = write_eyes(tmp_path / "damaged", 6)
    image = damaged / "images" / "eye03.png"
    image.write_bytes(image.read_bytes()[:200])
    with pytest.raises(F2VBenchError, match="eye03"):
        Benchmark(data=str(damaged), out=tmp_path / "run", **SETTINGS).run()
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="is a file, not a folder"):
        Benchmark(data=str(eyes), out=tmp_path / "file", **SETTINGS).run()
