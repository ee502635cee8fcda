"""Classification with fine-tuned encoders, on a few simulated eyes and a transformer of two blocks."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from f2vbench import Benchmark
from f2vbench.adapters.classification import Classification
from f2vbench.adapters.classification_data import load_labels
from f2vbench.adapters.fine_tuning import FineTuning
from f2vbench.encoders.mae import TransformerShape, initialise, vision_transformer
from f2vbench.errors import SettingsError, StoreError
from f2vbench.heads.epoch_selection import validation_score
from f2vbench.report.content import report_content
from f2vbench.runner.context import Context
from f2vbench.runner.worker import Worker
from f2vbench.utils.progress import Silent
from tests.helpers.patients import write_cards, write_patients
from tests.helpers.run_folders import check_records, comparable_records

MODEL = "mae:small"
HEAD = {"recipe": "paper", "epochs": 4, "warmup_epochs": 1, "widths": [8], "batch_size": 8}


@pytest.fixture(scope="module")
def eyes(tmp_path_factory) -> Path:
    return write_patients(tmp_path_factory.mktemp("eyes"), 24, 50, 1)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Path:
    """Weights of a transformer of two blocks with inputs of 32 × 32 pixels."""
    model = vision_transformer(TransformerShape(64, 2, 32))
    initialise(model)
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in model.state_dict().items()}, path)
    return path


@pytest.fixture(autouse=True)
def cards(tmp_path, monkeypatch):
    monkeypatch.setenv("F2VBENCH_PATH", str(write_cards(tmp_path / "cards")))


@pytest.fixture
def arguments(eyes, small, tmp_path) -> dict:
    return {
        "task": "tiny",
        "model": [f"mae:{small}"],
        "baselines": "none",
        "shots": [2],
        "seeds": 2,
        "finetune": "full",
        "precision": "float32",
        "data": str(eyes),
        "jobs": 1,
        "head": HEAD,
        "out": tmp_path / "run",
    }


def tuning_of(arguments: dict) -> tuple[FineTuning, Worker]:
    """Fine-tuning of a unit, before it is fitted."""
    plan = Benchmark(**arguments).make_plan()
    worker = Worker(Context(plan.settings, plan.tasks, plan.models, plan.folder.path))
    (unit,) = (unit for unit in plan.units if unit.seed == 0)
    episode = plan.tasks["tiny"].episode(unit.protocol, unit.shots, unit.seed)
    context = worker._unit_context(unit, plan.settings, folder=None)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return FineTuning(context, load_labels(context, episode, selects_epoch=unit.protocol == "supervised")), worker


def test_fine_tuning_learns_and_does_not_change_the_loaded_encoder(arguments):
    strong = {"learning_rate": 0.1, "operations": 0, "crop_area": 0.6}
    tuning, worker = tuning_of({**arguments, "shots": ["all"], "tune": strong, "head": {**HEAD, "epochs": 10}})
    loaded = worker._resources.encoder(MODEL)
    before = loaded.state_sha256()
    targets = torch.from_numpy(tuning._data.support.targets)

    def loss() -> float:
        return validation_score(tuning.logits(tuning.support_images), targets, multi_label=False)[1]

    at_first, weights = loss(), {name: p.detach().clone() for name, p in tuning.encoder.named_parameters()}
    choice = tuning.fit()
    assert loss() < 0.7 * at_first
    assert choice.validation[-1] > 0.9
    test = tuning.logits(tuning.load_image(image) for image in tuning._data.test.images)
    assert validation_score(test, torch.from_numpy(tuning._data.test.targets), multi_label=False)[0] > 0.9
    for name, parameter in tuning.encoder.named_parameters():
        assert not torch.equal(parameter, weights[name]), f"{name} was trained"
    assert loaded.state_sha256() == before == worker._resources.weights[MODEL]
    assert not any(parameter.requires_grad for parameter in loaded.parameters())
    assert not any(type(part).__name__ == "DropPath" for part in loaded.modules())


def test_one_step_agrees_with_a_plain_training_loop(arguments):
    """One epoch of one batch without random augmentation: AdamW with a learning rate for each layer, written out."""
    deterministic = {"drop_path": 0.0, "learning_rate": 0.2}
    head = {"epochs": 1, "warmup_epochs": 0, "widths": [], "dropout": 0.0, "batch_size": 16}
    tuning, worker = tuning_of({**arguments, "augment": "none", "tune": deterministic, "head": head, "select": "last"})
    encoder = worker._resources.encoder(MODEL)
    pictures = np.stack(tuning.support_images)
    prepared = encoder.prepare(torch.from_numpy(pictures).permute(0, 3, 1, 2))
    embedding = encoder.pooled(prepared).numpy().astype(np.float64)
    start = {name: p.detach().clone() for name, p in tuning.head_parameters.items()}
    variance = embedding.var(axis=0)
    drawn = np.sqrt((4 * variance + 10 * variance.mean()) / 14)
    copied = copy.deepcopy(encoder).requires_grad_(True)
    line = nn.Linear(64, 2)
    line.weight.data, line.bias.data = start["layer0.weight"].T.clone(), start["layer0.bias"][0].clone()
    scaled = (copied.pooled(prepared) - torch.tensor(embedding.mean(axis=0))) / torch.tensor(drawn)
    truth = torch.from_numpy(tuning._data.support.targets.argmax(axis=1))
    nn.CrossEntropyLoss(label_smoothing=0.1)(line(scaled.float()), truth).backward()
    tuning.fit()
    peak = 0.2 * 16 / 256
    layers = {"model.cls_token": 0, "model.blocks.0.attn.qkv.weight": 1, "model.blocks.1.mlp.fc2.bias": 2}
    for name, layer in {**layers, "model.norm.weight": 3, "model.patch_embed.proj.weight": 0}.items():
        parameter = dict(copied.named_parameters())[name]
        rate = peak * 0.65 ** (3 - layer)
        decayed = parameter * (1 - rate * 0.05) if parameter.ndim > 1 and name.endswith("weight") else parameter
        expected = decayed - rate * parameter.grad / (parameter.grad.abs() + 1e-8)  # AdamW's first step
        found = dict(tuning.encoder.named_parameters())[name]
        torch.testing.assert_close(found, expected.detach(), atol=2e-4, rtol=1e-3)
    expected = line.weight * (1 - peak * 0.05) - peak * line.weight.grad.sign()
    torch.testing.assert_close(tuning.head_parameters["layer0.weight"].T, expected.detach(), atol=1e-4, rtol=1e-3)


def test_a_unit_gives_bit_identical_results_alone_and_after_others(arguments, tmp_path):
    benchmark = Benchmark(**arguments)
    benchmark.run(Silent())
    expected = comparable_records(tmp_path / "run")
    assert len(expected) == 2
    check_records(tmp_path / "run")
    assert len({json.dumps(record["result"]["validation_auroc"]) for record in expected.values()}) == 2
    random.random()
    state = torch.random.get_rng_state()
    torch.rand(7)
    (second,) = (tmp_path / "run" / "units").glob("*seed-1*")
    second.unlink()
    assert benchmark.plan().missing.sum() == 1
    torch.random.set_rng_state(state)
    benchmark.run(Silent())
    assert torch.equal(torch.random.get_rng_state(), state), "the global random state is restored"
    assert comparable_records(tmp_path / "run") == expected
    for record in expected.values():
        result = record["result"]
        assert 1 <= result["epoch"] <= 4
        assert len(result["validation_auroc"]) == 4
        assert result["skipped_blocks"] == 2
        assert record["identity"]["settings"]["tune"]["layer_decay"] == 0.65
    with pytest.raises(StoreError, match="drop_path"):
        Benchmark(**arguments, tune={"drop_path": 0.1}).plan()
    with pytest.raises(StoreError, match=r"finetune \(stored: full, now: None\)"):
        Benchmark(**{**arguments, "finetune": "frozen"}).plan()


def test_units_without_a_trained_encoder_have_the_fingerprints_of_a_frozen_run(arguments, small):
    fusion = f"mae:{small}+thumbnail"
    all_protocols = {**arguments, "model": [f"mae:{small}", fusion, "thumbnail"], "shots": [0, 2, "all"], "seeds": 1}
    all_protocols |= {"protocol": ["zero-shot", "prototype", "knn", "probe", "few-shot", "supervised"]}
    tuned = Benchmark(**all_protocols).make_plan()
    frozen = Benchmark(**{**all_protocols, "finetune": "frozen"}).make_plan()
    before = {unit.fingerprint for unit in frozen.units}
    changed = [unit for unit in tuned.units if unit.fingerprint not in before]
    assert {(unit.encoder, unit.protocol) for unit in changed} == {(MODEL, "few-shot"), (MODEL, "supervised")}
    assert {name for unit in frozen.units for name in unit.identity["settings"]} == {
        "precision",
        "select",
        "head",
        "neighbours",
    }
    planned = {(unit.encoder, unit.protocol) for unit in tuned.units}
    assert {(f"{MODEL}+thumbnail", "zero-shot"), ("thumbnail", "supervised")} <= planned
    assert not {(f"{MODEL}+thumbnail", "few-shot"), (f"{MODEL}+thumbnail", "supervised")} & planned
    assert sum("finetune=full trains one encoder" in line for line in tuned.left_out) == 2
    assert any("the baseline random starts from random weights" in note for note in tuned.notes)
    context = Context(tuned.settings, tuned.tasks, tuned.models, tuned.folder.path)
    assert {unit.protocol for unit in tuned.units if unit.encoder == MODEL and context.feature(unit) is None} == {
        "few-shot",
        "supervised",
    }


def test_a_run_with_baselines_from_the_plan_to_the_methods_section(arguments, tmp_path):
    benchmark = Benchmark(
        **{**arguments, "baselines": "thumbnail", "seeds": 1, "select": "last", "head": {**HEAD, "epochs": 2}}
    )
    plan, estimate = benchmark.make_plan(), benchmark.estimate()
    assert estimate is not None
    assert estimate.models[MODEL].images == 0, "no features are computed in advance"
    assert not (tmp_path / "run").exists()
    episode = plan.tasks["tiny"].episode("few-shot", 2, 0)
    chooses = plan.settings.model_copy(update={"select": "val"})
    for settings, val in ((plan.settings, 0), (chooses, len(episode.val))):
        steps = Classification().fit_steps(plan.models[MODEL], "few-shot", settings, episode)
        assert steps == 2 * (3 * 4 + val)
    results = benchmark.run(Silent())
    methods = " ".join(report_content(results).methods)
    assert "each encoder was fine-tuned end to end" in methods
    assert "layer-wise learning-rate decay 0.65, stochastic depth 0.2, random crops" in methods
    assert "frozen embeddings" not in methods
    by_model = {record["unit"]["encoder"]: record for record in comparable_records(tmp_path / "run").values()}
    result = by_model[MODEL]["result"]
    assert (result["epoch"], result["validation_auroc"]) == (2, [None, None])
    assert "tune" not in by_model["thumbnail"]["identity"]["settings"]
    assert result["episode"] == by_model["thumbnail"]["result"]["episode"]


def test_diverging_training_is_reported_with_advice(arguments, tmp_path):
    benchmark = Benchmark(**{**arguments, "tune": {"learning_rate": 1e30, "layer_decay": 1}, "seeds": 1})
    with pytest.raises(SettingsError, match=r"loss is not finite in epoch .; try a smaller tune\.learning_rate"):
        benchmark.run(Silent())
    assert not list((tmp_path / "run" / "units").glob("*.json"))
    with pytest.raises(SettingsError, match=r"tune\.layer_decay"):
        Benchmark(**{**arguments, "tune": {"layer_decay": 1.5}})
