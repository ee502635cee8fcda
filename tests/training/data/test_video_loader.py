"""Batches of an epoch, the videos of a batch, and their masks."""

from __future__ import annotations

import pytest
import torch

from f2vbench.errors import DataError
from f2vbench.training.data.video_loader import VideoLoader, epoch_batches
from f2vbench.training.knowledge_mask import knowledge_mask
from tests.helpers.training import SIDE, Videos


def test_an_epoch_has_each_video_once_in_its_own_order():
    first, second = (epoch_batches(7, 2, seed=0, epoch=epoch) for epoch in (0, 1))
    assert [len(batch) for batch in first] == [2, 2, 2]
    assert len({index for batch in first for index in batch}) == 6
    assert first != second
    assert first == epoch_batches(7, 2, seed=0, epoch=0)


def test_fewer_videos_than_a_batch_are_refused():
    with pytest.raises(DataError, match="lower it, or add videos"):
        epoch_batches(1, 2, 0, 0)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_gives_the_requested_videos_in_every_pass(workers):
    loader = VideoLoader(Videos(4), workers=workers)
    for batches in ([[2, 0]], [[1], [3], [0]]):
        found = [batch.cases for batch in loader.load(batches)]
        assert found == [tuple(f"eye {index}" for index in batch) for batch in batches]


def test_the_mask_is_computed_from_the_frames_or_is_the_lesion_mask():
    videos = Videos(2, lesions=True)
    knowledge, lesions = (next(VideoLoader(videos, mask).load([[0, 1]])) for mask in ("knowledge", "lesions"))
    assert torch.equal(knowledge.mask, knowledge_mask(knowledge.frames))
    assert torch.equal(lesions.mask, torch.ones(2, 1, SIDE, SIDE))
    assert 0 < knowledge.mask.mean() < 0.2


def test_videos_without_a_required_lesion_mask_are_refused_by_name():
    with pytest.raises(DataError, match="eye 1: has no lesion mask"):
        next(VideoLoader(Videos(2), "lesions").load([[1]]))


def test_a_batch_has_the_truth_where_all_its_videos_are_simulated():
    class Mixed(Videos):
        def __getitem__(self, index):
            self.simulated = index < 2
            return super().__getitem__(index)

    simulated, mixed = VideoLoader(Mixed(3)).load([[0, 1], [1, 2]])
    assert simulated.truth.dtype == torch.float32
    expected = torch.stack([Videos(2, simulated=True)[index].truth for index in (0, 1)])
    assert torch.equal(simulated.truth, expected.float())
    assert torch.equal(simulated.to(torch.device("cpu")).truth, simulated.truth)
    assert mixed.truth is None


def test_images_with_nan_are_refused_by_name():
    class Damaged(Videos):
        def __getitem__(self, index):
            sample = super().__getitem__(index)
            sample.photograph[0, 0, 0] = float("nan")
            return sample

    with pytest.raises(DataError, match="eye 0: its photograph or frames contain NaN"):
        next(VideoLoader(Damaged(1)).load([[0]]))
