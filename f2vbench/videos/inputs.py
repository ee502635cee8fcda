"""Which photographs are meant: files, folders of them, or the cases of an angiogram table."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from f2vbench.data.case_table import read_table
from f2vbench.data.cases import TABLE, read_folder
from f2vbench.data.folder_scan import folders_in, images_in, layout_error
from f2vbench.errors import DataError


def is_one_file(given: Iterable[Path]) -> bool:
    """Whether exactly one photograph is named, and not a folder or a table that may hold several."""
    named = list(given)
    return len(named) == 1 and not named[0].expanduser().is_dir() and named[0].suffix.lower() != ".csv"


def find_photographs(given: Iterable[Path]) -> dict[str, Path]:
    """Photographs by name: the stem of a file, or the case that a table or a folder of cases gives it to.

    Nothing is decoded yet, and a file's ending is not looked at where it is named itself.

    Raises:
        DataError: names that lead nowhere, folders without photographs, or two photographs of one name; all listed.
    """
    found: dict[str, list[Path]] = defaultdict(list)
    problems: list[str] = []
    for path in given:
        try:
            for name, file in _photographs(path.expanduser()):
                if file not in found[name]:
                    found[name].append(file)
        except DataError as error:
            problems += error.problems
    problems += [
        f"{' and '.join(map(str, files))}: their results would both be called '{name}'; rename one, or take them apart"
        for name, files in found.items()
        if len(files) > 1
    ]
    if problems:
        raise DataError(problems)
    return {name: files[0] for name, files in found.items()}


def _photographs(path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_file() and path.suffix.lower() == ".csv":
        cases = read_table(path).cases
    elif path.is_dir():
        images = images_in(path)
        if images:
            yield from images.items()
            return
        if not (path / TABLE).is_file() and not folders_in(path):
            raise layout_error(
                path, f"photographs, a table {TABLE}, or a folder a case with photograph.png and frames/"
            )
        cases = (read_table(path / TABLE) if (path / TABLE).is_file() else read_folder(path)).cases
    elif path.is_file():
        yield path.name.removesuffix(".gz").rpartition(".")[0] or path.name, path
        return
    else:
        raise DataError(f"image={path}: there is no such file or folder; check the path")
    yield from ((case.name, case.photograph) for case in cases)
