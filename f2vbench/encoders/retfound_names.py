"""The names of released RETFound weights. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from f2vbench.errors import SettingsError, did_you_mean

GREEN = "retfound-green"
VARIANTS = ("mae_natureCFP", "mae_natureOCT", "mae_meh", "mae_shanghai", "dinov2_meh", "dinov2_shanghai")
"""As in the files ``RETFound_<variant>.pth``; the first is meant where none is named."""

RETFOUND = {
    "retfound": "RETFound ViT-L: retfound:mae_natureCFP (the default), mae_natureOCT, mae_meh, mae_shanghai, "
    "dinov2_meh, dinov2_shanghai, or retfound:<file>; gated, CC BY-NC 4.0: ask at huggingface.co/YukunZhou, then "
    "`hf auth login`",
    GREEN: "RETFound-Green ViT-S, 392 px: retfoundgreen_statedict.pth from github.com/justinengelmann/RETFound_Green "
    "(non-commercial research only), or retfound-green:<file>",
}
"""One line on each family."""

_PREFIX = "retfound_"


def released_name(text: str, family: str, rest: str) -> str:
    """The released weights that a word means: a variant, ``retfound-green``, or "" for a file.

    Case does not matter, and a variant may be written with its ``RETFound_``.

    Args:
        text: the whole word, for messages.
        family: ``retfound`` or ``retfound-green``.
        rest: what stands after the colon; "" means the family's default.

    Raises:
        SettingsError: it is no variant and doesn't look like a file either.
    """
    if family == GREEN:
        return "" if rest else GREEN
    if not rest:
        return VARIANTS[0] if not text.endswith(":") else ""
    known = {variant.lower(): variant for variant in VARIANTS}
    asked = rest.lower().removeprefix(_PREFIX)
    if asked in known:
        return known[asked]
    path = Path(rest).expanduser()
    if path.is_file() or path.suffix or len(path.parts) > 1:
        return ""
    raise SettingsError(
        f"model={text}: no RETFound weights named '{rest}'{did_you_mean(asked, known)}; there are "
        f"{', '.join(VARIANTS)}, or write retfound:<weights file> or retfound:untrained"
    )


def card_name(released: str) -> str:
    """The weights card of what `released_name` gave."""
    return GREEN if released == GREEN else f"retfound-{released.lower().replace('_', '-')}"
