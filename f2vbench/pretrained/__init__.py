"""Pretrained weights: cards that describe them, their files, downloads from the Hugging Face Hub, safe reading."""
