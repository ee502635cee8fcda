"""`f2vbench weights …` and `f2vbench export …`: words in, the text to print out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from f2vbench.config.parsing import AnySettings, parse, usage
from f2vbench.errors import F2VBenchError, SettingsError, WeightsError, did_you_mean
from f2vbench.pretrained.weights_cards import WeightsCard, weights_card, weights_cards
from f2vbench.pretrained.weights_files import find_weights, is_available
from f2vbench.publish.settings import ExportSettings, MakeSettings, NoKeys, PushSettings
from f2vbench.utils.text import layout

USAGE = """\
usage: f2vbench weights <what> ...

  list                      all cards: what they are for, and whether their file is here
  show <card>               everything that a card tells
  where <card>              the path of its file, checked against the card
  check [<card>]            check files against their cards, and open those that are models
  make <run folder> name=…  a finished training's weights with a card:  make runs/mini name=my-mini default=yes
  push <run folder or card> repo=owner/name   upload to the Hugging Face Hub; --dry-run writes what would be uploaded

f2vbench weights make --help and push --help list their keys. Cards are looked for in ./weights and $F2VBENCH_PATH
as well."""


def weights(words: Sequence[str]) -> str:
    """Answer ``f2vbench weights <words>``.

    Raises:
        SettingsError: words that mean nothing.
        F2VBenchError: as the part that is called.
    """
    verb, rest = (words[0], list(words[1:])) if words else ("--help", [])
    if verb in ("-h", "--help", "help"):
        return USAGE
    verbs: dict[str, Callable[[list[str]], str]] = {
        "list": _list,
        "show": _show,
        "where": _where,
        "check": _check,
        "make": _make,
        "push": _push,
    }
    if verb not in verbs:
        raise SettingsError(f"weights {verb}: unknown{did_you_mean(verb, verbs)}; there are {', '.join(verbs)}")
    return verbs[verb](rest)


def export(words: Sequence[str]) -> str:
    """Answer ``f2vbench export <run folder> [out=…] [half=yes]``.

    Raises:
        SettingsError, StoreError: as `f2vbench.training.export.export_checkpoint`.
    """
    found = _read("export", "<run folder>", ExportSettings, words)
    if isinstance(found, str):
        return found
    folder, settings = found
    if settings.out is not None and settings.out.suffix != ".safetensors":
        raise SettingsError(f"out={settings.out}: must end on .safetensors")
    from f2vbench.training.export import export_checkpoint

    path = export_checkpoint(Path(folder), settings.out, half=settings.half)
    return f"generator: {path}, its card: {path.with_suffix('.json')}"


def _list(words: list[str]) -> str:
    help_text = _no_more("weights list", words)
    if help_text:
        return help_text
    rows = []
    for name in weights_cards():
        try:
            card = weights_card(name)
        except WeightsError as error:
            rows.append([name, f"damaged card: {error}", "", ""])
            continue
        default = f"default of {card.default_of}" if card.default_of else ""
        rows.append([name, card.title, default, _place(card)])
    return layout(["card", "what it is", "", "file"], rows)


def _show(words: list[str]) -> str:
    from f2vbench.publish.make_card import card_text

    found = _read("weights show", "<card>", NoKeys, words)
    if isinstance(found, str):
        return found
    card = weights_card(found[0])
    return f"{card_text(card).decode()}# file: {_place(card)}"


def _where(words: list[str]) -> str:
    found = _read("weights where", "<card>", NoKeys, words)
    return found if isinstance(found, str) else str(find_weights(weights_card(found[0])))


def _check(words: list[str]) -> str:
    """All cards, or one; a download that is not here is no mistake unless it was asked for."""
    found = _read("weights check", "[<card>]", NoKeys, words) if words else None
    if isinstance(found, str):
        return found
    rows, problems = [], []
    for name in weights_cards() if found is None else [found[0]]:
        try:
            card = weights_card(name)
            absent = found is None and card.kind == "download" and not is_available(card)
            rows.append([name, "not on this machine" if absent else _checked(card)])
        except F2VBenchError as error:
            problems += error.problems
    if problems:
        raise WeightsError(problems)
    return layout(["card", "found"], rows)


def _checked(card: WeightsCard) -> str:
    path = find_weights(card)
    if card.family is None:
        return f"ok: {path}"
    from f2vbench.encoders.loading import build
    from f2vbench.encoders.model_argument import parse_model

    build(parse_model(f"{card.family}:{path}"))
    return f"ok, opens as {card.family}: {path}"


def _make(words: list[str]) -> str:
    found = _read("weights make", "<run folder>", MakeSettings, words)
    if isinstance(found, str):
        return found
    from f2vbench.publish.make_card import make_weights

    folder, settings = found
    card = make_weights(Path(folder), settings)
    size = f"{(card.size or 0) / 1e6:.1f} MB"
    return f"{settings.out / card.file} ({size}) and {settings.out / card.name}.yaml, for {card.used_for}"


def _push(words: list[str]) -> str:
    found = _read("weights push", "<run folder or card>", PushSettings, words)
    if isinstance(found, str):
        return found
    from f2vbench.publish.upload import prepare_upload, push

    what, settings = found
    upload = prepare_upload(what, settings)
    if settings.dry_run:
        folder = settings.out or Path(f"{upload.card.name}-upload")
        paths = upload.write(folder)
        rows = [[path.name, f"{path.stat().st_size:,}"] for path in paths]
        return f"{layout(['file', 'bytes'], rows)}\n\nwritten to {folder}, nothing uploaded (repo={settings.repo})"
    place, uploaded = push(upload, settings)
    told = f"uploaded {', '.join(uploaded)} to {place}" if uploaded else f"nothing to upload, all is there: {place}"
    return f"{told}\nuse it as model={upload.card.family}:{place}"


def _place(card: WeightsCard) -> str:
    try:
        return str(find_weights(card)) if is_available(card) else "not on this machine"
    except WeightsError as error:
        return str(error)


def _read(verb: str, takes: str, model: type[AnySettings], words: Sequence[str]) -> tuple[str, AnySettings] | str:
    """The one plain word of a call and its settings, or the help text that was asked for."""
    if set(words) & {"-h", "--help"}:
        return usage(f"{verb} {takes}", model)
    plain = [word for word in words if "=" not in word and not word.startswith(("-", "@"))]
    if len(plain) != 1:
        told = f"one {takes}, not {' '.join(plain)}" if plain else takes
        raise SettingsError(f"f2vbench {verb}: give {told}, as in: f2vbench {verb} {takes}")
    return plain[0], parse(model, [word for word in words if word != plain[0]])


def _no_more(verb: str, words: Sequence[str]) -> str:
    if set(words) & {"-h", "--help"}:
        return usage(verb, NoKeys)
    parse(NoKeys, words)
    return ""
