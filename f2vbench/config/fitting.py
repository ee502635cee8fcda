"""Settings of what a run trains: segmentation decoders, classification heads, the scratch network, encoders."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from f2vbench.config.base import Settings, expand_integers

DecoderName = Literal["unet", "generator"]
SamplingName = Literal["uniform", "balanced"]
HeadRecipe = Literal["mlp", "paper"]


class DecoderSettings(Settings):
    """Training of the segmentation decoder on the feature maps of an encoder."""

    network: DecoderName = Field(
        "unet",
        description="unet: a new U-Net decoder for any encoder; generator (or decoder=generator): the second half of a "
        "pix2pixHD generator with a new output layer; other encoders have the U-Net decoder. A model argument that "
        "ends in @unet or @generator has its own",
    )
    crop: int = Field(512, ge=32, description="side of a training crop, in pixels of the resized image")
    views: int = Field(4, ge=1, description="crops per support image and epoch")
    sampling: SamplingName = Field(
        "uniform",
        description="uniform: crops anywhere in the field of view; balanced: half of the crops contain a pixel of a "
        "class, of all classes in equal shares, for lesions that are rare or small",
    )
    pool: int = Field(
        8,
        ge=1,
        description="augment=pool: number of views encoded in advance for all support images",
    )
    learning_rate: float = Field(3e-3, gt=0, description="peak learning rate of the decoder (AdamW, cosine)")
    generator_learning_rate: float = Field(
        1e-4, gt=0, description="network=generator: peak learning rate of the layers from the generator"
    )
    encoder_learning_rate: float = Field(1e-4, gt=0, description="finetune=full: peak learning rate of the encoder")
    weight_decay: float = Field(1e-4, ge=0, description="weight decay of AdamW")


class HeadSettings(Settings):
    """Training of classification heads on embeddings; batch size, epochs and learning rates are those of the paper.

    All keys but ``recipe`` belong to the recipe ``paper``. Fusions, untrained heads (zero-shot) and heads of encoders
    that are trained too (finetune=full) always have that recipe.
    """

    recipe: HeadRecipe = Field(
        "mlp",
        description="(or head=mlp, head=paper) mlp: a perceptron of infinite width with a linear connection, which "
        "depends on neither the width nor the rotation of an embedding, its penalty chosen on the support images; "
        "paper: the perceptron and training of the papers, with all other head.* keys. Fusions, zero-shot heads and "
        "finetune=full always have the recipe of the papers",
    )

    widths: Annotated[list[Annotated[int, Field(ge=1)]], BeforeValidator(expand_integers)] = Field(
        [128], description="widths of the hidden layers of the MLP"
    )
    fusion_width: int = Field(
        128, ge=16, multiple_of=16, description="width to which a fusion projects the embedding of each encoder"
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="dropout rate of the hidden layers")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="label smoothing")
    batch_size: int = Field(16, ge=1, description="images per optimiser step")
    epochs: int = Field(50, ge=1, description="passes over the support images")
    warmup_epochs: int = Field(10, ge=0, description="epochs of linear warm-up of the learning rate from 0")
    learning_rate: float = Field(5e-4, gt=0, description="peak learning rate (AdamW, cosine after the warm-up)")
    min_learning_rate: float = Field(1e-6, ge=0, description="learning rate at the end of the cosine schedule")
    weight_decay: float = Field(0.05, ge=0, description="weight decay of AdamW")


class ScratchSettings(Settings):
    """Training of the `scratch` baseline, a small U-Net, on the support images."""

    steps: int = Field(2600, ge=1, description="optimiser steps")
    batch_size: int = Field(4, ge=1, description="crops per optimiser step")


class TuneSettings(Settings):
    """Fine-tuning of an encoder with a classification head (finetune=full); epochs, batch size and schedule: head.*."""

    learning_rate: float = Field(
        5e-3, gt=0, description="peak learning rate for a batch of 256 images; scaled by head.batch_size / 256"
    )
    layer_decay: float = Field(
        0.65, gt=0, le=1, description="layer-wise learning-rate decay: factor between a layer and the one before it"
    )
    drop_path: float = Field(
        0.2, ge=0, lt=1, description="stochastic depth: rate in the last block; it rises linearly from 0 in the first"
    )
    crop_area: float = Field(
        0.08, gt=0, le=1, description="smallest area of a random crop, as a fraction of the photograph; 1: no cropping"
    )
    operations: int = Field(2, ge=0, description="RandAugment: operations per view, each applied with probability 0.5")
    magnitude: float = Field(9, ge=0, le=10, description="RandAugment: magnitude, with a standard deviation of 0.5")
    erasing: float = Field(0.25, ge=0, le=1, description="random erasing: probability per view")
