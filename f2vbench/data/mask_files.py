"""Mask files of several classes in an index: which file is of which class of the card."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence

from pandas import DataFrame, Series

from f2vbench.data.annotation import IGNORE
from f2vbench.data.label_classes import SEPARATOR
from f2vbench.data.mask_declaration import MaskClass
from f2vbench.data.task_cards import TaskCard
from f2vbench.utils.text import plural


def name_mask_files(files: Series, classes: Sequence[MaskClass]) -> tuple[Series, list[str]]:
    """Replace the names that a data set gives to classes by those of the card.

    Args:
        files: JSON objects of name and file, "" for images without any.
        classes: Classes of the card.

    Returns:
        - The same with names of the card, without the files of other classes.
        - Warnings that count the files that are not used.
    """
    spellings = {text.casefold(): each.name for each in classes for text in (each.name, *each.read)}
    spellings.setdefault(IGNORE, IGNORE)
    unused: Counter[str] = Counter()

    def named(text: str) -> str:
        if not text:
            return ""
        found = {}
        for name, path in json.loads(text).items():
            known = spellings.get(name.casefold())
            if known is None:
                unused[name] += 1
            else:
                found[known] = path
        return json.dumps(found) if found else ""

    renamed = files.map(named)
    if not unused:
        return renamed, []
    listed = ", ".join(f"{name} ({plural(count, 'file')})" for name, count in sorted(unused.items()))
    return renamed, [f"mask files of classes that are not on the card, not used: {listed}; add a class, or `read`"]


def images_with_class(index: DataFrame, name: str) -> Series:
    """Whether each image of an index with file facts has pixels of a class, bool."""
    found: Series = index["present"].map(lambda text: name in text.split(SEPARATOR))
    return found.astype(bool)


def class_notes(index: DataFrame, card: TaskCard) -> list[str]:
    """A note on the images in which classes do not occur, which count as negatives."""
    counts = {each.name: int(images_with_class(index, each.name).sum()) for each in card.mask_classes}
    partly = [f"{name} in {count:,}" for name, count in counts.items() if count < len(index)]
    if not partly:
        return []
    return [
        f"images with pixels of a class: {', '.join(partly)} of {len(index):,}; images without a class count as "
        "negatives"
    ]
