"""Training data and licence of the models of a leaderboard, as their weights cards and records say."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from f2vbench.pretrained.weights_cards import WeightsCard, weights_card, weights_cards
from f2vbench.store.record_schema import UnitRecord

NOT_RECORDED = "not recorded"
NO_TRAINING = "no pre-training"
SIMULATED = "simulated eyes"
_WITHOUT_WEIGHTS = ("none", "untrained")


@dataclass(frozen=True)
class ModelFacts:
    """What is known about the weights of a model.

    Attributes:
        trained_on: Names of data sets, `SIMULATED`, `NO_TRAINING` or `NOT_RECORDED`; values of a filter.
        training_data: Description of the training data.
        licence: Licence of the weights, or why there is none.
    """

    trained_on: tuple[str, ...]
    training_data: str
    licence: str


class ModelFactsFinder:
    """Finds the weights cards of models among those of the package and of the user."""

    def __init__(self) -> None:
        self._cards = [weights_card(name) for name in weights_cards()]

    def find(self, record: UnitRecord) -> ModelFacts:
        """Facts about the model of a unit.

        The cards are those with the SHA-256 of the weights file; for weights without a recorded hash, or cards without
        one, those with the name of the model.

        Args:
            record: Record of a unit.
        """
        cards = self._cards_of(record)
        seen = [str(name) for name in record.get("pretrained_on", ())]
        if not cards:
            if record["weights"] in _WITHOUT_WEIGHTS:
                return ModelFacts((NO_TRAINING,), NO_TRAINING, "no weights")
            known = tuple(dict.fromkeys(seen)) or (NOT_RECORDED,)
            return ModelFacts(known, ", ".join(known), NOT_RECORDED)
        names = [name for card in cards for name in _names(card)]
        return ModelFacts(
            tuple(dict.fromkeys([*names, *seen])),
            "; ".join(dict.fromkeys(" ".join(card.training_data.split()) for card in cards)),
            "; ".join(dict.fromkeys(card.licence for card in cards)),
        )

    def _cards_of(self, record: UnitRecord) -> list[WeightsCard]:
        hashes = set(_hashes(record["identity"].get("model", {})))
        by_hash = [card for card in self._cards if card.sha256 is not None and card.sha256 in hashes]
        if by_hash or record["weights"] in _WITHOUT_WEIGHTS:
            return by_hash
        name = record["unit"]["encoder"].partition("@")[0]
        return [
            card for card in self._cards if name in (card.name, card.family) and (card.sha256 is None or not hashes)
        ]


def _names(card: WeightsCard) -> tuple[str, ...]:
    simulated = (SIMULATED,) if card.on_simulated_eyes else ()
    return (*card.pretrained_on, *simulated) or (f"see the card {card.name}",)


def _hashes(value: Any) -> Iterator[str]:
    """Every SHA-256 of weights in the identity of a model, also of the parts of a fusion."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("weights_sha256", "sha256") and isinstance(inner, str):
                yield inner
            else:
                yield from _hashes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _hashes(inner)
