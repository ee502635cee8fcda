"""The verb `power`: tables from assumptions and from a run, and messages."""

from __future__ import annotations

import pytest

from f2vbench import Results
from f2vbench.cli.main import main
from f2vbench.stats.planning import AssumedStudy, required_patients
from tests.helpers.stored_runs import call_record, grid, write_run

ASSUMED = ["power", "value=0.9", "prevalence=0.3"]


def test_assumptions_give_a_table(capsys):
    assert main([*ASSUMED, "difference=0.05", "patients=100,200", "seeds=1,5", "seed_sd=0.01"]) == 0
    output = capsys.readouterr().out
    assert "auroc 0.9 against 0.85, prevalence 0.3" in output
    assert [line.split()[0] for line in output.splitlines() if line.strip().startswith(("100 ", "200 "))] == [
        "100",
        "200",
    ]
    study = AssumedStudy(value=0.9, difference=0.05, prevalence=0.3, seed_sd=0.01)
    assert f"1 seed: {required_patients(study, 0.05).n:,} test patients for 80 % power" in output
    assert main([*ASSUMED, "aim=equivalence", "margin=0.05", "patients=100"]) == 0
    assert "the difference lies within ± 0.05, two one-sided tests at 0.05" in capsys.readouterr().out


def test_missing_and_impossible_assumptions_are_listed(capsys):
    assert main(["power"]) == 2
    message = capsys.readouterr().err
    for part in ("value= is missing", "difference= is missing", "prevalence= is missing"):
        assert part in message
    for arguments, part in (
        (["value=0.9", "difference=0.95", "prevalence=0.3"], "both models must lie between 0 and 1"),
        ([*ASSUMED[1:], "difference=0.05", "task=rite"], "task= names a part of a run"),
        ([*ASSUMED[1:], "aim=equivalence"], "aim=equivalence needs margin="),
        ([*ASSUMED[1:], "difference=0.06", "aim=equivalence", "margin=0.05"], "is not within ± margin=0.05"),
        ([*ASSUMED[1:], "difference=0"], "cannot show a difference of zero"),
        (["metric=dice", "value=0.8", "difference=0.02"], "sd= is missing"),
    ):
        assert main(["power", *arguments]) == 2
        assert part in capsys.readouterr().err


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    records = grid({"a": 0.8, "b": 0.795, "c": 0.6}, shots=(1, 2), spread=0.05, images=20)
    return write_run(tmp_path_factory.mktemp("power") / "run", records, call_record({"eyes": {}}))


def test_a_run_gives_the_variances(run, capsys):
    assert main(["power", f"run={run}", "shots=2", "patients=40", "seeds=5,10"]) == 0
    output = capsys.readouterr().out
    assert "a against b in auroc, eyes, few-shot, 2" in output
    test = next(each.crossed for each in Results.load(run).comparisons(["auroc"]) if each.condition.shots == 2)
    row = next(line.split() for line in output.splitlines() if line.strip().startswith("40 "))
    assert row[1] == f"{test.se:.4f}", "the run has 40 patients and 5 seeds"
    assert f"observed difference {test.difference:+.4f}" in output
    assert main(["power", f"run={run}", "shots=1", "model=a,c", "metric=dice", "difference=0.1"]) == 0
    assert "a against c in dice" in capsys.readouterr().out


def test_conditions_and_models_of_a_run_are_named_if_they_are_unclear(run, capsys):
    for arguments, part in (
        ([], "several conditions fit; choose one of: task=eyes protocol=few-shot shots=1; task=eyes"),
        (["shots=4"], "no condition fits"),
        (["shots=1", "model=a,d"], "model=d: no results at this condition"),
        (["shots=1", "model=a"], "two models are compared, not 1"),
        (["shots=1", "metric=f1"], "metric=f1: not in"),
        (["shots=1", "value=0.9"], "value= is an assumption, and run= measures it"),
    ):
        assert main(["power", f"run={run}", *arguments]) == 2
        assert part in capsys.readouterr().err
