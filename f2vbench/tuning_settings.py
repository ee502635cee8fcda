"""Settings of encoders that are trained together with a classification head; defaults are RETFound's recipe.

Zhou et al., Nature 622, 2023, and its code, which follows MAE's fine-tuning (He et al., CVPR 2022): batches of 16, 50
epochs, warm-up, weight decay and label smoothing are those of ``head.*``.
"""

from __future__ import annotations

from pydantic import Field

from f2vbench.setting_types import Settings


class TuneSettings(Settings):
    """How an encoder is trained with a classification head, finetune=full; epochs, batch and schedule are head.*."""

    learning_rate: float = Field(
        5e-3, gt=0, description="peak learning rate for batches of 256 images; head.batch_size / 256 of it is taken"
    )
    layer_decay: float = Field(
        0.65, gt=0, le=1, description="factor of the learning rate from each layer to the one before it"
    )
    drop_path: float = Field(
        0.2,
        ge=0,
        lt=1,
        description="part of the residual branches skipped in the last block, in the first none",
    )
    crop_area: float = Field(
        0.08, gt=0, le=1, description="least share of the photograph that a training view shows; 1: all of it"
    )
    operations: int = Field(2, ge=0, description="RandAugment: operations drawn for a view, each done half the time")
    magnitude: float = Field(9, ge=0, le=10, description="RandAugment: strength of its operations, sd 0.5")
    erasing: float = Field(0.25, ge=0, le=1, description="part of the views with a rectangle of noise")
