"""Networks that are trained on support images.

Classification heads on embeddings: the default on one encoder (`wide_mlp`), and those of the papers (`mlp`, `fusion`),
trained many at a time (`batched_training`). A segmentation decoder on the feature maps of an encoder
(`unet_decoder`), and the small U-Net of the baseline ``scratch`` (`scratch_unet`).
"""
