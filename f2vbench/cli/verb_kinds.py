"""Kinds of verbs of the command line: their settings are imported when the verb runs, so that `--help` stays fast."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from f2vbench.errors import F2VBenchError, did_you_mean


@dataclass(frozen=True)
class Verb:
    """A verb whose arguments are settings, ``key=value``.

    Attributes:
        summary: Line of the help text.
        settings: Import path of its settings class, ``module:class``.
        function: Receives the settings, and returns the exit code.
    """

    summary: str
    settings: str
    function: Callable[[Any], int]

    def run(self, verb: str, arguments: Sequence[str]) -> int:
        """Parse the arguments and run the verb, or print its help text."""
        settings = _read_settings(verb, self.settings, arguments)
        return 0 if settings is None else self.function(settings)


@dataclass(frozen=True)
class VerbWithActions:
    """A verb whose first argument names an action: ``data check key=value``.

    Attributes:
        summary: Line of the help text.
        settings: Import path of its settings class, ``module:class``.
        actions: Names of the actions.
        keys: Keys in the usage line.
        function: Receives the action and the settings, and returns the exit code.
        aliases: Other words for an action.
    """

    summary: str
    settings: str
    actions: tuple[str, ...]
    keys: str
    function: Callable[[str, Any], int]
    aliases: Mapping[str, str] = field(default_factory=dict)

    def run(self, verb: str, arguments: Sequence[str]) -> int:
        """Parse the arguments and run the action, or print a help text."""
        action = arguments[0] if arguments else "--help"
        if action in ("-h", "--help"):
            print(f"usage: f2vbench {verb} {' | '.join(self.actions)} {self.keys}")
            return 0
        action = self.aliases.get(action, action)
        if action not in self.actions:
            hint = did_you_mean(action, self.actions)
            raise F2VBenchError(f"{verb} {action}: no such action{hint}; choose from {', '.join(self.actions)}")
        settings = _read_settings(f"{verb} {action}", self.settings, arguments[1:])
        return 0 if settings is None else self.function(action, settings)


@dataclass(frozen=True)
class VerbWithVerbs:
    """A verb whose first argument names a verb with settings of its own: ``assess prepare key=value``.

    Attributes:
        summary: Line of the help text.
        verbs: Verbs by name.
    """

    summary: str
    verbs: Mapping[str, Verb]

    def run(self, verb: str, arguments: Sequence[str]) -> int:
        """Run the inner verb, or print a help text."""
        action = arguments[0] if arguments else "--help"
        if action in ("-h", "--help"):
            lines = "\n".join(f"  {name:<8} {entry.summary}" for name, entry in self.verbs.items())
            print(f"usage: f2vbench {verb} {' | '.join(self.verbs)} [key=value ...]\n\n{lines}")
            return 0
        if action not in self.verbs:
            hint = did_you_mean(action, self.verbs)
            raise F2VBenchError(f"{verb} {action}: no such action{hint}; choose from {', '.join(self.verbs)}")
        return self.verbs[action].run(f"{verb} {action}", arguments[1:])


@dataclass(frozen=True)
class TextVerb:
    """A verb that parses its own arguments.

    Attributes:
        summary: Line of the help text.
        function: Import path of a function from arguments to the text that is printed, ``module:function``.
    """

    summary: str
    function: str

    def run(self, verb: str, arguments: Sequence[str]) -> int:
        """Run the verb and print its text."""
        print(_import(self.function)(arguments))
        return 0


def _read_settings(verb: str, settings: str, arguments: Sequence[str]) -> Any:
    """Settings from arguments; None if they ask for help, which is printed."""
    from f2vbench.config.parsing import parse, usage

    model = _import(settings)
    if {"-h", "--help"} & set(arguments):
        print(usage(verb, model))
        return None
    return parse(model, arguments)


def _import(path: str) -> Any:
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute)
