"""Losses of `seg2vid`: latent distribution, flow, visibility, and similarity of frames.

All are scalars, computed in float32. Flows are (n, t, 2, h, w) in px, visibilities (n, t, h, w) in [0, 1].
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from f2vbench.encoders.flow_vae import GeneratedMotion, warp

_SSIM_SHARE = 0.85
_C1, _C2 = 0.01**2, 0.03**2  # of SSIM, for intensities in [0, 1]


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Kullback–Leibler divergence of normal distributions from the standard one, mean over videos and latent channels.

    Args:
        mean: (n, latent).
        log_variance: (n, latent).
    """
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).mean()


def smoothness_loss(flow: Tensor) -> Tensor:
    """Mean absolute difference of neighbours in a flow, horizontally plus vertically, in px.

    Args:
        flow: The flow.
    """
    return flow.diff(dim=-1).abs().mean() + flow.diff(dim=-2).abs().mean()


def consistency_loss(motion: GeneratedMotion) -> Tensor:
    """Mean distance (L1, px) between a pixel and where both flows, one after the other, lead it, where it is visible.

    The sum of both directions: photograph, frame, photograph, and frame, photograph, frame.

    Args:
        motion: The generated motion.
    """
    there_and_back = motion.forward + warp(motion.backward, motion.forward)
    back_and_there = motion.backward + warp(motion.forward, motion.backward)
    first = (there_and_back.abs() * motion.visible_in_frame[:, :, None]).mean()
    return first + (back_and_there.abs() * motion.visible_in_photograph[:, :, None]).mean()


def occlusion_loss(motion: GeneratedMotion) -> Tensor:
    """Mean share of pixels that are not visible, summed over both directions; it keeps everything from vanishing.

    Args:
        motion: The generated motion.
    """
    return 2 - motion.visible_in_frame.mean() - motion.visible_in_photograph.mean()


def similarity_loss(fake: Tensor, real: Tensor) -> Tensor:
    """0.85 (1 − SSIM) / 2 + 0.15 L1 of frames in [0, 1], with means of 3 × 3 pixels (Godard et al. 2017, eq. 2).

    Args:
        fake: (n, t, h, w) in [−1, 1].
        real: (n, t, h, w) in [−1, 1].
    """
    x, y = (fake + 1) / 2, (real + 1) / 2
    mean_x, mean_y = _local_mean(x), _local_mean(y)
    variance_x = _local_mean(x.square()) - mean_x.square()
    variance_y = _local_mean(y.square()) - mean_y.square()
    covariance = _local_mean(x * y) - mean_x * mean_y
    ssim = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    ssim = ssim / ((mean_x.square() + mean_y.square() + _C1) * (variance_x + variance_y + _C2))
    return _SSIM_SHARE * ((1 - ssim) / 2).clamp(0, 1).mean() + (1 - _SSIM_SHARE) * (x - y).abs().mean()


def _local_mean(frames: Tensor) -> Tensor:
    """Means of 3 × 3 pixels, without those that reach beyond the border."""
    return functional.avg_pool2d(frames, 3, stride=1)
