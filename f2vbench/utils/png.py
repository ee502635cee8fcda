"""PNG files in memory."""

from __future__ import annotations

import cv2
import numpy as np


def encode_png(pixels: np.ndarray) -> bytes:
    """uint8 (h, w) or (h, w, 3) RGB, encoded fast rather than small: noise does not compress much anyway."""
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    done, content = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not done:
        raise ValueError(f"pixels of {pixels.dtype} {pixels.shape} can't be encoded as PNG")
    return content.tobytes()
