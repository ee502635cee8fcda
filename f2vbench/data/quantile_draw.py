"""Draw of few support images whose labels are numbers, over the whole range of the numbers."""

from __future__ import annotations

from collections.abc import Callable

from pandas import DataFrame

from f2vbench.errors import DataError
from f2vbench.utils.text import plural


def draw_by_quantile(
    training: DataFrame, task: str, shots: int, shuffle: Callable[[list[str]], list[str]]
) -> list[str]:
    """Draw one image of each of ``shots`` equal groups of the training images, sorted by their number.

    In survival, images with and without an event are drawn apart, with the share of events of the training images.

    Args:
        training: One row per image, indexed by image id, with the columns ``patient`` and ``value``, or ``time`` and
            ``event``.
        task: Name of the task, for messages.
        shots: Number of images.
        shuffle: Shuffles ids.

    Raises:
        DataError: There are fewer training images.
    """
    if shots < 1:
        raise ValueError(f"few-shot with shots={shots}: a positive number is needed")
    if shots > len(training):
        raise DataError(
            f"{task}: shots={shots}, but the training split has {plural(len(training), 'image')}: use "
            f"shots={len(training)} or fewer"
        )
    if "value" in training:
        groups = _equal_groups(training, "value", shots)
    else:
        events, censored = training[training["event"] == "1"], training[training["event"] == "0"]
        with_event = min(max(round(shots * len(events) / len(training)), 1, shots - len(censored)), len(events))
        groups = _equal_groups(events, "time", with_event) + _equal_groups(censored, "time", shots - with_event)
    patients = training["patient"]
    chosen: list[str] = []
    seen: set[str] = set()
    for group in groups:
        candidates = shuffle(group)
        image = next((name for name in candidates if patients[name] not in seen), candidates[0])
        chosen.append(image)
        seen.add(patients[image])
    return shuffle(chosen)


def _equal_groups(images: DataFrame, column: str, count: int) -> list[list[str]]:
    """The ids of images, sorted by a number and then by id, in groups whose sizes differ by at most one."""
    numbers = images[column].astype(float)
    ordered = sorted(images.index, key=lambda image: (numbers[image], image))
    return [ordered[len(ordered) * i // count : len(ordered) * (i + 1) // count] for i in range(count)]
