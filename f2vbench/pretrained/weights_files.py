"""The files of a weights card on this machine, and instructions to download them. Nothing here uses the network.

The file of weights in shards is their index, and the shards are beside it. The card's SHA-256 is `file_sha256`, which
covers all of them, and its size is that of all of them together.
"""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path

from f2vbench.errors import WeightsError
from f2vbench.pretrained.checkpoints import file_sha256, list_names
from f2vbench.pretrained.shards import is_index, stored_files, stored_path, whole_path
from f2vbench.pretrained.weights_cards import WeightsCard, package_folder
from f2vbench.utils.files import cache_folder


def find_weights(card: WeightsCard, path: str | Path | None = None) -> Path:
    """The weights file of a card, with the size and SHA-256 that the card states.

    Args:
        card: Its card.
        path: The file, or its folder. By default a shipped file is in the folder of its card, and one of a Python
            package where pip installed it; a download is searched for in `weights` of the cache folder
            (`F2VBENCH_CACHE`), among PyTorch's downloads, and in the Hugging Face cache.

    Returns:
        The file, or the index of the shards.

    Raises:
        WeightsError: The file or a shard does not exist (the message says how to get it), or is another file than the
            card's.
    """
    if path is not None:
        file = Path(path).expanduser()
        file = stored_path(file / card.file if file.is_dir() else file)
        if not file.is_file():
            raise WeightsError(f"{file}: no such weights file. {download_instructions(card)}")
    else:
        present = [candidate for candidate in _candidates(card) if candidate.is_file()]
        found = next(filter(_is_complete, present), next(iter(present), None))
        if found is None:
            raise WeightsError(f"{card.title}: {card.file} is not on this machine. {download_instructions(card)}")
        file = found
    _verify(card, file)
    return file


def is_available(card: WeightsCard) -> bool:
    """Whether all files with the card's file names are on this machine; only `find_weights` checks their content."""
    return any(map(_is_complete, _candidates(card)))


def note_if_absent(card: WeightsCard) -> str:
    """A note that the file is not on this machine and which command says how to get it; empty where it is.

    It contains no path of this machine, so that it can be part of a report.
    """
    if is_available(card):
        return ""
    return f"{card.title}: {card.file} is not on this machine; `f2vbench weights where {card.name}` says how to get it"


def download_instructions(card: WeightsCard) -> str:
    """Sentences that say how to get access to a file, what to download, and where to put it; or how to restore it."""
    if card.kind == "shipped":
        advice = f"run `git checkout {card.file}` there, or install f2vbench again"
        if card.folder != package_folder():
            advice = "put it back, or run `f2vbench weights make` again"
        return f"The file belongs beside its card in {card.folder}: {advice}"
    if card.kind == "package":
        return f'`pip install "f2vbench[{card.extra}]"` installs it, in the package {card.package}'
    folder = cache_folder() / "weights"
    size = f" ({card.size / 1e6:.0f} MB)" if card.size else ""
    in_shards = is_index(Path(card.file))
    stem = whole_path(Path(card.file)).stem
    address = card.url or f"{card.file} from {card.source}"
    address += f", and beside it the shards {stem}-*-of-*.safetensors," if in_shards else ""
    by_hand = f"ownload {address}{size} and put it at {folder / card.file} (or give its path)"
    access = f"Request access at {card.source} ({card.licence}). Then " if card.gated else ""
    if card.hub is None:
        return f"{access}d{by_hand}" if access else f"D{by_hand}"
    revision = f" --revision {card.hub.revision}" if card.hub.revision else ""
    names = f"--include '{stem}*.safetensors*'" if in_shards else card.file
    command = f"`hf download {card.hub.repo} {names}{revision} --local-dir {folder}`"
    run = f"{access}log in with `hf auth login` and run {command}" if access else f"Run {command}"
    return f"{run}, or d{by_hand}"


def _candidates(card: WeightsCard) -> list[Path]:
    """Paths that the file may have, in the order of search."""
    if card.kind == "shipped":
        return [card.folder / card.file]
    if card.package is not None:
        return files_in_package(card.package, card.file)
    torch_home = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch"
    candidates = [cache_folder() / "weights" / card.file]
    candidates.append(Path(torch_home).expanduser() / "hub" / "checkpoints" / card.file)
    if card.hub is not None:
        from huggingface_hub import try_to_load_from_cache

        cached = try_to_load_from_cache(card.hub.repo, card.file, revision=card.hub.revision)
        if isinstance(cached, str):
            candidates.append(Path(cached))
    return candidates


def files_in_package(package: str, file: str) -> list[Path]:
    """Paths of the files of an installed Python package with a file name; empty where it is not installed."""
    try:
        files = metadata.distribution(package).files or []
    except metadata.PackageNotFoundError:
        return []
    return [Path(str(entry.locate())) for entry in files if entry.name == file]


def _is_complete(path: Path) -> bool:
    """Whether a file exists, and where it is an index, its shards; a damaged index counts, so that it is reported."""
    try:
        return path.is_file() and all(file.is_file() for file in stored_files(path))
    except WeightsError:
        return True


def _verify(card: WeightsCard, path: Path) -> None:
    """Check size and SHA-256 of weights, where their card states them."""
    files = stored_files(path)
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise WeightsError(f"{path}: the shards {list_names(missing)} are missing. {download_instructions(card)}")
    size = sum(file.stat().st_size for file in files)
    if card.size is not None and size != card.size:
        what = f"{card.file} and its shards have" if len(files) > 1 else f"{card.file} has"
        raise WeightsError(f"{path}: {size:,} bytes, but {what} {card.size:,}. {download_instructions(card)}")
    if card.sha256 is not None and (found := file_sha256(path)) != card.sha256:
        raise WeightsError(
            f"{path}: not the file of weights/{card.name}.yaml (its SHA-256 is {found[:12]}…, the card's "
            f"{card.sha256[:12]}…), so results would not be comparable. {download_instructions(card)}"
        )
