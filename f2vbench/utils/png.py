"""Encoding of PNG files in memory."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np

_AFTER_HEADER = 33  # bytes: signature and the chunk IHDR


def encode_png(pixels: np.ndarray, software: str | None = None) -> bytes:
    """Encode an image as PNG with fast compression, because noise hardly compresses anyway.

    Args:
        pixels: (height, width) grey or (height, width, 3) RGB, uint8.
        software: Latin-1 text of the metadata entry ``Software``; by default the file has no metadata.

    Raises:
        ValueError: Another shape or dtype.
    """
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR) if pixels.ndim == 3 else pixels
    encoded, content = cv2.imencode(".png", bgr, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    if not encoded:
        raise ValueError(f"an array of {pixels.dtype} {pixels.shape} can't be encoded as PNG")
    png = content.tobytes()
    if software is None:
        return png
    body = b"tEXtSoftware\0" + software.encode("latin-1")
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return png[:_AFTER_HEADER] + chunk + png[_AFTER_HEADER:]
