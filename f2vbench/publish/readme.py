"""The README of weights on the Hugging Face Hub: what they are, how they came about, how good, and what for."""

from __future__ import annotations

import re

import yaml

from f2vbench.pretrained.weights_cards import WeightsCard

_LICENCES = {"mit", "apache-2.0", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "bsd-3-clause"}
"""Names that the Hub knows; others are told as ``other`` with their text."""

_LIMITS = """\
- **Not for clinical use.** It is no medical device, and nothing it gives may guide the care of anyone.
- Where it gives angiogram frames, they are guesses from a photograph, not measurements: leakage, perfusion and
  lesions that they show need not be there, and what is there need not be shown."""

_SIMULATED = """\
- It has seen simulated eyes and no image of a person. How far that carries to photographs of real eyes, other
  cameras, ages and diseases is known only as far as the table above measures it."""


def model_card(card: WeightsCard, repo: str) -> str:
    """Markdown with the Hub's front matter.

    Args:
        repo: ``owner/name``, for the lines that tell how to use the weights.
    """
    parts = [f"---\n{_front_matter(card)}---\n", f"# {card.title}\n", _what(card), _use(card, repo)]
    if card.training is not None:
        parts.append(_training(card))
    parts += [_quality(card), _limits(card), f"## To cite\n\n{card.citation}\n"]
    return "\n".join(parts)


def _front_matter(card: WeightsCard) -> str:
    known = card.licence.lower() in _LICENCES
    told = {"license": card.licence.lower()} if known else {"license": "other", "license_name": _slug(card.licence)}
    simulated = _is_simulated(card)
    return yaml.safe_dump(
        {
            **told,
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


def _what(card: WeightsCard) -> str:
    rows = {
        "file": f"`{card.file}` ({card.size / 1e6:.1f} MB)" if card.size else f"`{card.file}`",
        "sha256": f"`{card.sha256}`" if card.sha256 else "not told",
        "architecture": card.architecture,
        "expects": card.preprocessing,
        "trained on": card.training_data,
        "licence": card.licence,
        "source": card.source,
    }
    return "\n".join(["| | |", "|---|---|", *(f"| {key} | {_cell(value)} |" for key, value in rows.items())]) + "\n"


def _use(card: WeightsCard, repo: str) -> str:
    if card.family is None:
        return f"Used by f2vbench for {card.used_for}.\n"
    word = f"{card.family}:hf://{repo}"
    return f"""\
## Use

    f2vbench run task=rite model={word}

```python
from f2vbench import load_encoder

encoder = load_encoder("{word}")
features = encoder.embed(images)  # a list of uint8 RGB arrays → (n, width) float32
```
"""


def _training(card: WeightsCard) -> str:
    made = card.training
    assert made is not None
    software = ", ".join(f"{name} {version}" for name, version in made.software.items())
    return f"""\
## How it was trained

    {made.command}

{_duration(made.seconds)} for {made.epochs} epochs on {made.machine}; seed {made.seed}; {software}.
Settings that decide what is learnt: sha256 `{made.settings_sha256}`.
"""


def _quality(card: WeightsCard) -> str:
    if not card.quality:
        return "## Quality\n\nNothing has been measured.\n"
    rows = [f"| {_cell(m.data)} | {_cell(m.metric)} | {m.value:.4g} | {_cell(m.note or '')} |" for m in card.quality]
    return "\n".join(["## Quality\n", "| data | metric | value | note |", "|---|---|---|---|", *rows]) + "\n"


def _limits(card: WeightsCard) -> str:
    simulated = f"\n{_SIMULATED}" if _is_simulated(card) else ""
    return f"## Limits\n\n{_LIMITS}{simulated}\n"


def _is_simulated(card: WeightsCard) -> bool:
    return "simulated eyes" in card.training_data


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-")[:60] or "other"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
