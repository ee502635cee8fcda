"""Errors meant for the person at the keyboard.

Every message says what is wrong, where (file, row or key), and what to do next. The command line prints
them without a traceback and exits with status 2; anything else that is raised is a defect of f2vbench.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class F2VBenchError(Exception):
    """Base of all errors a user can mend; holds one or several problems.

    Args:
        problems: one message, or several that are all listed.
    """

    def __init__(self, problems: str | Iterable[str]):
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__(self.problems)  # as given, so that the error survives the way between processes

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return self.problems[0]
        listed = "\n".join(f"  - {problem}" for problem in self.problems)
        return f"{len(self.problems)} problems:\n{listed}"


class SettingsError(F2VBenchError):
    """A word of the command line, a YAML file or an API argument can't be used."""


class DataError(F2VBenchError):
    """An image, a label or a folder is missing, unreadable or contradicts another."""


class WeightsError(F2VBenchError):
    """Weights are missing, damaged, or made for another architecture."""


class StoreError(F2VBenchError):
    """A run folder or cache can't be written, or holds something that doesn't belong together."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the nearest known word, or an empty string."""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""
