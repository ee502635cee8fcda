"""`f2vbench weights …` and `f2vbench export …`: arguments in, the text to print out."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic

from f2vbench.config.parsing import AnySettings, parse, split_operands, usage
from f2vbench.errors import F2VBenchError, SettingsError, WeightsError, did_you_mean
from f2vbench.pretrained.checkpoints import file_sha256
from f2vbench.pretrained.shards import description_path, stored_files
from f2vbench.pretrained.weights_cards import WeightsCard, weights_card, weights_cards
from f2vbench.pretrained.weights_files import find_weights, is_available
from f2vbench.publish.settings import ExportSettings, ListKeys, MakeSettings, NoKeys, PushSettings, ResultsSettings
from f2vbench.utils.existing_outputs import check_output_file, check_output_folder
from f2vbench.utils.text import layout, plural

USAGE = """\
usage: f2vbench weights <command> ...

  list                      all weights cards, and whether their file is on this machine; format=json
  show <card>               all entries of a card
  where <card>              path of its file, verified against the card; if it is missing, how to get it
  check [<card>]            verify files against their cards, and load those that are models
  make <run folder> name=…  weights with a card from a completed training:  make runs/mini name=my-mini default=yes
  push <run folder or card> repo=owner/name   upload to the Hugging Face Hub; --dry-run writes the files to a folder
  results <run folder> repo=owner/name model=… dataset=owner/name   upload results of a run to a model's repository

f2vbench weights make --help, push --help and results --help list their keys. Cards are also searched for in ./weights
and $F2VBENCH_PATH."""

_ABSENT = "not on this machine"


@dataclass(frozen=True)
class _Command(Generic[AnySettings]):
    """A command with at most one operand and settings.

    Attributes:
        name: As typed after `f2vbench`, such as `weights show`.
        operand: Such as `<card>`, or `[<card>]` if it may be omitted; empty for none.
        settings: Type of its settings.
        run: (operand, settings) → the text to print; the operand is empty where it is omitted.
    """

    name: str
    operand: str
    settings: type[AnySettings]
    run: Callable[[str, AnySettings], str]

    def __call__(self, arguments: Sequence[str]) -> str:
        """The output for command-line arguments.

        Raises:
            SettingsError: A missing or additional operand, or settings that are not valid.
        """
        call = f"{self.name} {self.operand}".strip()
        if {"-h", "--help"} & set(arguments):
            return usage(call, self.settings)
        if not self.operand:
            return self.run("", parse(self.settings, arguments))
        operands, keys = split_operands(self.settings, arguments)
        if not all(word.strip() for word in operands):
            raise SettingsError(f"f2vbench {self.name}: {self.operand} is empty; is a shell variable unset?")
        if len(operands) > 1 or not (operands or self.operand.startswith("[")):
            expected = f"one {self.operand}, not {' '.join(operands)}" if operands else self.operand
            raise SettingsError(f"f2vbench {self.name}: give {expected}, as in: f2vbench {call}")
        settings = parse(self.settings, keys)
        return self.run(operands[0] if operands else "", settings)


def weights(arguments: Sequence[str]) -> str:
    """The output of `f2vbench weights <arguments>`.

    Args:
        arguments: A command and its arguments; the help text without any.

    Raises:
        SettingsError: Unknown command, or arguments that are not valid.
        F2VBenchError: As the function of the command.
    """
    name = arguments[0] if arguments else "--help"
    if name in ("-h", "--help", "help"):
        return USAGE
    commands = {command.name.removeprefix("weights "): command for command in _COMMANDS}
    if name not in commands:
        raise SettingsError(f"weights {name}: unknown{did_you_mean(name, commands)}; there are {', '.join(commands)}")
    return commands[name](arguments[1:])


def export(arguments: Sequence[str]) -> str:
    """The output of `f2vbench export <run folder> [out=…] [half=yes]`.

    Args:
        arguments: The run folder and settings.

    Raises:
        SettingsError: Arguments that are not valid, or as `f2vbench.training.export.export_checkpoint`.
        StoreError: As `f2vbench.training.export.export_checkpoint`.
    """
    return _EXPORT(arguments)


def _list(_: str, settings: ListKeys) -> str:
    if settings.format == "json":
        return json.dumps([_entry(name) for name in weights_cards()], indent=1, ensure_ascii=False)
    rows = []
    for name in weights_cards():
        try:
            card = weights_card(name)
        except WeightsError as error:
            rows.append([name, f"damaged card: {error}", "", ""])
            continue
        default = f"default of {card.default_of}" if card.default_of else ""
        rows.append([name, card.title, default, _path_or_problem(card)])
    return layout(["card", "weights", "", "file"], rows)


def _entry(name: str) -> dict[str, Any]:
    """Keys of a card and the path of its file, JSON-serialisable; or why the card is damaged."""
    try:
        card = weights_card(name)
    except WeightsError as error:
        return {"name": name, "problem": str(error)}
    return card.model_dump(mode="json", exclude_none=True) | {"path": _path_or_problem(card)}


def _show(name: str, _: NoKeys) -> str:
    from f2vbench.publish.make_card import card_text

    card = weights_card(name)
    return f"{card_text(card).decode()}# file: {_path_or_problem(card)}"


def _where(name: str, _: NoKeys) -> str:
    return str(find_weights(weights_card(name)))


def _check(name: str, _: NoKeys) -> str:
    """Check one card, or all; without a name, an absent file that is not shipped is no problem."""
    rows, problems = [], []
    for card_name in [name] if name else weights_cards():
        try:
            card = weights_card(card_name)
            is_absent = not name and card.kind != "shipped" and not is_available(card)
            rows.append([card_name, _ABSENT if is_absent else _check_file(card)])
        except F2VBenchError as error:
            problems += error.problems
    if problems:
        raise WeightsError(problems)
    return layout(["card", "result"], rows)


def _check_file(card: WeightsCard) -> str:
    path = find_weights(card)
    if card.family is None:
        return f"ok: {path}"
    from f2vbench.encoders.loading import build
    from f2vbench.encoders.model_argument import parse_model
    from f2vbench.encoders.registry import find_family

    try:
        find_family(card.family.partition(":")[0]).check_libraries("loading it")
    except SettingsError as error:  # the extra of its family
        return f"ok, not loaded, because {error}: {path}"
    build(parse_model(f"{card.family}:{path}"))
    return f"ok, loads as {card.family}: {path}"


def _make(folder: str, settings: MakeSettings) -> str:
    from f2vbench.publish.make_card import make_weights

    card = make_weights(Path(folder), settings)
    size = f"{(card.size or 0) / 1e6:.1f} MB"
    return f"{settings.out / card.file} ({size}) and {settings.out / card.name}.yaml, for {card.used_for}"


def _push(source: str, settings: PushSettings) -> str:
    from f2vbench.publish.upload import prepare_upload, push

    upload = prepare_upload(source, settings)
    if settings.dry_run:
        folder = settings.out or Path(f"{upload.card.name}-upload")
        check_output_folder(folder, "out", upload.files, [f"{upload.card.name}.yaml"])
        rows = [[path.name, f"{path.stat().st_size:,}"] for path in upload.write(folder)]
        return f"{layout(['file', 'bytes'], rows)}\n\nwritten to {folder}, nothing uploaded (repo={settings.repo})"
    location, uploaded = push(upload, settings)
    outcome = f"uploaded {', '.join(uploaded)} to {location}" if uploaded else f"nothing to upload, {location} has it"
    return f"{outcome}\nuse it as model={upload.card.family}:{location}"


def _results(folder: str, settings: ResultsSettings) -> str:
    from f2vbench.publish.eval_results import FOLDER, eval_results, push_eval_results

    results = eval_results(folder, settings)
    summary = f"{plural(results.entries, 'result')} of {results.model}"
    if settings.dry_run:
        check_output_folder(settings.out, "out", (FOLDER,))
        paths = ", ".join(map(str, results.write(settings.out)))
        return f"{summary} written to {paths}, nothing uploaded (repo={settings.repo})"
    return f"{summary} uploaded to {push_eval_results(results, settings)}"


def _export(folder: str, settings: ExportSettings) -> str:
    if settings.out is not None and settings.out.suffix != ".safetensors":
        raise SettingsError(f"out={settings.out}: must end in .safetensors")
    from f2vbench.training.export import export_checkpoint

    if settings.out is not None:
        check_output_file(settings.out, "out", _is_export)
    path = export_checkpoint(Path(folder), settings.out, half=settings.half)
    shards = len(stored_files(path)) - 1
    return f"generator: {path}{f' of {shards} shards' if shards else ''}, its description: {description_path(path)}"


def _is_export(file: Path) -> bool:
    """Whether the card of an export beside a file names the file and its present content."""
    try:
        card = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    except ValueError:
        return False
    return isinstance(card, dict) and card.get("file") == file.name and card.get("sha256") == file_sha256(file)


def _path_or_problem(card: WeightsCard) -> str:
    try:
        return str(find_weights(card)) if is_available(card) else _ABSENT
    except WeightsError as error:
        return str(error)


_COMMANDS: tuple[_Command[Any], ...] = (
    _Command("weights list", "", ListKeys, _list),
    _Command("weights show", "<card>", NoKeys, _show),
    _Command("weights where", "<card>", NoKeys, _where),
    _Command("weights check", "[<card>]", NoKeys, _check),
    _Command("weights make", "<run folder>", MakeSettings, _make),
    _Command("weights push", "<run folder or card>", PushSettings, _push),
    _Command("weights results", "<run folder>", ResultsSettings, _results),
)
_EXPORT = _Command("export", "<run folder>", ExportSettings, _export)
