"""Validation of generators: the generated videos and their scores."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from f2vbench.encoders.global_generator import global_generator, initialise, roll_out
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.training.data.video_loader import VideoLoader
from f2vbench.training.validation import GeneratedVideo, generate_videos
from tests.helpers.training import video_data


def generated_video(frames: int) -> GeneratedVideo:
    rng = np.random.default_rng(0)
    real, fake = (rng.random((frames, 32, 32)).astype(np.float32) for _ in range(2))
    photograph = rng.random((32, 32, 3)).astype(np.float32)
    return GeneratedVideo(photograph, real, fake, rng.random((32, 32)) < 0.8, rng.random((32, 32)) < 0.2)


@pytest.mark.parametrize(("frames", "venous"), [(12, slice(4, 8)), (1, slice(0, 1))])
def test_the_vessel_score_is_the_auroc_of_the_venous_brightness_inside_the_field_of_view(frames, venous):
    video = generated_video(frames)
    inside = video.fov_mask
    expected = roc_auc_score(video.vessels[inside], video.fake[venous].mean(axis=0)[inside])
    scores = video.scores()
    assert set(scores) == {"psnr", "ssim", "vessels"}
    assert scores["vessels"] == pytest.approx(expected, abs=1e-3)
    for vessels in (None, np.zeros_like(video.vessels), np.ones_like(video.vessels)):
        assert set(dataclasses.replace(video, vessels=vessels).scores()) == {"psnr", "ssim"}


def test_videos_are_rolled_out_with_the_shape_of_the_generator_and_carry_their_vessels():
    shape = GeneratorShape(6, 3, 2, downsamplings=2, blocks=1, skips="additive", time="plane")
    generator = global_generator(shape).eval()
    initialise(generator, seed=4)
    (batch,) = VideoLoader(video_data(1, simulated=True).validation).load([[0, 1]])
    videos = list(generate_videos(generator, shape, batch, "venous"))
    expected = (roll_out(generator, batch.photograph, 12, shape) + 1) / 2
    for index, video in enumerate(videos):
        np.testing.assert_allclose(video.fake, expected[index].detach().numpy(), atol=1e-6)
        np.testing.assert_array_equal(video.vessels, batch.truth[index, :2].any(0).numpy())
    own_data = dataclasses.replace(batch, truth=None)
    assert all(video.vessels is None for video in generate_videos(generator, shape, own_data, "venous"))
    single = GeneratorShape(3, 1, 2, downsamplings=2, blocks=1)
    first = next(generate_videos(global_generator(single), single, batch, "late"))
    np.testing.assert_allclose(first.real, (batch.frames[0, [11]].numpy() + 1) / 2, atol=1e-6)
