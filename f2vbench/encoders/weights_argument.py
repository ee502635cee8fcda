"""Which weights a model's word means: those it names, those given beside it, or those of a card."""

from __future__ import annotations

import contextlib
from collections.abc import Container, Mapping
from pathlib import Path

from f2vbench.errors import SettingsError, WeightsError, did_you_mean
from f2vbench.pretrained.hub import SCHEME
from f2vbench.pretrained.weights_cards import WeightsCard, default_card, weights_card, weights_cards

UNTRAINED = "untrained"
Given = Mapping[str, str] | str | None
"""What stands beside the words: one file for all, or files by word or family."""


def weights_named(text: str, family: str, named: str, weights: Given) -> str | None:
    """``untrained``, an absolute path, a place on the Hub, or None, from the word or what was given beside it.

    Args:
        named: what the word itself names.

    Raises:
        SettingsError: named in the word and beside it; nothing after the colon.
        WeightsError: no such file.
    """
    beside = None if weights is None or isinstance(weights, str) else weights.get(text)
    if named and beside is not None:
        raise SettingsError(f"model={text} names its weights, and weights.{text}={beside} names others; keep one")
    if not named and text.endswith(":"):
        raise SettingsError(f"model={text}: nothing follows the colon; write a weights file, or {UNTRAINED}")
    named = named or _beside(text, family, weights) or ""
    if not named or named == UNTRAINED or named.startswith(SCHEME):
        return named or None
    path = Path(named).expanduser().absolute()
    if not path.is_file():
        raise WeightsError(
            f"model={text}: there is no weights file {path}{did_you_mean(named, [UNTRAINED])}; check the path, "
            f"or write {UNTRAINED} to run without weights"
        )
    return str(path)


def hub_address(text: str, family: str, weights: Given) -> str | None:
    """The place on the Hub that a word or what stands beside it names; None where the weights are elsewhere."""
    own = text.partition(":")[2]
    if family == "timm":
        own = own.partition(":")[2]
    if SCHEME not in (own or _beside(text, family, weights) or ""):
        return None
    return weights_named(text, family, own, weights)


def card_meant(text: str, weights: Given, families: Container[str]) -> WeightsCard | None:
    """The card that a word without a colon names, or whose weights its family uses where none are given.

    Raises:
        SettingsError: a card's name, and other weights given beside it.
        WeightsError: the card can't be read.
    """
    if ":" in text:
        return None
    if text in families:
        return None if _beside(text, text, weights) else default_card(text)
    card = weights_card(text) if text in weights_cards() else None
    if card is None or card.family is None:
        return None
    if isinstance(weights, Mapping) and text in weights:
        raise SettingsError(
            f"model={text} names its weights, and weights.{text}={weights[text]} names others; keep one"
        )
    return card


def model_cards() -> list[WeightsCard]:
    """Cards whose weights a model's word can name, sorted; cards that can't be read are passed over."""
    found = []
    for name in weights_cards():
        with contextlib.suppress(WeightsError):
            found.append(weights_card(name))
    return [card for card in found if card.family is not None]


def short(weights: str) -> str:
    """How a model's name tells its weights: a file without folder and ending."""
    return UNTRAINED if weights == UNTRAINED else Path(weights).stem


def _beside(text: str, family: str, weights: Given) -> str | None:
    return weights if weights is None or isinstance(weights, str) else weights.get(text, weights.get(family))
