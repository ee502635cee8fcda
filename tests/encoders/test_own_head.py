"""Fine-tuned classifiers are scored with the head in their file: every tensor is loaded, and classes must fit."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from f2vbench.adapters.own_head import own_head_note, own_head_probabilities, own_head_problems
from f2vbench.adapters.registry import adapter_for
from f2vbench.config.run import RunSettings
from f2vbench.data.task_cards import load_card
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.own_head import load_own_head
from f2vbench.encoders.timm_models import timm
from f2vbench.errors import SettingsError, WeightsError
from tests.helpers.retfound_files import TINY, mae_checkpoint, random_network

TASK: Any = SimpleNamespace(
    card=load_card("phantom-dr"), classes=["no_dr", "mild", "moderate", "severe", "proliferative"]
)


def fine_tuned(kind: str = "mae", pooling: str = "avg", classes: int = 5) -> dict[str, Tensor]:
    """State dict of a fine-tuned tiny RETFound: timm's transformer with a head."""
    network = timm.create_model(
        {"mae": "vit_large_patch16_224", "dinov2": "vit_large_patch14_dinov2"}[kind],
        num_classes=classes,
        global_pool=pooling,
        img_size=224,
        **TINY,
    )
    stream = torch.Generator().manual_seed(3)
    for parameter in network.parameters():
        parameter.data = 0.1 * torch.randn(parameter.shape, generator=stream)
    return network.state_dict()


def classifier(path: Path, content: object) -> Any:
    torch.save(content, path)
    return load_own_head(parse_model(f"retfound:{path}@own-head"), **TINY).eval()


def test_a_fine_tuned_retfound_computes_what_its_code_computes(tmp_path: Path) -> None:
    state = fine_tuned()
    encoder = classifier(tmp_path / "best.pth", mae_checkpoint(state))  # training files keep the decoder
    assert encoder.width == 5
    x = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    network = random_network("mae")  # without a head; RETFound's models_vit.py with global_pool
    network.load_state_dict({**network.state_dict(), **{k: v for k, v in state.items() if k in network.state_dict()}})
    with torch.inference_mode():
        tokens = network.patch_embed(x).flatten(1, 2)
        tokens = torch.cat([network.cls_token.expand(2, -1, -1), tokens], 1) + network.pos_embed
        for block in network.blocks:
            tokens = block(tokens)
        mean = tokens[:, 1:].mean(1)
        pooled = nn.functional.layer_norm(mean, (32,), state["fc_norm.weight"], state["fc_norm.bias"], 1e-6)
        expected = pooled @ state["head.weight"].T + state["head.bias"]
        torch.testing.assert_close(encoder.pooled(x), expected, atol=1e-5, rtol=1e-5)


def test_a_head_on_the_class_token_is_used_where_the_file_has_no_fc_norm(tmp_path: Path) -> None:
    state = fine_tuned("dinov2", "token", 3)
    encoder = classifier(tmp_path / "best.pth", {"model": state})
    assert encoder.model.global_pool == "token"
    found = encoder.model.state_dict()
    assert found.keys() == state.keys()
    assert all(torch.equal(found[key], state[key]) for key in state)


def test_a_timm_classifier_gives_its_own_logits(tmp_path: Path) -> None:
    network = timm.create_model("resnet10t", num_classes=4).eval()
    torch.save({"state_dict": network.state_dict()}, tmp_path / "best.pth")
    encoder = load_own_head(parse_model(f"timm:resnet10t:{tmp_path / 'best.pth'}@own-head")).eval()
    assert encoder.spec.name == "timm:resnet10t:best@own-head"
    photographs = [np.random.default_rng(0).integers(0, 255, (80, 80, 3), np.uint8)]
    x = encoder.prepare(torch.from_numpy(photographs[0]).permute(2, 0, 1)[None])
    with torch.inference_mode():
        torch.testing.assert_close(encoder.pooled(x), network(x))
    assert encoder.embed(photographs).shape == (1, 4)


def test_files_without_a_head_and_models_without_a_file_are_refused(tmp_path: Path) -> None:
    torch.save(random_network("mae").state_dict(), tmp_path / "mae.pth")
    with pytest.raises(WeightsError, match="contains no classification head"):
        parse_model(f"retfound:{tmp_path / 'mae.pth'}@own-head")
    with pytest.raises(
        SettingsError, match=r"name the file of a fine-tuned classifier, as in retfound:best\.pth@own-head"
    ):
        parse_model("retfound:untrained@own-head")
    with pytest.raises(SettingsError, match="only models of retfound, retfound-green, timm have a head"):
        parse_model("thumbnail@own-head")
    torch.save(fine_tuned(), tmp_path / "best.pth")
    with pytest.raises(SettingsError, match="has no embedding that can be joined"):
        parse_model(f"thumbnail+retfound:{tmp_path / 'best.pth'}@own-head+colour")


def spec_of(path: Path, classes: int, names: str = "") -> Any:
    torch.save({"fc.weight": torch.zeros(classes, 8), "fc.bias": torch.zeros(classes)}, path / "best.pth")
    if names:
        (path / "best.classes.txt").write_text(names)
    return parse_model(f"timm:resnet10t:{path / 'best.pth'}@own-head")


def test_a_head_with_another_number_of_classes_is_refused(tmp_path: Path) -> None:
    (problem,) = own_head_problems(spec_of(tmp_path, 3), TASK)
    assert "its head has 3 outputs, but the task has 5 classes (no_dr, mild" in problem
    assert own_head_problems(spec_of(tmp_path, 5), TASK) == []


def test_named_outputs_are_matched_to_the_classes_by_name_or_spelling(tmp_path: Path) -> None:
    spec = spec_of(tmp_path, 5, "pdr\n0\n1\n2\nsevere\n")
    assert own_head_problems(spec, TASK) == []
    logits = np.array([[5.0, 0, 0, 0, 0], [0, 0, 7.0, 0, 0]])
    probabilities = own_head_probabilities(logits, spec, TASK, "ordinal")
    assert probabilities.argmax(axis=1).tolist() == [4, 1]
    assert probabilities.sum(axis=1) == pytest.approx([1, 1])
    assert "best.classes.txt names the outputs" in own_head_note(spec)
    other = spec_of(tmp_path, 5, "a\n0\n1\n2\n3\n")
    (problem,) = own_head_problems(other, TASK)
    assert "the outputs a are no classes of the task, and proliferative are missing" in problem
    assert other.identity() != spec.identity()


def test_a_file_of_classes_that_does_not_fit_the_head_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="names 2 classes, but the head has 5 outputs"):
        spec_of(tmp_path, 5, "a\nb\n")
    with pytest.raises(WeightsError, match="names a class twice"):
        spec_of(tmp_path, 2, "a\na\n")


def test_outputs_become_probabilities_by_the_kind_of_the_labels(tmp_path: Path) -> None:
    two = SimpleNamespace(card=load_card("phantom-systemic"), classes=["without", "with"])
    one = spec_of(tmp_path, 1)
    assert own_head_problems(one, two) == []
    assert own_head_probabilities(np.zeros((1, 1)), one, two, "binary").tolist() == [[0.5, 0.5]]
    many = own_head_probabilities(np.array([[0.0, -800.0, 800.0]]), spec_of(tmp_path, 3), TASK, "multilabel")
    assert many.tolist() == [[0.5, 0.0, 1.0]]


def test_it_runs_in_zero_shot_classification_alone(tmp_path: Path) -> None:
    spec, settings = spec_of(tmp_path, 5), RunSettings(task=["phantom-dr"], seeds=[0])
    for family, protocol in (("classification", "few-shot"), ("retrieval", "zero-shot"), ("segmentation", "few-shot")):
        assert "own head" in str(adapter_for(family).left_out_reason(spec, protocol, settings))
    assert adapter_for("classification").left_out_reason(spec, "zero-shot", settings) is None
