"""Table of the verbs of the command line, and the functions that run them.

Settings classes and the code of a verb are imported when the verb runs, so that `--help` stays fast.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from f2vbench.cli.cache_verbs import CACHE
from f2vbench.cli.verb_kinds import TextVerb, Verb, VerbWithActions, VerbWithVerbs

if TYPE_CHECKING:
    from f2vbench.app.settings import AppSettings
    from f2vbench.benchmark import Benchmark
    from f2vbench.cli.settings import DoctorSettings, ListSettings, PowerSettings
    from f2vbench.config.run import RunSettings
    from f2vbench.data.settings import DataSettings
    from f2vbench.phantom.settings import PhantomSettings
    from f2vbench.predict.settings import PredictSettings
    from f2vbench.report.leaderboard.settings import LeaderboardSettings
    from f2vbench.report.settings import ReportSettings
    from f2vbench.search.settings import SearchSettings
    from f2vbench.training.settings import TrainSettings
    from f2vbench.videos.assessment.settings import PrepareSettings, RatingSettings
    from f2vbench.videos.settings import GenerateSettings, ScoreSettings


_REHEARSAL_SECONDS = 30.0


def _run(settings: RunSettings) -> int:
    from f2vbench.benchmark import Benchmark
    from f2vbench.cli.plan_text import plan_header, remaining_text
    from f2vbench.cli.report import tables
    from f2vbench.utils.progress import for_this_terminal

    benchmark = Benchmark(settings)
    if settings.dry_run:
        return _print_plan(benchmark)
    progress = for_this_terminal()
    plan = benchmark.make_plan(progress)
    print(plan_header(plan), flush=True)
    if settings.engine == "slurm" and not settings.slurm.wait:
        print(benchmark.submit(progress).text)
        return 0
    if plan.missing:
        print(remaining_text(plan, benchmark.estimate(progress, _REHEARSAL_SECONDS)))
        print(flush=True)
    results = benchmark.run(progress)
    print(tables(results, reference=next(iter(plan.models), None)).text)
    print(f"\nall metrics: {plan.folder.path / 'results.csv'}")
    others = plan.folder.count() - len(results.records)
    if others:
        print(f"{others:,} more units of earlier calls are in this folder: f2vbench report run={plan.folder.path}")
    return 0


def _plan(settings: RunSettings) -> int:
    from f2vbench.benchmark import Benchmark

    return _print_plan(Benchmark(settings))


def _print_plan(benchmark: Benchmark) -> int:
    from f2vbench.cli.plan_text import plan_header, plan_table
    from f2vbench.utils.progress import Lines

    plan = benchmark.make_plan()
    print(plan_header(plan))
    print(plan_table(plan, benchmark.estimate(Lines()) if plan.missing else None))
    return 0


def _report(settings: ReportSettings) -> int:
    from f2vbench.cli.report import report

    for text in report(settings):
        print(text, flush=True)
    return 0


def _leaderboard(settings: LeaderboardSettings) -> int:
    from f2vbench.report.leaderboard.write import write_leaderboard
    from f2vbench.utils.progress import for_this_terminal

    print(write_leaderboard(settings, for_this_terminal()).text)
    return 0


def _search(settings: SearchSettings) -> int:
    from f2vbench.search.search import search
    from f2vbench.utils.progress import for_this_terminal

    print(search(settings, for_this_terminal()).text)
    return 0


def _predict(settings: PredictSettings) -> int:
    from f2vbench.predict.predict import predict
    from f2vbench.utils.progress import for_this_terminal

    print(predict(settings, for_this_terminal()).text(settings.out))
    return 0


def _app(settings: AppSettings) -> int:
    from f2vbench.app.page import check_gradio, serve
    from f2vbench.utils.progress import for_this_terminal

    check_gradio()
    print(f"http://127.0.0.1:{settings.port} shows the page once the model is loaded; Ctrl-C ends it", flush=True)
    serve(settings, for_this_terminal())
    return 0


def _train(settings: TrainSettings) -> int:
    from f2vbench.training.train import train
    from f2vbench.utils.progress import for_this_terminal

    generator = train(settings, for_this_terminal())
    if os.environ.get("RANK", "0") == "0":  # of several processes of torchrun only the first prints
        print(f"generator: {generator}, for model={settings.model}:{generator}")
    return 0


def _generate(settings: GenerateSettings) -> int:
    from f2vbench.utils.progress import for_this_terminal
    from f2vbench.videos.generate import generate

    generated = generate(settings, for_this_terminal())
    counts = f"{len(generated.new)} generated, {len(generated.existing)} already present"
    print(f"{counts}: {settings.out}, each with a film strip")
    if any(path.suffix.lower() == ".mp4" for path in (*generated.new, *generated.existing)):
        print("MP4 is lossy: the .json beside each video has its error in grey levels; score and grade frames or GIF")
    return 0


def _score(settings: ScoreSettings) -> int:
    from f2vbench.videos.score import score, score_text

    print(score_text(score(settings)))
    if settings.out is not None:
        print(f"\nwritten: {settings.out}, one row per video and metric")
    return 0


def _assess_prepare(settings: PrepareSettings) -> int:
    from f2vbench.utils.progress import for_this_terminal
    from f2vbench.videos.assessment.prepare import prepare

    print(prepare(settings, for_this_terminal()).text)
    return 0


def _assess_score(settings: RatingSettings) -> int:
    from f2vbench.videos.assessment.score import score

    print(score(settings).text)
    return 0


def _phantom(settings: PhantomSettings) -> int:
    from f2vbench.cli.phantom import simulate
    from f2vbench.utils.progress import for_this_terminal

    for line in simulate(settings, for_this_terminal()):
        print(line, flush=True)
    return 0


def _data(action: str, settings: DataSettings) -> int:
    from f2vbench.cli.data import answer
    from f2vbench.utils.progress import for_this_terminal

    text, sound = answer(action, settings, for_this_terminal())
    print(text)
    return 0 if sound else 2


def _list(action: str, settings: ListSettings) -> int:
    from f2vbench.cli.listing import listing_text

    print(listing_text(action, settings))
    return 0


def _power(settings: PowerSettings) -> int:
    from f2vbench.cli.power import power_text

    print(power_text(settings))
    return 0


def _doctor(settings: DoctorSettings) -> int:
    from f2vbench.cli.doctor import diagnosis

    print(diagnosis(settings))
    return 0


_LIST_ALIASES = {
    "task": "tasks",
    "datasets": "tasks",
    "data": "tasks",
    "data-sets": "tasks",
    "model": "models",
    "encoders": "models",
    "baselines": "models",
    "run": "runs",
}

VERBS: dict[str, Verb | VerbWithActions | VerbWithVerbs | TextVerb] = {
    "run": Verb(
        "run a benchmark, or continue one:  f2vbench run task=rite shots=1,2,4", "f2vbench.config.run:RunSettings", _run
    ),
    "plan": Verb(
        "list done and missing units, and estimate the remaining time", "f2vbench.config.run:RunSettings", _plan
    ),
    "report": Verb(
        "tables, figures and one page from runs:  f2vbench report run=runs/rite format=html,latex,pdf",
        "f2vbench.report.settings:ReportSettings",
        _report,
    ),
    "power": Verb(
        "patients and seeds that a comparison needs:  f2vbench power value=0.9 difference=0.05 prevalence=0.3",
        "f2vbench.cli.settings:PowerSettings",
        _power,
    ),
    "leaderboard": Verb(
        "results of many runs on one page, ties shown as ties:  f2vbench leaderboard runs/*",
        "f2vbench.report.leaderboard.settings:LeaderboardSettings",
        _leaderboard,
    ),
    "search": Verb(
        "images most similar to a query image:  f2vbench search eye.jpg index=photos model=timm:resnet18",
        "f2vbench.search.settings:SearchSettings",
        _search,
    ),
    "predict": Verb(
        "predictions of stored heads with their uncertainty:  f2vbench predict runs/dr/heads/<condition> images=folder",
        "f2vbench.predict.settings:PredictSettings",
        _predict,
    ),
    "app": Verb(
        "try a generator on one photograph, on a local page:  f2vbench app index=photos",
        "f2vbench.app.settings:AppSettings",
        _app,
    ),
    "train": Verb(
        "train an angiogram generator or a masked autoencoder:  f2vbench train preset=mini data=phantom",
        "f2vbench.training.settings:TrainSettings",
        _train,
    ),
    "generate": Verb(
        "angiogram from a photograph:  f2vbench generate eye.jpg out=eye.gif model=fundus2video:<weights>",
        "f2vbench.videos.settings:GenerateSettings",
        _generate,
    ),
    "score": Verb(
        "compare generated with real videos:  f2vbench score real=folder generated=folder",
        "f2vbench.videos.settings:ScoreSettings",
        _score,
    ),
    "assess": VerbWithVerbs(
        "blinded assessment of generated videos by raters:  f2vbench assess prepare run=runs/videos out=assessment",
        {
            "prepare": Verb(
                "write pages for raters, and their key:  f2vbench assess prepare run=runs/videos out=assessment",
                "f2vbench.videos.assessment.settings:PrepareSettings",
                _assess_prepare,
            ),
            "score": Verb(
                "scores and agreement of raters:  f2vbench assess score ratings key=assessment/assessment-key.json",
                "f2vbench.videos.assessment.settings:RatingSettings",
                _assess_score,
            ),
        },
    ),
    "phantom": Verb(
        "simulate eyes with pixel-wise ground truth:  f2vbench phantom out=eyes sheet=eyes.png patients=20",
        "f2vbench.phantom.settings:PhantomSettings",
        _phantom,
    ),
    "data": VerbWithActions(
        "list, find, check and split data sets:  f2vbench data check task=idrid data=folder",
        "f2vbench.data.settings:DataSettings",
        ("list", "where", "check", "split"),
        "[key=value ...]",
        _data,
    ),
    "cache": CACHE,
    "export": TextVerb(
        "export the network of the newest checkpoint:  f2vbench export runs/fundus2video-mini half=yes",
        "f2vbench.cli.weights:export",
    ),
    "weights": TextVerb(
        "list, show and check weights; create them from a training; push them to the Hugging Face Hub",
        "f2vbench.cli.weights:weights",
    ),
    "list": VerbWithActions(
        "list tasks, models or runs:  f2vbench list tasks",
        "f2vbench.cli.settings:ListSettings",
        ("tasks", "models", "runs"),
        "[root=folder] [format=text|json]",
        _list,
        _LIST_ALIASES,
    ),
    "doctor": Verb(
        "check versions, device, folders, weights and data sets:  f2vbench doctor details=yes",
        "f2vbench.cli.settings:DoctorSettings",
        _doctor,
    ),
}
"""All verbs, in the order of the help text."""


def help_text() -> str:
    """Text of `f2vbench --help`."""
    summaries = "\n".join(f"  {verb:<11} {entry.summary}" for verb, entry in VERBS.items())
    return f"""\
f2vbench: benchmark of retinal image encoders with few labels and paired significance tests

usage: f2vbench <verb> [key=value ...] [@settings.yaml]

{summaries}

f2vbench <verb> --help lists the keys of a verb. Write lists as 1,2,4 and ranges as 0-4; key=@file.yaml reads a value
from a file. Data sets are searched in $F2VBENCH_DATA, cards in ./tasks, ./weights and $F2VBENCH_PATH; features are
cached in $F2VBENCH_CACHE (default ~/.cache/f2vbench).
"""
