"""The losses of Fundus2Video and its relatives, each a function of tensors.

``judged`` is what a `MultiScaleDiscriminator` gives: maps by scale and layer, the last one its verdict. Frames are
(n, c, h, w) in [−1, 1], masks (n, 1, h, w) of 0 and 1. All are computed in float32 and return a scalar.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from f2vbench.errors import WeightsError
from f2vbench.pretrained.checkpoints import read_state_dict
from f2vbench.pretrained.state_dicts import match_state_dict
from f2vbench.utils.torchvision_compat import allow_missing_torchvision_ops

Judged = Sequence[Sequence[Tensor]]

_VGG_LAYERS = (1, 6, 11, 20, 29)  # relu1_1, relu2_1, relu3_1, relu4_1, relu5_1
_VGG_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)


def lsgan_generator_loss(fake: Judged) -> Tensor:
    """Least-squares GAN: mean (D(fake) − 1)², summed over scales (Mao et al. 2017)."""
    return torch.stack([(scale[-1].float() - 1).square().mean() for scale in fake]).sum()


def lsgan_discriminator_loss(fake: Judged, real: Judged) -> Tensor:
    """Half of mean D(fake)² + mean (D(real) − 1)², summed over scales."""
    of_fake = torch.stack([scale[-1].float().square().mean() for scale in fake]).sum()
    return (of_fake + lsgan_generator_loss(real)) / 2


def feature_matching_loss(fake: Judged, real: Judged) -> Tensor:
    """L1 between a discriminator's inner maps of fake and real, both masked or neither: summed over layers, mean over
    scales (pix2pixHD, eq. 4). The real maps get no gradient."""
    terms = [
        (mine.float() - other.detach().float()).abs().mean()
        for fake_scale, real_scale in zip(fake, real, strict=True)
        for mine, other in zip(fake_scale[:-1], real_scale[:-1], strict=True)
    ]
    return torch.stack(terms).sum() / len(fake)


def attention_loss(activation: Tensor, mask: Tensor, variant: Literal["masked", "full"] = "masked") -> Tensor:
    """Mean (A − m)², A the rectified mean over channels of the generator's last activation (MICCAI paper, eq. 1).

    Args:
        activation: (n, c, h, w), of the layer `forward_layers` kept.
        variant: ``masked`` multiplies by the mask first, as in the MICCAI paper: attention outside costs nothing.
            ``full`` penalises it too.
    """
    attention = activation.float().mean(1, keepdim=True)
    if variant == "masked":
        attention = attention * mask
    return (attention.relu() - mask).square().mean()


def gradient_variance_loss(fake: Tensor, real: Tensor, patch: int = 12) -> Tensor:
    """Mean squared difference of the gradients' variances in patches (Abrahamyan et al. 2022), x and y added.

    Sobel gradients of every frame; patches of ``patch`` × ``patch`` pixels side by side from the upper left corner,
    what remains at the far edges is left out; variances with n − 1.

    Raises:
        ValueError: the frames are smaller than a patch.
    """
    if min(fake.shape[-2:]) < patch:
        raise ValueError(f"frames of {tuple(fake.shape[-2:])} pixels hold no {patch} × {patch} patch")
    mine, other = (_patch_variances(frames.float(), patch) for frames in (fake, real))
    return (mine - other).square().mean(0).sum()


def _patch_variances(frames: Tensor, patch: int) -> Tensor:
    """(patches of all frames, 2): variance of the horizontal and the vertical Sobel gradient."""
    sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]], device=frames.device)
    single = frames.reshape(-1, 1, *frames.shape[-2:])
    gradients = functional.conv2d(single, torch.stack([sobel, sobel.T])[:, None], padding=1)
    patches = gradients.unfold(2, patch, patch).unfold(3, patch, patch).flatten(4)
    return patches.var(-1).movedim(1, -1).reshape(-1, 2)


def pixel_loss(fake: Tensor, real: Tensor, inside: Tensor) -> Tensor:
    """Mean absolute difference inside each image's field of view, in the frames' units; 0 where there is no field."""
    return _mean_inside((fake.float() - real).abs(), inside)


def squared_loss(fake: Tensor, real: Tensor, inside: Tensor) -> Tensor:
    """Mean squared difference inside each image's field of view; 0 where there is no field.

    Its least is the expected frame, so that a vessel which may be there is shown as bright as it is probable; the
    absolute difference is least without it, where it is rather not there than there.
    """
    return _mean_inside((fake.float() - real).square(), inside)


def _mean_inside(difference: Tensor, inside: Tensor) -> Tensor:
    weight = inside.float().expand_as(difference)
    return ((difference * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp(min=1)).mean()


def perceptual_loss(
    fake: Tensor,
    real: Tensor,
    extractor: Callable[[Tensor], Sequence[Tensor]],
    weights: Sequence[float] = _VGG_WEIGHTS,
) -> Tensor:
    """Weighted L1 between feature maps of fake and real (Johnson et al. 2016; weights of pix2pixHD).

    Args:
        extractor: (n, 3, h, w) in [−1, 1] → feature maps. Three frames go in as one image's channels; a single one
            three times.
    """
    mine = extractor(fake if fake.shape[1] == 3 else fake.expand(-1, 3, -1, -1))
    with torch.no_grad():
        other = extractor(real if real.shape[1] == 3 else real.expand(-1, 3, -1, -1))
    pairs = zip(weights, mine, other, strict=True)
    return torch.stack([weight * (a.float() - b.float()).abs().mean() for weight, a, b in pairs]).sum()


class Vgg19Features(nn.Module):
    """ReLU maps 1_1, 2_1, 3_1, 4_1 and 5_1 of VGG19, (n, 3, h, w) in [−1, 1] → five maps, without gradients of its own.

    Args:
        path: torchvision's ImageNet weights, ``vgg19-dcbb9e9d.pth`` (or ``features.*`` of it as safetensors).

    Raises:
        WeightsError: the file is missing, damaged, or holds no VGG19.
    """

    def __init__(self, path: Path):
        super().__init__()
        if not path.is_file():
            raise WeightsError(
                f"loss.vgg={path}: no such file; download torchvision's vgg19-dcbb9e9d.pth and give "
                "its path, or switch the perceptual loss off with loss.perceptual=0"
            )
        allow_missing_torchvision_ops()
        from torchvision.models.vgg import cfgs, make_layers

        features = make_layers(cfgs["E"])
        state = {key.removeprefix("features."): tensor for key, tensor in read_state_dict(path).items()}
        match_state_dict(features, state, path, ignore=("classifier.*",))
        self.features = features[: _VGG_LAYERS[-1] + 1].eval().requires_grad_(False)
        for layer in self.features.modules():
            if isinstance(layer, nn.ReLU):
                layer.inplace = False
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225])[:, None, None], persistent=False)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        x = ((x + 1) / 2 - self.mean) / self.std
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in _VGG_LAYERS:
                maps.append(x)
        return maps
