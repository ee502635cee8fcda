"""Scores of generated videos in both protocols, and notes where a metric cannot be computed."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from skimage.metrics import structural_similarity

from f2vbench.errors import DataError, WeightsError
from f2vbench.metrics.i3d import load_i3d
from f2vbench.metrics.image_quality import psnr, ssim
from f2vbench.metrics.lpips_distance import load_lpips
from f2vbench.metrics.video import STAND_IN_METRIC, video_metrics
from tests.helpers.video_networks import TinyI3D, block_means, frames, lpips_by_hand


@pytest.fixture
def no_weights(tmp_path, monkeypatch):
    for variable in ("F2VBENCH_CACHE", "TORCH_HOME", "HF_HOME"):
        monkeypatch.setenv(variable, str(tmp_path / variable))


def i3d_reference(video):
    """Features of the tiny I3D network for a video in [0, 1] to which 2 x − 1 is applied twice."""
    resized = np.stack([cv2.resize(frame, (224, 224), interpolation=cv2.INTER_LINEAR) for frame in video])
    return block_means(2 * (2 * resized - 1) - 1)


def rows_by_metric(rows, case):
    return {row.metric: row for row in rows if row.case == case}


def test_without_weights_lpips_and_fvd_are_missing_and_the_note_names_the_download(no_weights, tmp_path):
    real, fake = frames(3, 12, 40, 40)
    with pytest.warns(UserWarning, match="N = 3"):
        rows = video_metrics(real, fake, cases=["a", "b", "c"], resamples=20)
    every = rows_by_metric(rows, "all")
    assert list(every) == ["psnr", "ssim", "lpips", "fvd", STAND_IN_METRIC]
    assert every["lpips"].value is None
    assert "alexnet-owt-7be5be79.pth" in every["lpips"].note
    assert every["fvd"].value is None
    assert "`f2vbench weights where i3d-kinetics400` says how to get it" in every["fvd"].note
    assert str(tmp_path) not in every["fvd"].note  # the note is read on other machines too
    assert every["psnr"].value == pytest.approx(psnr(real, fake).mean())
    assert every["psnr"].unit == "dB"
    assert every["ssim"].value == pytest.approx(ssim(real, fake).mean())
    assert rows_by_metric(rows, "b")["psnr"].value == pytest.approx(psnr(real[1], fake[1]).mean())
    stand_in = every[STAND_IN_METRIC]
    assert "fvd" not in stand_in.metric
    assert "not FVD" in stand_in.note
    assert "N = 3" in stand_in.note
    assert stand_in.low <= stand_in.high
    with pytest.raises(WeightsError, match="nowhere"):
        video_metrics(real, fake, i3d="nowhere/i3d.pt")


def test_paper_compat_reproduces_the_arithmetic_of_the_released_code(alexnet, tiny_i3d):
    real, fake = frames(2, 12, 64, 64)
    fake = 0.7 * fake
    networks = {
        "trunk": load_lpips(alexnet.path, card=alexnet.card),
        "i3d": load_i3d(tiny_i3d.path, card=tiny_i3d.card),
    }
    rows = video_metrics(real, fake, protocol="paper-compat", **networks)
    one, every = rows_by_metric(rows, "1"), rows_by_metric(rows, "all")
    assert list(every) == ["psnr", "ssim", "lpips", "fvd"]
    assert {row.protocol for row in rows} == {"paper-compat"}
    a, b = 2 * real[0] - 1, 2 * fake[0] - 1
    assert one["psnr"].value == pytest.approx(psnr(real[0], fake[0]).mean() - 20 * np.log10(2))
    reference = [
        structural_similarity(x, y, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
        for x, y in zip(a, b, strict=True)
    ]
    assert one["ssim"].value == pytest.approx(np.mean(reference))
    assert one["lpips"].value == pytest.approx(np.mean([lpips_by_hand(*p) for p in zip(a, b, strict=True)]), rel=1e-3)
    pairs = [
        np.mean([np.square(i3d_reference(real_video[:n]) - i3d_reference(fake_video[:n])).sum() for n in (10, 11, 12)])
        for real_video, fake_video in zip(real, fake, strict=True)
    ]
    assert one["fvd"].value == pytest.approx(pairs[0], rel=1e-3)
    assert every["fvd"].value == pytest.approx(np.mean(pairs), rel=1e-3)


def test_paper_compat_equals_recorded_values_of_the_released_code():
    """Recorded from `calculate_psnr`, `_ssim` and `_fvd` of JunyaoHu/common_metrics_on_video_quality (5f75173).

    The released code calls them with these videos in [−1, 1] as three equal channels, and averages their results over
    frames and clips. I3D was replaced by `TinyI3D` there as here.
    """
    wave = 0.0037 * np.arange(12 * 48 * 64).reshape(12, 48, 64)
    real = 0.5 + 0.5 * np.sin(wave)
    fake = 0.5 + 0.5 * np.sin(wave + 0.4) * np.linspace(0.2, 1, 12)[:, None, None]
    fake[3] = real[3]
    fake[5] = real[5] + 1e-6 * np.where(real[5] < 0.5, 1, -1)
    rows = video_metrics(real[None], fake[None], protocol="paper-compat", i3d=TinyI3D())
    every = rows_by_metric(rows, "all")
    assert every["psnr"].value == pytest.approx(23.938050, abs=1e-5)
    assert every["ssim"].value == pytest.approx(0.4630133, abs=1e-6)
    assert every["fvd"].value == pytest.approx(0.013254859, rel=1e-4)
    same = rows_by_metric(video_metrics(real[None, :4], real[None, :4], protocol="paper-compat", frechet=False), "all")
    assert same["psnr"].value == 100
    assert (
        "at least 10 frames"
        in rows_by_metric(video_metrics(real[None, :9], fake[None, :9], protocol="paper-compat", i3d=TinyI3D()), "all")[
            "fvd"
        ].note
    )


def test_short_small_or_single_videos_lack_only_the_metrics_that_need_more(alexnet, tiny_i3d):
    real, fake = frames(1, 3, 20, 20)
    networks = {
        "trunk": load_lpips(alexnet.path, card=alexnet.card),
        "i3d": load_i3d(tiny_i3d.path, card=tiny_i3d.card),
    }
    every = rows_by_metric(video_metrics(real, fake, **networks), "all")
    assert every["psnr"].value is not None
    assert every["ssim"].value is not None
    assert every["lpips"].value is None
    assert "31 × 31" in every["lpips"].note
    assert every["fvd"].value is None
    assert "at least 10 frames" in every["fvd"].note
    assert every[STAND_IN_METRIC].value is None
    assert "at least 4 frames" in every[STAND_IN_METRIC].note
    longer = frames(1, 12, 64, 64)
    every = rows_by_metric(video_metrics(*longer, **networks), "all")
    assert "at least 2 videos" in every["fvd"].note
    assert every["lpips"].value is not None


def test_the_infinite_psnr_of_an_identical_frame_has_a_note(no_weights):
    real, fake = frames(1, 4, 16, 16)
    fake[0, 2] = real[0, 2]
    rows = video_metrics(real, fake)
    assert rows_by_metric(rows, "1")["psnr"].value == math.inf
    assert "frame 3" in rows_by_metric(rows, "1")["psnr"].note


def test_errors_name_the_case_of_an_invalid_video(no_weights):
    real, fake = frames(2, 4, 16, 16)
    fake[1, 0, 0, 0] = np.nan
    with pytest.raises(DataError, match=r"case right: generated frames contain NaN"):
        video_metrics(real, fake, cases=["left", "right"])
    with pytest.raises(ValueError, match="numbers of videos"):
        video_metrics(real, fake[:1])
    with pytest.raises(DataError, match="must be unique"):
        video_metrics(real, real, cases=["left", "left"])


def test_the_note_of_a_mean_names_the_missing_videos_and_their_reasons(tiny_i3d, no_weights):
    real, fake = frames(3, 12, 40, 40)
    videos = [list(real), list(fake)]
    for side in videos:
        side[1] = side[1][:, :8, :8]
        side[2] = side[2][:9]
    network = load_i3d(tiny_i3d.path, card=tiny_i3d.card)
    with pytest.warns(UserWarning, match="N = 3"):
        every = rows_by_metric(video_metrics(*videos, cases=["a", "b", "c"], i3d=network, resamples=0), "all")
    assert every["ssim"].value == pytest.approx(
        (ssim(real[0], fake[0]).mean() + ssim(real[2][:9], fake[2][:9]).mean()) / 2
    )
    assert every["ssim"].videos == 2
    assert "without b (SSIM needs frames of at least 11 × 11, not 8 × 8)" in every["ssim"].note
    assert every["fvd"].value is None
    assert every["fvd"].note.startswith("c: I3D needs")
