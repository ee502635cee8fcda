"""The photographs to generate from: files, folders of photographs, or the cases of an angiogram table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from f2vbench.data.case_table import read_table
from f2vbench.data.cases import TABLE, read_folder
from f2vbench.data.folder_scan import folders_in, images_in, layout_error
from f2vbench.errors import DataError


def is_single_file(paths: Sequence[Path]) -> bool:
    """Whether the paths are one photograph, and not a folder or a table, which may hold several."""
    return len(paths) == 1 and not paths[0].expanduser().is_dir() and paths[0].suffix.lower() != ".csv"


def find_photographs(paths: Iterable[Path]) -> dict[str, Path]:
    """Find the photographs of files, folders and tables, without reading them.

    Args:
        paths: Photographs, folders of photographs or cases, and tables. A photograph may have any suffix.

    Returns:
        The photographs by name: the stem of a file, or the name of its case.

    Raises:
        DataError: A path does not exist, a folder has no photographs, or two photographs have the same name. All
            problems are listed.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    problems: list[str] = []
    for path in paths:
        try:
            for name, file in _photographs_at(path.expanduser()):
                if file not in found[name]:
                    found[name].append(file)
        except DataError as error:
            problems += error.problems
    problems += [
        f"{' and '.join(map(str, files))}: their results would have the same name '{name}'; rename one, or generate "
        "them separately"
        for name, files in found.items()
        if len(files) > 1
    ]
    if problems:
        raise DataError(problems)
    return {name: files[0] for name, files in found.items()}


def _photographs_at(path: Path) -> Iterator[tuple[str, Path]]:
    """Names and files of the photographs of one path."""
    if path.is_dir():
        images = images_in(path)
        if images:
            yield from images.items()
            return
        has_table = (path / TABLE).is_file()
        if not has_table and not folders_in(path):
            raise layout_error(
                path, f"photographs, a table {TABLE}, or a folder for each case with photograph.png and frames/"
            )
        found = read_table(path / TABLE) if has_table else read_folder(path)
    elif path.is_file() and path.suffix.lower() == ".csv":
        found = read_table(path)
    elif path.is_file():
        yield path.name.removesuffix(".gz").rpartition(".")[0] or path.name, path
        return
    else:
        raise DataError(f"image={path}: there is no such file or folder; check the path")
    yield from ((case.name, case.photograph) for case in found.cases)
