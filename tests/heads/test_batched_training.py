"""Heads in a stack against single heads that a plain loop trains."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from f2vbench.config.fitting import HeadSettings
from f2vbench.heads.batched_training import HeadData, learning_rate_at, predict_probabilities, train_heads
from f2vbench.heads.mlp import Mlp

CPU = torch.device("cpu")
SETTINGS = HeadSettings(widths=[12, 8], epochs=12, warmup_epochs=3, batch_size=8, dropout=0.3)


def head_data(seed: int, n: int, classes: int = 3, multi_label: bool = False, val: int = 20) -> HeadData:
    """Normally distributed features around class means."""
    draw = np.random.default_rng(seed)
    means = np.random.default_rng(99).normal(size=(classes, 10))

    def split(count: int) -> tuple[list[torch.Tensor], torch.Tensor]:
        truth = np.concatenate([np.arange(classes), draw.integers(0, classes, count - classes)])
        targets = truth[:, None] == np.arange(classes)
        if multi_label:
            targets = targets | (draw.random(targets.shape) < 0.2)
        points = targets @ means + draw.normal(size=(count, 10))
        return [torch.tensor(points, dtype=torch.float32)], torch.tensor(targets)

    return HeadData(*split(n), *split(val), seed=seed, multi_label=multi_label)


def train_plainly(head: Mlp, data: HeadData, settings: HeadSettings) -> tuple[nn.Module, int]:
    """Train a single head with PyTorch's layers, losses and optimiser; return it and the best epoch."""
    generator = torch.Generator().manual_seed(data.seed)
    initial = head.initial_parameters(generator)
    layers = [nn.Linear(a, b) for a, b in zip(head.sizes[:-1], head.sizes[1:], strict=True)]
    for depth, layer in enumerate(layers):
        layer.weight.data = initial[f"layer{depth}.weight"].T.clone()
        layer.bias.data = initial[f"layer{depth}.bias"][0].clone()
    network = nn.Sequential(*layers)

    def forward(x, masks=None):
        for depth, layer in enumerate(layers[:-1]):
            x = layer(x).relu()
            x = x if masks is None else x * masks[depth]
        return layers[-1](x)

    single_label = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)
    criterion = nn.BCEWithLogitsLoss() if data.multi_label else single_label
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=settings.weight_decay, foreach=False)
    steps = math.ceil(len(data.targets) / settings.batch_size)
    best, state, best_epoch = (-1.0, 0.0), None, 0
    (x,), (xv,) = data.features, data.val_features
    for epoch in range(settings.epochs):
        order = torch.randperm(len(x), generator=generator)
        for step in range(steps):
            rows = order[step * settings.batch_size : (step + 1) * settings.batch_size]
            for group in optimiser.param_groups:
                group["lr"] = learning_rate_at(settings, epoch + step / steps)
            draws = [torch.rand((len(rows), width), generator=generator) for width in settings.widths]
            logits = forward(x[rows], [(draw >= settings.dropout) / (1 - settings.dropout) for draw in draws])
            if data.multi_label:
                target = data.targets[rows] * (1 - settings.label_smoothing) + settings.label_smoothing / 2
            else:
                target = data.targets[rows].float().argmax(1)
            optimiser.zero_grad()
            criterion(logits, target).backward()
            optimiser.step()
        with torch.no_grad():
            logits = forward(xv)
            p = logits.sigmoid() if data.multi_label else logits.softmax(1)
            auroc = roc_auc_score(data.val_targets.numpy(), p.numpy(), average="macro")
            if data.multi_label:
                loss = nn.functional.binary_cross_entropy_with_logits(logits, data.val_targets.float())
            else:
                loss = nn.functional.cross_entropy(logits, data.val_targets.float().argmax(1))
        if (auroc, -float(loss)) > best:
            best, best_epoch = (auroc, -float(loss)), epoch + 1
            state = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(state)
    return network, best_epoch


@pytest.mark.parametrize("multi_label", [False, True])
def test_each_head_of_a_stack_equals_a_single_head(multi_label):
    head = Mlp(10, SETTINGS.widths, 3, SETTINGS.dropout)
    sizes = {1: 20, 2: 19, 3: 40, 4: 3, 5: 24}
    data_sets = [head_data(seed, n, multi_label=multi_label) for seed, n in sizes.items()]
    stacked = train_heads(head, data_sets, SETTINGS, CPU)
    for data, trained in zip(data_sets, stacked, strict=True):
        network, epoch = train_plainly(head, data, SETTINGS)
        assert trained.epoch == epoch
        for depth in range(3):
            weight = network[depth].weight.detach().T
            np.testing.assert_allclose(trained.parameters[f"layer{depth}.weight"], weight, atol=1e-5)
            np.testing.assert_allclose(
                trained.parameters[f"layer{depth}.bias"][0], network[depth].bias.detach(), atol=1e-5
            )
        p = predict_probabilities(head, trained.parameters, data.val_features, multi_label, CPU)
        assert p.shape == (20, 3)
        if not multi_label:
            np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("sizes", [(19, 20, 21, 22, 23), (3, 5, 6, 8, 7)])
def test_the_bits_of_a_head_do_not_depend_on_the_other_heads_of_the_stack(sizes):
    """The heads have last batches, or single batches, and validation sets of different sizes."""
    head = Mlp(10, SETTINGS.widths, 3, SETTINGS.dropout)
    data_sets = [head_data(seed, n, val=12 + 5 * seed) for seed, n in enumerate(sizes)]
    stacked = train_heads(head, data_sets, SETTINGS, CPU)
    for chosen in ([0], [3, 1], [4, 2, 0]):
        fewer = train_heads(head, [data_sets[position] for position in chosen], SETTINGS, CPU)
        for position, trained in zip(chosen, fewer, strict=True):
            assert (trained.epoch, trained.validation) == (stacked[position].epoch, stacked[position].validation)
            for name, tensor in trained.parameters.items():
                assert torch.equal(tensor, stacked[position].parameters[name])


def test_the_learning_rate_rises_from_zero_and_falls_to_the_minimum():
    defaults = HeadSettings()
    assert [learning_rate_at(defaults, epoch) for epoch in (0, 5, 10)] == pytest.approx([0, 2.5e-4, 5e-4])
    assert learning_rate_at(defaults, 30) == pytest.approx((5e-4 + 1e-6) / 2)
    assert learning_rate_at(defaults, 50) == pytest.approx(1e-6)
    assert learning_rate_at(HeadSettings(warmup_epochs=0), 0) == pytest.approx(5e-4)


def test_without_a_validation_score_the_last_epoch_is_kept():
    head = Mlp(10, SETTINGS.widths, 3, SETTINGS.dropout)
    with_val = head_data(1, 20)
    without_val = HeadData(with_val.features, with_val.targets, None, None, seed=1)
    (last,) = train_heads(head, [without_val], SETTINGS, CPU)
    assert (last.epoch, last.steps) == (SETTINGS.epochs, 3 * SETTINGS.epochs)
    one_class = HeadData(with_val.features, with_val.targets, [torch.zeros(4, 10)], torch.eye(3)[[0] * 4] > 0, seed=1)
    (undefined,) = train_heads(head, [one_class], SETTINGS, CPU)
    assert set(undefined.validation) == {None}
    for name, tensor in undefined.parameters.items():
        assert torch.equal(tensor, last.parameters[name])
    two_classes = HeadData(
        with_val.features, with_val.targets, with_val.features, with_val.targets & torch.tensor([1, 1, 0]) > 0, 1
    )
    assert None not in train_heads(head, [two_classes], SETTINGS, CPU)[0].validation


def test_a_head_learns_separable_classes():
    head = Mlp(10, [32], 3, 0.1)
    data = head_data(7, 120)
    (trained,) = train_heads(head, [data], HeadSettings(widths=[32], learning_rate=5e-3), CPU)
    test = head_data(8, 200)
    p = predict_probabilities(head, trained.parameters, test.features, False, CPU)
    assert roc_auc_score(test.targets.numpy(), p) > 0.9
