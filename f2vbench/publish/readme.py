"""README of weights on the Hugging Face Hub: facts, use, training, measured quality and limits."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

from f2vbench.pretrained.shards import is_index
from f2vbench.pretrained.weights_cards import Training, WeightsCard

_LICENCES = {"mit", "apache-2.0", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "bsd-3-clause"}
"""Identifiers that the Hub knows; other licences are `other` with their text."""

_LIMITS = """\
- **Not for clinical use.** It is not a medical device; do not use its output for the care of patients.
- Generated angiogram frames are predictions from a photograph, not measurements: leakage, perfusion and lesions in them
  may not exist, and existing ones may be missing."""

_SIMULATED = """\
- It was trained on simulated eyes and no image of a person. Its quality on photographs of real eyes, other cameras,
  ages and diseases is known only as far as the table above measures it."""


def model_card(card: WeightsCard, repo: str) -> str:
    """README in Markdown, with the Hub's metadata block.

    Args:
        card: The card of the weights.
        repo: `owner/name`, for the lines on how to use the weights.
    """
    parts = [f"---\n{_metadata(card)}---\n", f"# {card.title}\n", _facts(card), _use(card, repo)]
    if card.training is not None:
        parts.append(_training(card.training))
    parts += [_quality(card), _limits(card), f"## To cite\n\n{card.citation}\n"]
    return "\n".join(parts)


def _metadata(card: WeightsCard) -> str:
    known = card.licence.lower() in _LICENCES
    licence = {"license": card.licence.lower()} if known else {"license": "other", "license_name": _slug(card.licence)}
    simulated = card.on_simulated_eyes
    return yaml.safe_dump(
        {
            **licence,
            "library_name": "f2vbench",
            "tags": [
                *["f2vbench", "retina", "fundus", "ophthalmology", "medical"],
                *([card.family.replace(":", "-")] if card.family else []),
                *(["synthetic-data"] if simulated else []),
            ],
            "pipeline_tag": "image-feature-extraction",
            **({"datasets": ["f2vbench-phantoms"]} if simulated else {}),
        },
        sort_keys=False,
    )


def _facts(card: WeightsCard) -> str:
    in_shards = is_index(Path(card.file))
    file = f"`{card.file}`" + (" and the shards that it names" if in_shards else "")
    digest = f"`{card.sha256}`" if card.sha256 else "unknown"
    rows = {
        "file": f"{file} ({card.size / 1e6:.1f} MB)" if card.size else file,
        "sha256": f"{digest} of all shards (`f2vbench weights check`); the index has that of each"
        if in_shards
        else digest,
        "architecture": card.architecture,
        "input": card.preprocessing,
        "trained on": card.training_data,
        "licence": card.licence,
        "source": card.source,
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {key} | {_cell(value)} |" for key, value in rows.items())]) + "\n"


def _use(card: WeightsCard, repo: str) -> str:
    if card.family is None:
        return f"Used by f2vbench for {card.used_for}.\n"
    argument = f"{card.family}:hf://{repo}"
    return f"""\
## Use

    f2vbench run task=rite model={argument}

```python
from f2vbench import load_encoder

encoder = load_encoder("{argument}")
features = encoder.embed(images)  # a list of uint8 RGB arrays → (n, width) float32
```
"""


def _training(training: Training) -> str:
    software = ", ".join(f"{name} {version}" for name, version in training.software.items())
    return f"""\
## How it was trained

    {training.command}

{_duration(training.seconds)} for {training.epochs} epochs on {training.machine}; seed {training.seed}; {software}.
SHA-256 of the settings that decide the trained weights: `{training.settings_sha256}`.
"""


def _quality(card: WeightsCard) -> str:
    if not card.quality:
        return "## Quality\n\nNothing is measured.\n"
    rows = [f"| {_cell(m.data)} | {_cell(m.metric)} | {m.value:.4g} | {_cell(m.note or '')} |" for m in card.quality]
    return "\n".join(["## Quality\n", "| data | metric | value | note |", "|---|---|---|---|", *rows]) + "\n"


def _limits(card: WeightsCard) -> str:
    simulated = f"\n{_SIMULATED}" if card.on_simulated_eyes else ""
    return f"## Limits\n\n{_LIMITS}{simulated}\n"


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")[:60] or "other"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
