"""Values of mask files that a task card declares as foreground, as text."""

from __future__ import annotations

import re
from collections.abc import Sequence

_VALUE = re.compile(r"\d{1,5}|#[0-9a-f]{6}|>\d{1,5}")


def declaration(values: Sequence[int | str]) -> str:
    """Declared values as the text that `f2vbench.data.mask_values.foreground` takes.

    Args:
        values: Grey values or values of the brightest channel (``2``), colours (``"#ff0000"``), or ``">127"`` for all
            larger values.

    Raises:
        ValueError: Something else.
    """
    texts = [str(value).lower().replace(" ", "") for value in values]
    for text in texts:
        if not _VALUE.fullmatch(text):
            raise ValueError(f"'{text}' must be a number such as 2, a colour such as '#ff0000', or '>127'")
    return ",".join(texts)
