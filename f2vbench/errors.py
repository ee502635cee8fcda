"""Errors that the user can fix.

Each message says what is wrong, where (file, row or key), and what to do. The command line prints it without a
traceback and exits with code 2. Any other exception is a defect of f2vbench.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class F2VBenchError(Exception):
    """Base class of all errors that the user can fix.

    Args:
        problems: One message, or several, which are all listed.

    Attributes:
        problems: The messages.
    """

    def __init__(self, problems: str | Iterable[str]):
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__(self.problems)  # the only argument, so that the error can be pickled

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return self.problems[0]
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        return f"{len(self.problems)} problems:\n{lines}"


class SettingsError(F2VBenchError):
    """A command-line argument, a value in a YAML file or an argument of the Python API is invalid."""


class DataError(F2VBenchError):
    """An image, label or folder is missing, unreadable, or contradicts another."""


class WeightsError(F2VBenchError):
    """Weights are missing, damaged, or made for another architecture."""


class StoreError(F2VBenchError):
    """A run folder or the cache is not writable, or has results that are not comparable."""


class WeightsNote(UserWarning):
    """What loading did to the tensors of a weights file, such as removing a prefix of their names."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Suggest the most similar known name.

    Args:
        name: An unknown name.
        known: Known names.

    Returns:
        ``"; did you mean 'x'?"``, or an empty string if no name is similar.
    """
    matches = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{matches[0]}'?" if matches else ""
