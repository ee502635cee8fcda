"""Training of angiogram generators (Fundus2Video, Fundus2FA, pix2pixHD) and of masked autoencoders.

`train` is the entry point, `settings` and `presets` describe a training, `trainer` runs it. `methods` has what differs
between the models; `generator_step` and `mae_method` are their training steps. `data/` prepares the images.
"""
