"""Operating points and subgroups in the terminal."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from f2vbench import Results
from f2vbench.cli.main import main
from f2vbench.metrics.operating_points import OperatingPoint
from f2vbench.report.tables.terminal_clinical import operating_point_text, subgroups_text
from f2vbench.report.text.wording import number
from f2vbench.utils.text import p_value
from tests.analysis.test_diagnosis import write_units
from tests.analysis.test_subgroups import two_groups


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_units(tmp_path_factory.mktemp("terminal") / "run")


def test_operating_points_are_those_of_the_frame(folder):
    results = Results.load(folder)
    point = OperatingPoint.parse("sensitivity:0.9")
    frame = results.diagnosis(point)
    text = operating_point_text(frame, point, results.families)
    (line,) = [line for line in text.splitlines() if "referable_dr" in line]
    values = frame.set_index("metric").value
    shown = [float(value) for value in re.findall(r"(?<![\[\d])\b[01]\.\d{3}(?= \[|  |$)", line)]
    expected = [values[name] for name in ("sensitivity", "specificity", "ppv", "npv")]
    assert shown == pytest.approx(expected, abs=5e-4)
    assert "sensitivity of at least 0.9" in text or "0.9" in text.splitlines()[0]
    assert operating_point_text(frame.iloc[:0], point, results.families) == ""


def test_a_missing_value_has_its_reason(tmp_path):
    results = Results.load(write_units(tmp_path / "run", validation=False))
    text = operating_point_text(results.diagnosis(), OperatingPoint(), results.families)
    assert "– an earlier version made the records" in text


def test_the_worst_subgroup_and_the_gap_are_those_of_the_frame():
    results = Results([two_groups(3)])
    subgroups = results.subgroups("sex", ["auroc"])
    text = subgroups_text(subgroups, results.families)
    gap = subgroups.gaps.iloc[0]
    worst = subgroups.groups[subgroups.groups.group == gap.worst].value.iloc[0]
    (line,) = [line for line in text.splitlines() if " sex " in f" {line} "]
    assert f"{gap.worst} {number(worst, 3)}" in line
    assert f"{number(gap.gap, 3)} [{number(gap.low, 3)}" in line
    assert line.endswith(p_value(gap.p_adjusted))
    empty = type(subgroups)(subgroups.groups.iloc[:0], subgroups.gaps.iloc[:0])
    assert subgroups_text(empty, results.families) == ""


def test_a_subgroup_that_is_too_small_is_named_and_has_no_gap():
    results = Results([two_groups(4, sizes=(40, 1))])
    subgroups = results.subgroups("sex", ["auroc"])
    text = subgroups_text(subgroups, results.families)
    warnings = subgroups.groups.warning[subgroups.groups.warning != ""]
    assert len(warnings)
    assert f"sex male: {warnings.iloc[0]}" in text
    assert pd.isna(subgroups.gaps.p.iloc[0])


def test_the_command_prints_both(folder, capsys):
    assert main(["report", f"run={folder}", "figures=none", "format=csv", "operating_point=youden"]) == 0
    assert "Operating points: the threshold with the largest Youden index" in capsys.readouterr().out
