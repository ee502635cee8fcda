"""Models that classify with the head they were fine-tuned with: `<model>:<weights>@own-head`. Imports no torch.

The names of the head's outputs, in order, may be in a text file beside the weights, one a line: `best.classes.txt` for
`best.pth`. Without it, the outputs are the classes of a task card, in its order.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import SettingsError, WeightsError
from f2vbench.pretrained.checkpoints import read_tensor_shapes
from f2vbench.utils.text import plural, shortened

OWN_HEAD = "@own-head"
"""End of the argument of a model that is scored with its own head."""

OWN_HEAD_FAMILIES = ("retfound", "retfound-green", "timm")
HEAD_NAMES = ("head.weight", "head.fc.weight", "fc.weight", "classifier.weight", "head.classifier.weight")
"""Names of the last layer's weights, as timm and RETFound save them; a prefix may come before."""


def with_own_head(spec: ModelSpec) -> ModelSpec:
    """The same model with the outputs of its own head.

    Args:
        spec: The model.

    Raises:
        SettingsError: Models of its family have no head, or it has no weights file.
        WeightsError: The file contains no head or several, or the file with the names of the classes does not fit it.
    """
    name = f"{spec.name}{OWN_HEAD}"
    if spec.family not in OWN_HEAD_FAMILIES:
        raise SettingsError(f"model={name}: only models of {', '.join(OWN_HEAD_FAMILIES)} have a head of their own")
    path = spec.weights_file
    if path is None:
        raise SettingsError(
            f"model={name}: name the file of a fine-tuned classifier, as in {spec.family}:best.pth{OWN_HEAD}"
        )
    count = _count_outputs(path)
    return replace(spec, name=name, outputs=_read_names(path, count) or ("",) * count)


def classes_file(path: Path) -> Path:
    """The file with the names of the outputs of a weights file.

    Args:
        path: The weights file.

    Example:
        >>> classes_file(Path("runs/best.pth")).name
        'best.classes.txt'
    """
    return path.with_suffix(".classes.txt")


def _count_outputs(path: Path) -> int:
    shapes = read_tensor_shapes(path)
    found = {
        key: shape
        for key, shape in shapes.items()
        if len(shape) == 2 and any(key == name or key.endswith(f".{name}") for name in HEAD_NAMES)
    }
    outermost = min((key.count(".") for key in found), default=0)
    heads = [key for key in found if key.count(".") == outermost]
    if not heads:
        raise WeightsError(
            f"{path}: contains no classification head ({', '.join(HEAD_NAMES)}): {OWN_HEAD} needs a fine-tuned "
            f"classifier; without {OWN_HEAD}, it is used as an encoder"
        )
    if len(heads) > 1:
        raise WeightsError(f"{path}: contains several heads, {shortened(heads)}; save the classifier alone")
    return shapes[heads[0]][0]


def _read_names(path: Path, count: int) -> tuple[str, ...]:
    """Names of the outputs; empty without a file."""
    file = classes_file(path)
    if not file.is_file():
        return ()
    try:
        names = tuple(line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(f"{file}: unreadable ({error}): write one class a line, as UTF-8 text") from None
    if len(names) != count:
        raise WeightsError(f"{file}: names {len(names)} classes, but the head has {plural(count, 'output')}")
    if len(set(names)) < count:
        raise WeightsError(f"{file}: names a class twice: {', '.join(names)}")
    return names
