"""The segmentation decoder accepts any pyramid of feature maps, and its loss equals the definition."""

from __future__ import annotations

import pytest
import torch

from f2vbench.heads.unet_decoder import UNetDecoder, segmentation_loss, spread_strides


@pytest.mark.parametrize(
    ("channels", "strides"),
    [
        ((64, 128, 256, 512, 1024), (1, 2, 4, 8, 16)),
        ((64, 64, 128, 256, 512), (2, 4, 8, 16, 32)),
        ((96, 192, 384, 768), (4, 8, 16, 32)),
        ((192, 192, 192, 192), (16, 16, 16, 16)),
    ],
)
def test_the_decoder_accepts_any_pyramid_at_any_size(channels, strides):
    decoder = UNetDecoder(channels, strides).eval()
    for height, width in ((64, 96), (70, 51)):
        pyramid = [torch.randn(2, c, -(-height // s), -(-width // s)) for c, s in zip(channels, strides, strict=True)]
        assert decoder(pyramid, (height, width)).shape == (2, 1, height, width)


def test_decoders_of_narrow_and_wide_encoders_have_the_same_size_after_the_projection():
    def parameters(channels: tuple[int, ...]) -> int:
        decoder = UNetDecoder(channels, (2, 4, 8, 16, 32))
        return sum(p.numel() for name, p in decoder.named_parameters() if not name.startswith("project"))

    assert parameters((64, 64, 128, 256, 512)) == parameters((64, 256, 512, 1024, 2048))


def test_each_map_gets_its_own_stride():
    assert spread_strides([16, 16, 16, 16]) == [2, 4, 8, 16]
    assert spread_strides([4, 8, 16, 32]) == [4, 8, 16, 32]
    with pytest.raises(ValueError, match="cannot have distinct strides"):
        spread_strides([2, 2, 2])
    with pytest.raises(ValueError, match="stride 14"):
        spread_strides([14, 14])


def test_the_loss_is_cross_entropy_plus_dice_inside_the_field_of_view():
    logits = torch.tensor([[[[2.0, -1.0, 50.0]]]])
    target = torch.tensor([[[[1.0, 0.0, 0.0]]]])
    valid = torch.tensor([[[[1.0, 1.0, 0.0]]]])  # the third pixel, with a large error, is outside
    p, q = torch.sigmoid(torch.tensor(2.0)), torch.sigmoid(torch.tensor(-1.0))
    expected = (-torch.log(p) - torch.log(1 - q)) / 2 + 1 - (2 * p + 1) / (p + q + 1 + 1)
    assert segmentation_loss(logits, target, valid).item() == pytest.approx(expected.item(), abs=1e-6)


def test_the_loss_of_several_classes_is_the_mean_of_their_losses():
    stream = torch.Generator().manual_seed(1)
    logits = torch.randn(2, 3, 8, 8, generator=stream)
    target = (torch.rand(2, 3, 8, 8, generator=stream) > 0.6).float()
    valid = (torch.rand(2, 1, 8, 8, generator=stream) > 0.3).float()
    losses = [segmentation_loss(logits[:, [c]], target[:, [c]], valid) for c in range(3)]
    torch.testing.assert_close(segmentation_loss(logits, target, valid), torch.stack(losses).mean())
    hidden = torch.where(valid > 0, logits, 50.0)
    torch.testing.assert_close(segmentation_loss(hidden, target, valid), segmentation_loss(logits, target, valid))
