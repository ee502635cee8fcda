"""Words that mean several encoders together: ``a+b``, ``concat:a+b+c``, ``mean:a+b``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from f2vbench.errors import SettingsError

FUSION = "fusion"
FUSIONS = {
    "attention": "a+b: each encoder's embedding projected to one width, weighted for each image by soft attention",
    "concat": "concat:a+b: the projected embeddings one after the other",
    "mean": "mean:a+b: the mean of the projected embeddings",
}


def is_fusion(text: str) -> bool:
    """Whether a word of ``model=`` is meant as a fusion, and not as one model with a file that has a + in its name."""
    family, _, rest = text.partition(":")
    return family in FUSIONS or ("+" in text and not Path(rest).expanduser().is_file())


def fusion_words(text: str) -> tuple[str, list[str]]:
    """How a fusion joins, ``attention`` where nothing is said, and the words of its models.

    Raises:
        SettingsError: fewer than two models.
    """
    how, colon, rest = text.partition(":")
    if not colon or how not in FUSIONS:
        how, rest = "attention", text
    words = [word.strip() for word in rest.split("+")]
    if len(words) < 2 or not all(words):
        raise SettingsError(f"model={text}: a fusion joins two models or more, as in {how}:a+b or a+b")
    return how, words


def fusion_name(how: str, names: Sequence[str]) -> str:
    """As shown in tables: the models' names joined by +, with the kind of fusion before them unless it is attention."""
    joined = "+".join(names)
    return joined if how == "attention" else f"{how}:{joined}"
