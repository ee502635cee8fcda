"""The losses of Fundus2Video, Fundus2FA and pix2pixHD, except PatchNCE.

Frames are (n, c, h, w) in [−1, 1], masks (n, 1, h, w) of 0 and 1. All losses are computed in float32 and are scalars.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from f2vbench.errors import WeightsError
from f2vbench.pretrained.checkpoints import read_state_dict
from f2vbench.pretrained.state_dicts import match_state_dict
from f2vbench.training.data.truth_maps import LESIONS, VESSELS
from f2vbench.utils.torchvision_compat import allow_missing_torchvision_ops

DiscriminatorMaps = Sequence[Sequence[Tensor]]
"""The output of `MultiScaleDiscriminator`: maps by scale and layer, the last one of a scale is its prediction."""

RGB_LUMA = (0.2989, 0.5870, 0.1140)
"""Weights of red, green and blue in the luma of ITU-R BT.601, as the released code has them."""

_TRUTH_POSITIVE_WEIGHT = 3.0
_VGG_LAYERS = (1, 6, 11, 20, 29)  # relu1_1, relu2_1, relu3_1, relu4_1, relu5_1
_VGG_WEIGHTS = (1 / 32, 1 / 16, 1 / 8, 1 / 4, 1.0)


def lsgan_generator_loss(fake: DiscriminatorMaps) -> Tensor:
    """Least-squares GAN loss of the generator: mean (D(fake) − 1)², summed over scales (Mao et al. 2017).

    Args:
        fake: Discriminator maps of generated frames.
    """
    return torch.stack([(scale[-1].float() - 1).square().mean() for scale in fake]).sum()


def lsgan_discriminator_loss(fake: DiscriminatorMaps, real: DiscriminatorMaps) -> Tensor:
    """Least-squares GAN loss of the discriminators: half of mean D(fake)² + mean (D(real) − 1)², summed over scales.

    Args:
        fake: Discriminator maps of generated frames.
        real: Discriminator maps of true frames.
    """
    fake_loss = torch.stack([scale[-1].float().square().mean() for scale in fake]).sum()
    return (fake_loss + lsgan_generator_loss(real)) / 2


def feature_matching_loss(fake: DiscriminatorMaps, real: DiscriminatorMaps) -> Tensor:
    """L1 distance of the discriminators' inner maps, summed over layers, mean over scales (pix2pixHD, eq. 4).

    Args:
        fake: Discriminator maps of generated frames.
        real: Discriminator maps of true frames, with the same mask; they receive no gradient.
    """
    terms = [
        (fake_map.float() - real_map.detach().float()).abs().mean()
        for fake_scale, real_scale in zip(fake, real, strict=True)
        for fake_map, real_map in zip(fake_scale[:-1], real_scale[:-1], strict=True)
    ]
    return torch.stack(terms).sum() / len(fake)


def attention_loss(activation: Tensor, mask: Tensor, variant: Literal["masked", "full"] = "masked") -> Tensor:
    """Mean (A − m)², where A is the rectified mean over channels of a late activation (MICCAI paper, eq. 1).

    Args:
        activation: (n, c, h, w), a map that `forward_layers` returns.
        mask: The mask m.
        variant: ``masked`` multiplies A by the mask first, as in the MICCAI paper, so that attention outside is not
            penalised. ``full`` penalises it too.
    """
    attention = activation.float().mean(1, keepdim=True)
    if variant == "masked":
        attention = attention * mask
    return (attention.relu() - mask).square().mean()


def gradient_variance_loss(fake: Tensor, real: Tensor, patch: int = 12) -> Tensor:
    """Mean squared difference of the variances of Sobel gradients in patches, x plus y (Abrahamyan et al. 2022).

    Patches do not overlap and start at the upper left corner; incomplete ones at the far edges are left out. Variances
    have the divisor n − 1.

    Args:
        fake: Generated frames.
        real: True frames.
        patch: Side of the patches in pixels.

    Raises:
        ValueError: The frames are smaller than a patch.
    """
    if min(fake.shape[-2:]) < patch:
        raise ValueError(f"frames of {tuple(fake.shape[-2:])} pixels are smaller than a patch of {patch} × {patch}")
    fake_variances, real_variances = (_patch_variances(frames.float(), patch) for frames in (fake, real))
    return (fake_variances - real_variances).square().mean(0).sum()


def mix_as_rgb(frames: Tensor) -> Tensor:
    """Luma of three frames as if they were red, green and blue (ITU-R BT.601), as in the released code's loss.

    Args:
        frames: (n, 3, h, w).

    Returns:
        (n, 1, h, w).
    """
    weights = torch.tensor(RGB_LUMA, device=frames.device)
    return (frames.float() * weights[:, None, None]).sum(1, keepdim=True)


def _patch_variances(frames: Tensor, patch: int) -> Tensor:
    """Variance of the horizontal and the vertical Sobel gradient, (patches of all frames, 2)."""
    sobel = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]], device=frames.device)
    single_channel = frames.reshape(-1, 1, *frames.shape[-2:])
    gradients = functional.conv2d(single_channel, torch.stack([sobel, sobel.T])[:, None], padding=1)
    patches = gradients.unfold(2, patch, patch).unfold(3, patch, patch).flatten(4)
    return patches.var(-1).movedim(1, -1).reshape(-1, 2)


def pixel_loss(fake: Tensor, real: Tensor, fov_mask: Tensor) -> Tensor:
    """Mean absolute error inside the field of view of each image, mean over images; 0 for an empty field of view.

    Args:
        fake: Generated frames.
        real: True frames.
        fov_mask: The field of view.
    """
    return _masked_mean((fake.float() - real).abs(), fov_mask)


def squared_loss(fake: Tensor, real: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean squared error of each image, mean over images; 0 for an image without weight.

    The squared error is minimal for the expected frame: an uncertain vessel is as bright as it is probable. The
    absolute error is minimal for the median frame, which lacks every vessel with a probability below one half.

    Args:
        fake: Generated frames.
        real: True frames.
        weight: (n, 1, h, w), of each pixel: the field of view, or `pixel_weights`.
    """
    return _masked_mean((fake.float() - real).square(), weight)


def gradient_loss(fake: Tensor, real: Tensor, weight: Tensor) -> Tensor:
    """Weighted mean squared error of the differences between neighbours, horizontal plus vertical.

    It counts the edges of vessels and lesions, which are a small part of the squared error.

    Args:
        fake: Generated frames.
        real: True frames.
        weight: (n, 1, h, w), of each pixel; a difference has the weight of its second pixel.
    """
    error = fake.float() - real
    horizontal, vertical = error.diff(dim=3), error.diff(dim=2)
    return _masked_mean(horizontal.square(), weight[..., 1:]) + _masked_mean(vertical.square(), weight[..., 1:, :])


def pixel_weights(fov_mask: Tensor, truth: Tensor | None, vessel_weight: float, lesion_weight: float) -> Tensor:
    """Weights of pixels for `squared_loss` and `gradient_loss`: 0 outside the field of view, 1 for the background.

    Args:
        fov_mask: The field of view.
        truth: (n, classes, h, w), the classes of `TRUTH_CLASSES`, or None for the field of view alone.
        vessel_weight: Added at vessels and their eight neighbours, because thin vessels are narrower than their edges.
        lesion_weight: Added in lesions.

    Returns:
        (n, 1, h, w).
    """
    weight = fov_mask.float()
    if truth is None or not (vessel_weight or lesion_weight):
        return weight
    vessels = functional.max_pool2d(truth[:, VESSELS].amax(1, keepdim=True), 3, 1, 1)
    lesions = truth[:, LESIONS].amax(1, keepdim=True)
    return weight * (1 + vessel_weight * vessels + lesion_weight * lesions)


def truth_loss(logits: Tensor, truth: Tensor, fov_mask: Tensor) -> Tensor:
    """Cross-entropy of each class of the truth inside the field of view, mean over pixels and images, summed.

    Pixels of a class count `_TRUTH_POSITIVE_WEIGHT` times as much as the others, because most classes are rare.

    Args:
        logits: (n, classes, h, w).
        truth: (n, classes, h, w) of 0 and 1.
        fov_mask: The field of view.
    """
    per_image = truth.shape[1] * fov_mask.float().sum((1, 2, 3), keepdim=True)
    weight = fov_mask.float() * (truth.shape[1] / len(truth)) / per_image.clamp(min=1)
    apply: Callable[..., Tensor] = _WeightedCrossEntropy.apply
    return apply(logits.float(), truth.float(), weight, _TRUTH_POSITIVE_WEIGHT)


class _WeightedCrossEntropy(torch.autograd.Function):
    """Σ w (p t softplus(−x) + (1 − t) softplus(x)) over all pixels and classes, with its gradient for x alone.

    Value and gradient are computed together, w (1 + (p − 1) t) softplus(x) − p w t x and
    w (1 + (p − 1) t) σ(x) − p w t. The passes over the large tensors are most of the cost; on the CPU they are made
    image by image, which fits the cache.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, truth: Tensor, weight: Tensor, positive: float) -> Tensor:
        """Args: logits x and truth t (n, c, h, w), weight w (n, 1, h, w), positive p."""
        gradient = torch.empty_like(logits) if ctx.needs_input_grad[0] else None
        images = 1 if logits.device.type == "cpu" else max(1, len(logits))
        total = logits.new_zeros(())
        for start in range(0, len(logits), images):
            part = slice(start, start + images)
            x, w = logits[part], weight[part]
            positives = truth[part] * w
            factors = torch.add(w, positives, alpha=positive - 1)
            total += functional.softplus(x).mul_(factors).addcmul_(positives, x, value=-positive).sum()
            if gradient is not None:
                torch.sigmoid(x, out=gradient[part]).mul_(factors).sub_(positives, alpha=positive)
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, loss_gradient: Tensor) -> tuple[Tensor | None, None, None, None]:
        """The gradient of the logits."""
        (gradient,) = ctx.saved_tensors
        return gradient * loss_gradient, None, None, None


def _masked_mean(values: Tensor, weight: Tensor) -> Tensor:
    weight = weight.float()
    total = values.shape[1] * weight.sum((1, 2, 3))
    return ((values * weight).sum((1, 2, 3)) / total.clamp(min=1)).mean()


def perceptual_loss(
    fake: Tensor,
    real: Tensor,
    extractor: Callable[[Tensor], Sequence[Tensor]],
    weights: Sequence[float] = _VGG_WEIGHTS,
) -> Tensor:
    """Weighted L1 distance of feature maps (Johnson et al. 2016; default weights of pix2pixHD).

    Args:
        fake: Generated frames, three or one. Three frames are the channels of one image; a single one is repeated.
        real: True frames; they receive no gradient.
        extractor: (n, 3, h, w) in [−1, 1] → feature maps.
        weights: Of the maps.
    """
    fake_maps = extractor(fake if fake.shape[1] == 3 else fake.expand(-1, 3, -1, -1))
    with torch.no_grad():
        real_maps = extractor(real if real.shape[1] == 3 else real.expand(-1, 3, -1, -1))
    pairs = zip(weights, fake_maps, real_maps, strict=True)
    return torch.stack([weight * (a.float() - b.float()).abs().mean() for weight, a, b in pairs]).sum()


class Vgg19Features(nn.Module):
    """Feature extractor of the perceptual loss: the maps relu1_1, 2_1, 3_1, 4_1 and 5_1 of VGG19, with fixed weights.

    Args:
        path: torchvision's ImageNet weights, ``vgg19-dcbb9e9d.pth`` (or its ``features.*`` as safetensors).

    Raises:
        WeightsError: The file is missing or damaged, or is not a VGG19.
    """

    def __init__(self, path: Path):
        super().__init__()
        if not path.is_file():
            raise WeightsError(
                f"loss.vgg={path}: no such file; download torchvision's vgg19-dcbb9e9d.pth and set loss.vgg to its "
                "path, or switch the perceptual loss off with loss.perceptual=0"
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
        """Map (n, 3, h, w) in [−1, 1] to five feature maps."""
        maps = []
        x = ((x + 1) / 2 - self.mean) / self.std
        for index, layer in enumerate(self.features):
            x = layer(x)
            if index in _VGG_LAYERS:
                maps.append(x)
        return maps
