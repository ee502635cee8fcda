"""The command line: parses words, calls, prints. No logic lives here."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from f2vbench.errors import F2VBenchError, did_you_mean

if TYPE_CHECKING:
    from f2vbench.benchmark import Benchmark
    from f2vbench.plan import Plan
    from f2vbench.results import Results

HELP = """\
f2vbench – how good are a retinal encoder's features, with how few labels, and is the difference real?

usage: f2vbench <verb> [key=value ...] [@settings.yaml]

  run      run a benchmark, or go on with one:  f2vbench run task=rite shots=1,2,4
  plan     what a run would do, how long it would take, and what is done already
  report   tables of a run, on the terminal and as CSV
  train    a generator of angiograms from photographs:  f2vbench train preset=mini data=phantom
  phantom  simulate eyes, with the truth of every pixel:  f2vbench phantom out=eyes sheet=eyes.png patients=20
  data     data sets, their terms, and whether a copy is sound:  f2vbench data check task=idrid data=folder
  list     what there is:  f2vbench list tasks | models | runs
  doctor   versions, device, folders, Hub login, data sets: what is missing, and how to get it

f2vbench <verb> --help lists the keys of a verb. Lists are 1,2,4 and ranges 0-4; key=@file.yaml reads a value
from a file. Data sets are looked for in $F2VBENCH_DATA, task cards in ./tasks and $F2VBENCH_PATH as well;
features are cached in $F2VBENCH_CACHE (default ~/.cache/f2vbench).
"""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 2 something to mend, 130 stopped by the user."""
    words = list(sys.argv[1:] if words is None else words)
    verb, rest = (words[0], words[1:]) if words else ("--help", [])
    if verb in ("-h", "--help", "help"):
        print(HELP, end="")
        return 0
    if verb == "--version":
        from importlib.metadata import version

        print(f"f2vbench {version('f2vbench')}")
        return 0
    try:
        signal.signal(signal.SIGTERM, _stop)
        return _command(verb)(rest)
    except F2VBenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped; finished units are kept, and the same command goes on from there", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1


def _stop(*_: Any) -> None:
    """Answer a scheduler's SIGTERM as ctrl-C."""
    raise KeyboardInterrupt


def _command(verb: str) -> Callable[[list[str]], int]:
    commands = {
        "run": _run,
        "plan": _plan,
        "report": _report,
        "train": _train,
        "phantom": _phantom,
        "data": _data,
        "list": _list,
        "doctor": _doctor,
    }
    if verb not in commands:
        raise F2VBenchError(f"unknown verb '{verb}'{did_you_mean(verb, commands)} (f2vbench --help shows them)")
    return commands[verb]


def _run(words: list[str]) -> int:
    from f2vbench.settings import RunSettings
    from f2vbench.words import parse

    if _asks_for_help("run", RunSettings, words):
        return 0
    settings = parse(RunSettings, words)
    from f2vbench.adapters.families import family_named
    from f2vbench.benchmark import Benchmark
    from f2vbench.overview import head, time_and_disk
    from f2vbench.progress import for_this_terminal
    from f2vbench.provenance import has_gpu

    bench = Benchmark(settings)
    if settings.dry_run:
        return _show_plan(bench)
    plan = bench.make_plan()
    print(head(plan))
    if plan.missing:
        found = bench.estimate(rehearse=False)
        when = (
            f"about {time_and_disk(found)}"
            if found
            else "time unknown: nothing like it was run here yet (see f2vbench plan)"
        )
        print(f"{len(plan.missing)} of {len(plan.units)} units to run, {when}")
        learning = any(
            family_named(plan.tasks[u.task].card.family).wants_gpu
            and plan.models[u.encoder].uses_torch
            and u.protocol != "zero-shot"
            for u in plan.missing
        )
        if learning and settings.preset == "paper" and not has_gpu():
            print("no GPU here: with preset=paper this can take days; preset=quick is made for a CPU")
        print(flush=True)
    results = bench.run(for_this_terminal())
    _print_results(results, None, _first_model(plan))
    print(f"\nall metrics: {plan.folder.path / 'results.csv'}")
    return 0


def _plan(words: list[str]) -> int:
    from f2vbench.settings import RunSettings
    from f2vbench.words import parse

    if _asks_for_help("plan", RunSettings, words):
        return 0
    settings = parse(RunSettings, words)
    from f2vbench.benchmark import Benchmark

    return _show_plan(Benchmark(settings))


def _report(words: list[str]) -> int:
    from f2vbench.settings import ReportSettings
    from f2vbench.words import parse

    if _asks_for_help("report", ReportSettings, words):
        return 0
    settings = parse(ReportSettings, words)
    from pathlib import Path

    from f2vbench.results import Results, write_csv
    from f2vbench.store.runs import RunFolder, runs_below

    folders = settings.run
    if folders is None:
        runs = runs_below(Path("runs"))
        if not runs:
            raise F2VBenchError(
                "no run below ./runs: start one with f2vbench run task=rite, or name one with run=folder"
            )
        folders = [runs[0][0]]
    results = Results.load(*folders)
    metrics = results.metrics if settings.metric == ["all"] else settings.metric
    call = RunFolder(folders[0]).last_call()
    baseline = settings.baseline or next(iter(call["models"] if call else []), None)
    print(f"{', '.join(map(str, folders))}: {results.frame.unit.nunique()} units\n")
    summary, comparison = _print_results(results, metrics, baseline)
    out = settings.out or folders[0]
    results.to_csv(out / "results.csv")
    write_csv(summary, out / "summary.csv")
    write_csv(comparison, out / "comparison.csv")
    print(f"\nwritten: {out / 'results.csv'}, summary.csv, comparison.csv")
    return 0


def _train(words: list[str]) -> int:
    from f2vbench.generator.settings import TrainSettings
    from f2vbench.words import parse

    if _asks_for_help("train", TrainSettings, words):
        return 0
    settings = parse(TrainSettings, words)
    from f2vbench.generator.training import train
    from f2vbench.progress import for_this_terminal

    generator = train(settings, for_this_terminal())
    if os.environ.get("RANK", "0") == "0":  # of the processes that torchrun started, one tells
        print(f"generator: {generator}, for model={settings.model}:{generator}")
    return 0


def _phantom(words: list[str]) -> int:
    from f2vbench.phantom.settings import PhantomSettings
    from f2vbench.words import parse

    if _asks_for_help("phantom", PhantomSettings, words):
        return 0
    settings = parse(PhantomSettings, words)
    from f2vbench.phantom.cohort import Cohort
    from f2vbench.phantom.folders import write_cohort
    from f2vbench.phantom.sheet import write_sheet
    from f2vbench.phantom.tables import PARTS
    from f2vbench.progress import for_this_terminal
    from f2vbench.provenance import cores

    cohort = Cohort(
        settings.seed, settings.patients, size=settings.size, diseases=settings.disease, effect=settings.effect
    )
    if settings.sheet is not None:
        write_sheet(settings.sheet, cohort, settings.eyes)
        print(f"contact sheet: {settings.sheet}", flush=True)
    if settings.out is not None:
        parts = PARTS if settings.parts == ["all"] else settings.parts
        jobs = cores() if settings.jobs == "auto" else settings.jobs
        write_cohort(settings.out, cohort, parts=parts, jobs=jobs, progress=for_this_terminal())
        print(f"{len(cohort)} eyes of {cohort.patients} patients: {settings.out / 'README.txt'} says what is what")
    return 0


def _list(words: list[str]) -> int:
    from f2vbench.settings import ListSettings
    from f2vbench.words import parse

    kinds = ("tasks", "models", "runs")
    if _knows("list", words, kinds, "[root=folder]") and not _asks_for_help(
        "list " + words[0], ListSettings, words[1:]
    ):
        settings = parse(ListSettings, words[1:])
        from f2vbench.listing import KINDS

        print(KINDS[words[0]](settings))
    return 0


def _data(words: list[str]) -> int:
    from f2vbench.data.settings import VERBS, DataSettings
    from f2vbench.words import parse

    if not _knows("data", words, VERBS, "[key=value ...]") or _asks_for_help(
        "data " + words[0], DataSettings, words[1:]
    ):
        return 0
    settings = parse(DataSettings, words[1:])
    from f2vbench.datasets import answer
    from f2vbench.progress import for_this_terminal

    text, sound = answer(words[0], settings, for_this_terminal())
    print(text)
    return 0 if sound else 2


def _knows(verb: str, words: Sequence[str], kinds: Sequence[str], keys: str) -> bool:
    """Whether the first word is one of a verb's kinds; without one, its usage is printed."""
    if words and words[0] in kinds:
        return True
    if words and words[0] not in ("-h", "--help"):
        raise F2VBenchError(f"can't {verb} '{words[0]}'{did_you_mean(words[0], kinds)} (there are {', '.join(kinds)})")
    print(f"usage: f2vbench {verb} {' | '.join(kinds)} {keys}")
    return False


def _doctor(words: list[str]) -> int:
    from f2vbench.settings import DoctorSettings
    from f2vbench.words import parse

    if _asks_for_help("doctor", DoctorSettings, words):
        return 0
    settings = parse(DoctorSettings, words)
    from f2vbench.doctor import examine
    from f2vbench.report.tables import layout

    for title, findings in examine(settings.out):
        print(f"\n{title}\n{layout(['', 'what', 'found'], findings, wrap=84)}")
    return 0


def _show_plan(bench: Benchmark) -> int:
    from f2vbench.overview import costs, head
    from f2vbench.progress import Lines

    plan = bench.make_plan()
    print(head(plan))
    print(costs(plan, bench.estimate(Lines()) if plan.missing else None))
    return 0


def _first_model(plan: Plan) -> str | None:
    return next(iter(plan.models), None)


def _print_results(results: Results, metrics: Sequence[str] | None, baseline: str | None) -> Any:
    """Tables of some metrics, or of the main ones of each task's family."""
    from f2vbench.adapters.families import family_named
    from f2vbench.report.tables import results_text

    by_task = {task: metrics or family_named(family).main_metrics for task, family in results.families.items()}
    summary = results.summary(metrics or by_task)
    if baseline is None or baseline not in set(summary.encoder):
        ranked = summary[~summary.floor] if (~summary.floor).any() else summary
        baseline = ranked.encoder.iloc[0]
    comparison = results.compare(baseline, metrics or by_task)
    shots_of = {task: family_named(family).shots_of for task, family in results.families.items()}
    print(results_text(summary, comparison, by_task, shots_of))
    for note in results.notes:
        print(f"\nnote: {note}")
    return summary, comparison


def _asks_for_help(verb: str, model: Any, words: Sequence[str]) -> bool:
    if not {"-h", "--help"} & set(words):
        return False
    from textwrap import fill

    from f2vbench.words import describe

    print(f"usage: f2vbench {verb} [key=value ...] [@settings.yaml]\n")
    for key, default, meaning in describe(model):
        print(fill(f"{key}  [{default}]", 118, initial_indent="  ", subsequent_indent="      "))
        print(fill(meaning, 118, initial_indent="      ", subsequent_indent="      "))
    return True
