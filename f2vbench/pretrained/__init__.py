"""Pretrained weights: cards that describe them, files on this machine, downloads from the Hugging Face Hub, and safe
reading of checkpoints."""
