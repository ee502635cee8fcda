"""Validation scores against scikit-learn, and the selected epoch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, roc_auc_score

from f2vbench.heads.epoch_selection import EpochSelection, ValidationScore, validation_score


@pytest.mark.parametrize("multi_label", [False, True])
def test_validation_scores_equal_those_of_scikit_learn(multi_label):
    draw = np.random.default_rng(2)
    logits = draw.normal(size=(30, 3))
    targets = draw.random((30, 3)) < 0.4 if multi_label else np.eye(3, dtype=bool)[draw.integers(0, 3, 30)]
    score = validation_score(torch.tensor(logits, dtype=torch.float32), torch.from_numpy(targets), multi_label)
    if multi_label:
        p = 1 / (1 + np.exp(-logits))
        loss = np.mean([log_loss(truth, column, labels=[0, 1]) for truth, column in zip(targets.T, p.T, strict=True)])
    else:
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        loss = log_loss(targets.argmax(axis=1), p)
    assert score.loss == pytest.approx(loss, abs=1e-6)
    assert score.auroc == pytest.approx(roc_auc_score(targets, p, average="macro"), abs=1e-12)


@pytest.mark.parametrize(
    ("scores", "epoch"),
    [
        ([(0.7, 1.0), (0.9, 1.0), (0.8, 0.1)], 2),
        ([(0.9, 1.0), (0.9, 0.5), (0.9, 0.5)], 2),
        ([(None, 1.0), (0.6, 1.0), (None, 0.1)], 2),
        ([(None, 1.0), (None, 0.5), (None, 0.9)], 3),
    ],
    ids=["highest AUROC", "ties: smallest loss, then earliest", "undefined AUROC", "never defined: last"],
)
def test_the_selected_epoch(scores, epoch):
    selection = EpochSelection()
    for number, (auroc, loss) in enumerate(scores, 1):
        if selection.select(ValidationScore(auroc, loss), last=number == len(scores)):
            selection.parameters = {"epoch": torch.tensor(number)}
    assert selection.epoch == selection.parameters["epoch"] == epoch
    assert selection.validation == [auroc for auroc, _ in scores]
