"""Encoding of PNG files in memory."""

from __future__ import annotations

import cv2
import numpy as np


def encode_png(pixels: np.ndarray) -> bytes:
    """Encode an image as PNG with fast compression, because noise hardly compresses anyway.

    Args:
        pixels: (height, width) grey or (height, width, 3) RGB, uint8.

    Raises:
        ValueError: Another shape or dtype.
    """
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    encoded, content = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not encoded:
        raise ValueError(f"an array of {pixels.dtype} {pixels.shape} can't be encoded as PNG")
    return content.tobytes()
