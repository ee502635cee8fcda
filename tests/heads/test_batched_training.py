"""Stacked heads against the same heads trained one after another by a plain loop."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from f2vbench.config.run import HeadSettings
from f2vbench.heads.batched_training import Lesson, learning_rate, predict, train
from f2vbench.heads.mlp import Mlp

CPU = torch.device("cpu")
SETTINGS = HeadSettings(widths=[12, 8], epochs=12, warmup_epochs=3, batch_size=8, dropout=0.3)


def lesson(seed: int, n: int, classes: int = 3, several: bool = False, val: int = 20) -> Lesson:
    """Clouds of points around class means."""
    draw = np.random.default_rng(seed)
    means = np.random.default_rng(99).normal(size=(classes, 10))

    def part(count: int) -> tuple[list[torch.Tensor], torch.Tensor]:
        truth = np.concatenate([np.arange(classes), draw.integers(0, classes, count - classes)])
        targets = truth[:, None] == np.arange(classes)
        if several:
            targets = targets | (draw.random(targets.shape) < 0.2)
        points = targets @ means + draw.normal(size=(count, 10))
        return [torch.tensor(points, dtype=torch.float32)], torch.tensor(targets)

    return Lesson(*part(n), *part(val), seed=seed, several=several)


def plain(head: Mlp, one: Lesson, settings: HeadSettings) -> tuple[nn.Module, int]:
    """A head trained alone with PyTorch's own layers, losses and optimiser; and the epoch that was best."""
    random = torch.Generator().manual_seed(one.seed)
    start = head.initial(random)
    layers = [nn.Linear(a, b) for a, b in zip(head.sizes[:-1], head.sizes[1:], strict=True)]
    for depth, layer in enumerate(layers):
        layer.weight.data = start[f"layer{depth}.weight"].T.clone()
        layer.bias.data = start[f"layer{depth}.bias"][0].clone()
    network = nn.Sequential(*layers)

    def forward(x, masks=None):
        for depth, layer in enumerate(layers[:-1]):
            x = layer(x).relu()
            x = x if masks is None else x * masks[depth]
        return layers[-1](x)

    single = nn.CrossEntropyLoss(label_smoothing=settings.label_smoothing)
    criterion = nn.BCEWithLogitsLoss() if one.several else single
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=settings.weight_decay, foreach=False)
    steps = math.ceil(len(one.targets) / settings.batch_size)
    best, kept, at = (-1.0, 0.0), None, 0
    (x,), (xv,) = one.features, one.val_features
    for epoch in range(settings.epochs):
        order = torch.randperm(len(x), generator=random)
        for step in range(steps):
            rows = order[step * settings.batch_size : (step + 1) * settings.batch_size]
            for group in optimiser.param_groups:
                group["lr"] = learning_rate(settings, epoch + step / steps)
            logits = forward(x[rows], head.masks(random, len(rows)))
            if one.several:
                target = one.targets[rows] * (1 - settings.label_smoothing) + settings.label_smoothing / 2
            else:
                target = one.targets[rows].float().argmax(1)
            optimiser.zero_grad()
            criterion(logits, target).backward()
            optimiser.step()
        with torch.no_grad():
            logits = forward(xv)
            p = logits.sigmoid() if one.several else logits.softmax(1)
            area = roc_auc_score(one.val_targets.numpy(), p.numpy(), average="macro")
            if one.several:
                loss = nn.functional.binary_cross_entropy_with_logits(logits, one.val_targets.float())
            else:
                loss = nn.functional.cross_entropy(logits, one.val_targets.float().argmax(1))
        if (area, -float(loss)) > best:
            best, at = (area, -float(loss)), epoch + 1
            kept = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(kept)
    return network, at


@pytest.mark.parametrize("several", [False, True])
def test_each_head_equals_the_one_trained_alone(several):
    head = Mlp(10, SETTINGS.widths, 3, SETTINGS.dropout)
    lessons = [lesson(seed, n, several=several) for seed, n in ((1, 20), (2, 19), (3, 40), (4, 3), (5, 24))]
    found = train(head, lessons, SETTINGS, CPU)
    for one, trained in zip(lessons, found, strict=True):
        network, epoch = plain(head, one, SETTINGS)
        assert trained.epoch == epoch
        for depth in range(3):
            weight = network[depth].weight.detach().T
            np.testing.assert_allclose(trained.parameters[f"layer{depth}.weight"], weight, atol=1e-5)
            np.testing.assert_allclose(
                trained.parameters[f"layer{depth}.bias"][0], network[depth].bias.detach(), atol=1e-5
            )
        p = predict(head, trained.parameters, one.val_features, several, CPU)
        assert p.shape == (20, 3)
        if not several:
            np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("sizes", [(19, 20, 21, 22, 23), (3, 5, 6, 8, 7)])
def test_a_head_is_the_same_bits_whatever_it_is_stacked_with(sizes):
    """The last batches differ in length, or the only ones; the numbers of validation images do as well."""
    head = Mlp(10, SETTINGS.widths, 3, SETTINGS.dropout)
    lessons = [lesson(seed, n, val=12 + 5 * seed) for seed, n in enumerate(sizes)]
    together = train(head, lessons, SETTINGS, CPU)
    for chosen in ([0], [3, 1], [4, 2, 0]):
        for position, trained in zip(chosen, train(head, [lessons[i] for i in chosen], SETTINGS, CPU), strict=True):
            assert (trained.epoch, trained.validation) == (together[position].epoch, together[position].validation)
            for name, tensor in trained.parameters.items():
                assert torch.equal(tensor, together[position].parameters[name])


def test_the_learning_rate_rises_from_zero_and_falls_to_its_lowest():
    paper = HeadSettings()
    assert [learning_rate(paper, epoch) for epoch in (0, 5, 10)] == pytest.approx([0, 2.5e-4, 5e-4])
    assert learning_rate(paper, 30) == pytest.approx((5e-4 + 1e-6) / 2)
    assert learning_rate(paper, 50) == pytest.approx(1e-6)
    assert learning_rate(HeadSettings(warmup_epochs=0), 0) == pytest.approx(5e-4)


def test_without_validation_the_last_epoch_is_kept():
    head = Mlp(10, SETTINGS.widths, 3, SETTINGS.dropout)
    with_val = lesson(1, 20)
    blind = Lesson(with_val.features, with_val.targets, None, None, seed=1)
    (last,) = train(head, [blind], SETTINGS, CPU)
    assert (last.epoch, last.steps) == (SETTINGS.epochs, 3 * SETTINGS.epochs)
    one_class = Lesson(with_val.features, with_val.targets, [torch.zeros(4, 10)], torch.eye(3)[[0] * 4] > 0, seed=1)
    (unranked,) = train(head, [one_class], SETTINGS, CPU)
    assert set(unranked.validation) == {None}
    for name, tensor in unranked.parameters.items():
        assert torch.equal(tensor, last.parameters[name])
    partly = Lesson(
        with_val.features, with_val.targets, with_val.features, with_val.targets & torch.tensor([1, 1, 0]) > 0, 1
    )
    assert None not in train(head, [partly], SETTINGS, CPU)[0].validation


def test_a_head_learns_what_can_be_learnt():
    head = Mlp(10, [32], 3, 0.1)
    taught = lesson(7, 120)
    (trained,) = train(head, [taught], HeadSettings(widths=[32], learning_rate=5e-3), CPU)
    seen = lesson(8, 200)
    p = predict(head, trained.parameters, seen.features, False, CPU)
    assert roc_auc_score(seen.targets.numpy(), p) > 0.9
