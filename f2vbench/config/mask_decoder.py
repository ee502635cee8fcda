"""Settings of the fine-tuning of SAM2's mask decoder."""

from __future__ import annotations

from pydantic import Field

from f2vbench.config.base import Settings


class MaskDecoderSettings(Settings):
    """Fine-tuning of the mask decoder of `sam2` and `medical-sam2`; batch size, epochs and steps are those of the run.

    An epoch is one pass over the support images: the decoder receives whole photographs, not crops.
    """

    learning_rate: float = Field(1e-4, gt=0, description="learning rate (Adam, constant)")
    halve_every: int | None = Field(
        None,
        ge=1,
        description="epochs after which the learning rate is halved, again and again; Medical-SAM2's code: 10",
    )
    positive_weight: float = Field(2.0, gt=0, description="weight of vessel pixels in the cross-entropy")
    dice_weight: float = Field(
        1.0, ge=0, description="weight of the soft Dice loss beside the cross-entropy; Medical-SAM2's code: 0"
    )
