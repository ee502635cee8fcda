"""Reports of damaged, incomplete and merged run folders, and settings of reports that do not fit them."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks.hostile.inputs import Hostile, command, eyes
from f2vbench.utils.files import sealed
from tests.helpers.stored_runs import call_record, grid, unit_record, write_run

QUICK = ("figures=none", "format=csv,html,md")
RUN = ("run", "task=folder", "data=own", "model=tophat", "baselines=green", "shots=1", "seeds=2", "jobs=1", "out=run")
SETTINGS: dict[str, str] = {
    "baseline=nope": "no results of 'nope'",
    "baseline=A": "did you mean 'a'|no results",
    "metric=nope": "not in these results",
    "figures=nope": "no such figure",
    "style=nope": "style",
    "test=wilcoxon": "paired, welch",
    "adjust=none": "holm, bh",
    "run=nowhere": "not a run folder",
    "run=run,nowhere": "not a run folder",
    "format=": "empty",
    "second=perhaps": "second",
}


def _records(folder: Path) -> list[Path]:
    return sorted((folder / "units").glob("*.json"))


def _truncate(folder: Path) -> None:
    path = _records(folder)[0]
    path.write_bytes(path.read_bytes()[:-50])


def _flip(folder: Path) -> None:
    path = _records(folder)[0]
    path.write_bytes(path.read_bytes().replace(b'"auroc": 0.', b'"auroc": 1.', 1))


def _empty(folder: Path) -> None:
    _records(folder)[0].write_bytes(b"")


def _binary(folder: Path) -> None:
    _records(folder)[0].write_bytes(bytes(range(256)))


def _all_damaged(folder: Path) -> None:
    for path in _records(folder):
        path.write_bytes(b"{}")


def _no_records(folder: Path) -> None:
    for path in _records(folder):
        path.unlink()


def _newer(folder: Path) -> None:
    path = _records(folder)[0]
    payload = json.loads(path.read_bytes())["payload"]
    path.write_bytes(sealed(payload | {"schema_version": 99}))


def _lacks_keys(folder: Path) -> None:
    _records(folder)[0].write_bytes(sealed({"unit": {}}))


def _no_mapping(folder: Path) -> None:
    _records(folder)[0].write_bytes(sealed([1, 2]))


def _damaged_call(folder: Path) -> None:
    (folder / "calls" / "20260101T000000Z-1.json").write_bytes(b"\0")


def _foreign_record(folder: Path) -> None:
    (folder / "units" / "notes.json").write_text('{"mine": 1}')


DAMAGED: dict[str, tuple[Callable[[Path], None], str, int]] = {
    "a truncated record": (_truncate, "set aside", 0),
    "a changed number": (_flip, "set aside", 0),
    "an empty record": (_empty, "set aside", 0),
    "a binary record": (_binary, "set aside", 0),
    "a foreign JSON file among the records": (_foreign_record, "set aside", 0),
    "only damaged records": (_all_damaged, "no completed unit", 2),
    "no record": (_no_records, "no completed unit", 2),
    "a record of a newer version": (_newer, "schema version 99", 2),
    "a record without keys": (_lacks_keys, "lacks", 2),
    "a record that is a list": (_no_mapping, "lacks|set aside", 2),
    "a damaged call": (_damaged_call, "auroc", 0),
}


def _remove_map(folder: Path) -> None:
    sorted((folder / "maps").glob("*/*.png"))[0].unlink()


def _damage_map(folder: Path) -> None:
    sorted((folder / "maps").glob("*/*.png"))[0].write_bytes(b"not a map")


def _remove_maps(folder: Path) -> None:
    shutil.rmtree(folder / "maps")


def _remove_data(folder: Path) -> None:
    shutil.rmtree(folder.parent / "own")


def _remove_costs(folder: Path) -> None:
    shutil.rmtree(folder / "costs", ignore_errors=True)


def _damage_costs(folder: Path) -> None:
    (folder / "costs").mkdir(exist_ok=True)
    (folder / "costs" / "x.json").write_bytes(b"{")


AFTER_RUN: dict[str, Callable[[Path], None]] = {
    "one missing score map": _remove_map,
    "one damaged score map": _damage_map,
    "a copy without score maps": _remove_maps,
    "photographs that are gone": _remove_data,
    "a copy without costs": _remove_costs,
    "a damaged cost": _damage_costs,
}


def _setting(argument: str, at: Path) -> int:
    write_run(at / "run", grid({"a": 0.9, "b": 0.8}, seeds=3))
    arguments = [each for each in QUICK if each.partition("=")[0] != argument.partition("=")[0]]
    run = [] if argument.startswith("run=") else ["run=run"]
    return command("report", *run, *arguments, argument)


def _damaged(damage: Callable[[Path], None], at: Path) -> int:
    damage(write_run(at / "run", grid({"a": 0.9, "b": 0.8}, seeds=3)))
    return command("report", "run=run", *QUICK)


def _after_run(damage: Callable[[Path], None], at: Path) -> int:
    eyes(at / "own")
    code = command(*RUN)
    damage(at / "run")
    return code or command("report", "run=run", "format=html,md,png")


def _records_report(records: list[dict[str, Any]], check: Callable[[Path], str], at: Path) -> int:
    """Report the requested records, and print what ``check`` finds wrong; exit code 99 if it finds something."""
    write_run(at / "run", records, call_record({"eyes": {}}, planned=records))
    code = command("report", "run=run", *QUICK)
    problem = check(at / "run") if code == 0 else ""
    print(problem)
    return 99 if problem else code


def _in_range(folder: Path) -> str:
    table = pd.read_csv(folder / "summary.csv")
    outside = (table.low < 0) | (table.high > 1)
    return f"an interval leaves [0, 1]: {table[outside].to_string()}" if outside.any() else ""


def _complete(folder: Path) -> str:
    return "called incomplete" if "incomplete" in (folder / "report.md").read_text() else ""


def _single(folder: Path) -> str:
    text = (folder / "report.md").read_text()
    return "a single model is called not significant" if re.search(r"\*\* \(not significant\)", text) else ""


def _formulas(folder: Path) -> str:
    return "starts a formula" if re.search(r"\\[()\[\]]", (folder / "report.md").read_text()) else ""


def _values(*values: float) -> list[dict[str, Any]]:
    """Records of a model with these AUROCs by seed, and of a constant one."""
    return [
        unit_record(name, seed=seed, images={"eye": {"auroc": value if name == "a" else 0.5, "dice": 0.5}})
        for seed, value in enumerate(values)
        for name in ("a", "b")
    ]


def _hostile_name(name: str) -> list[dict[str, Any]]:
    return grid({name: 0.9, "b": 0.8}, seeds=2)


SPREADS = [(0.25, 1.0, 0.4, 0.98, 0.62), (0.99, 1.0, 1.0), (0.0, 0.01, 0.2), (1.0, 1.0), (0.0, 1.0), (0.5,)]
NAMES = [
    "<script>alert(1)</script>",
    "a|b",
    "[x](javascript:y)",
    "$x_1$",
    r"\input{x}",
    "../../etc",
    "=1+1",
    "é中文",
    "a b",
]


def _merged(seeds: tuple[int, int], at: Path) -> int:
    for name, count in zip(("a", "b"), seeds, strict=True):
        records = grid({name: 0.9}, seeds=count)
        write_run(at / name, records, call_record({"eyes": {}}, planned=records))
    code = command("report", "run=a,b", "out=both", *QUICK)
    problem = _complete(at / "both") if code == 0 else ""
    print(problem)
    return 99 if problem else code


def _asked_for(at: Path) -> int:
    """A second, smaller run returns and shows only what it asks for."""
    from f2vbench import Benchmark

    eyes(at / "own")
    code = command(*RUN)
    arguments = {"task": "folder", "data": "own", "model": "tophat", "baselines": "none", "shots": 1, "seeds": 1}
    benchmark = Benchmark(**arguments, jobs=1, out="run")
    asked, every = len(benchmark.run()), len(benchmark.run(whole_folder=True))
    print(f"{asked} of {every} units")
    return code


def inputs() -> Iterator[Hostile]:
    """The inputs of this category."""
    for argument, expected in SETTINGS.items():
        yield Hostile(argument, partial(_setting, argument), expected)
    for name, (damage, expected, code) in DAMAGED.items():
        yield Hostile(name, partial(_damaged, damage), expected, (code,))
    for name, damage in AFTER_RUN.items():
        yield Hostile(name, partial(_after_run, damage), "report.html", (0,))
    for values in SPREADS:
        act = partial(_records_report, _values(*values), _in_range)
        yield Hostile(f"AUROC {values}: intervals within the range", act, "auroc", (0,))
    for name in NAMES:
        yield Hostile(f"a model named {name}", partial(_records_report, _hostile_name(name), _formulas), "auroc", (0,))
    yield Hostile("a single model", partial(_records_report, grid({"a": 0.9}, seeds=2), _single), "auroc", (0,))
    for seeds in ((3, 1), (1, 3), (5, 2)):
        yield Hostile(f"two runs of {seeds[0]} and {seeds[1]} seeds", partial(_merged, seeds), "different seeds", (0,))
    yield Hostile("a smaller request in the same folder", _asked_for, "1 of 4 units", (0,))
