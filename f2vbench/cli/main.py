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
    from f2vbench.config.parsing import AnySettings

HELP = """\
f2vbench – how good are a retinal encoder's features, with how few labels, and is the difference real?

usage: f2vbench <verb> [key=value ...] [@settings.yaml]

  run      run a benchmark, or go on with one:  f2vbench run task=rite shots=1,2,4
  plan     what a run would do, how long it would take, and what is done already
  report   runs as tables, figures and one page:  f2vbench report run=runs/rite format=html,latex,pdf
  search   images of a folder or a run most like one:  f2vbench search eye.jpg index=photos model=timm:resnet18
  train    a generator of angiograms from photographs:  f2vbench train preset=mini data=phantom
  generate an angiogram from a photograph:  f2vbench generate eye.jpg out=eye.gif model=fundus2video:<weights>
  score    generated videos against real ones:  f2vbench score real=folder generated=folder
  phantom  simulate eyes, with the truth of every pixel:  f2vbench phantom out=eyes sheet=eyes.png patients=20
  data     data sets, their terms, and whether a copy is sound:  f2vbench data check task=idrid data=folder
  export   the generator of a training's newest checkpoint:  f2vbench export runs/fundus2video-mini half=yes
  weights  trained weights: list, show, where, check; make them of a training; push them to the Hugging Face Hub
  list     what there is:  f2vbench list tasks | models | runs
  doctor   versions, device, folders, Hub login, data sets: what is missing, and how to get it

f2vbench <verb> --help lists the keys of a verb. Lists are 1,2,4 and ranges 0-4; key=@file.yaml reads a value
from a file. Data sets are looked for in $F2VBENCH_DATA, cards in ./tasks, ./weights and $F2VBENCH_PATH as
well; features are cached in $F2VBENCH_CACHE (default ~/.cache/f2vbench).
"""


def main(words: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0 done, 2 something to mend, 130 stopped by the user."""
    own_process = words is None  # and not a caller's, whose memory is not ours to manage
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
        if own_process and verb == "report":  # arrays of megabytes for every figure
            from f2vbench.utils.processes import keep_freed_memory

            keep_freed_memory()
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
        "search": _search,
        "train": _train,
        "generate": _generate,
        "score": _score,
        "phantom": _phantom,
        "data": _data,
        "export": _export,
        "weights": _weights,
        "list": _list,
        "doctor": _doctor,
    }
    if verb not in commands:
        raise F2VBenchError(f"unknown verb '{verb}'{did_you_mean(verb, commands)} (f2vbench --help shows them)")
    return commands[verb]


def _run(words: list[str]) -> int:
    from f2vbench.config.run import RunSettings

    settings = _read("run", RunSettings, words)
    if settings is None:
        return 0
    from f2vbench.benchmark import Benchmark
    from f2vbench.cli.plan_text import ahead, head
    from f2vbench.cli.report import tables
    from f2vbench.utils.progress import for_this_terminal

    bench = Benchmark(settings)
    if settings.dry_run:
        return _show_plan(bench)
    plan = bench.make_plan()
    print(head(plan))
    if plan.missing:
        print(ahead(plan, bench.estimate(rehearse=False)))
        print(flush=True)
    results = bench.run(for_this_terminal())
    print(tables(results, reference=next(iter(plan.models), None)).text)
    print(f"\nall metrics: {plan.folder.path / 'results.csv'}")
    return 0


def _plan(words: list[str]) -> int:
    from f2vbench.config.run import RunSettings

    settings = _read("plan", RunSettings, words)
    if settings is None:
        return 0
    from f2vbench.benchmark import Benchmark

    return _show_plan(Benchmark(settings))


def _report(words: list[str]) -> int:
    from f2vbench.report.settings import ReportSettings

    settings = _read("report", ReportSettings, words)
    if settings is None:
        return 0
    from f2vbench.cli.report import report

    for text in report(settings):
        print(text, flush=True)
    return 0


def _search(words: list[str]) -> int:
    from f2vbench.search.settings import SearchSettings

    settings = _read("search", SearchSettings, words)
    if settings is None:
        return 0
    from f2vbench.search.search import search
    from f2vbench.utils.progress import for_this_terminal

    print(search(settings, for_this_terminal()).text)
    return 0


def _train(words: list[str]) -> int:
    from f2vbench.training.settings import TrainSettings

    settings = _read("train", TrainSettings, words)
    if settings is None:
        return 0
    from f2vbench.training.train import train
    from f2vbench.utils.progress import for_this_terminal

    generator = train(settings, for_this_terminal())
    if os.environ.get("RANK", "0") == "0":  # of the processes that torchrun started, one tells
        print(f"generator: {generator}, for model={settings.model}:{generator}")
    return 0


def _generate(words: list[str]) -> int:
    from f2vbench.videos.settings import GenerateSettings

    settings = _read("generate", GenerateSettings, words)
    if settings is None:
        return 0
    from f2vbench.utils.progress import for_this_terminal
    from f2vbench.videos.generate import generate

    done = generate(settings, for_this_terminal())
    print(f"{len(done.made)} made, {len(done.kept)} there already: {settings.out}, with the strip beside each")
    return 0


def _score(words: list[str]) -> int:
    from f2vbench.videos.settings import ScoreSettings

    settings = _read("score", ScoreSettings, words)
    if settings is None:
        return 0
    from f2vbench.videos.score import score, score_text

    print(score_text(score(settings)))
    if settings.out is not None:
        print(f"\nwritten: {settings.out}, a row a video and metric")
    return 0


def _phantom(words: list[str]) -> int:
    from f2vbench.phantom.settings import PhantomSettings

    settings = _read("phantom", PhantomSettings, words)
    if settings is None:
        return 0
    from f2vbench.cli.phantom import simulate
    from f2vbench.utils.progress import for_this_terminal

    for line in simulate(settings, for_this_terminal()):
        print(line, flush=True)
    return 0


def _export(words: list[str]) -> int:
    from f2vbench.cli.weights import export

    print(export(words))
    return 0


def _weights(words: list[str]) -> int:
    from f2vbench.cli.weights import weights

    print(weights(words))
    return 0


def _list(words: list[str]) -> int:
    from f2vbench.cli.settings import ListSettings

    if not _knows("list", words, ("tasks", "models", "runs"), "[root=folder]"):
        return 0
    settings = _read("list " + words[0], ListSettings, words[1:])
    if settings is None:
        return 0
    from f2vbench.cli.listing import KINDS

    print(KINDS[words[0]](settings))
    return 0


def _data(words: list[str]) -> int:
    from f2vbench.data.settings import VERBS, DataSettings

    if not _knows("data", words, VERBS, "[key=value ...]"):
        return 0
    settings = _read("data " + words[0], DataSettings, words[1:])
    if settings is None:
        return 0
    from f2vbench.cli.data import answer
    from f2vbench.utils.progress import for_this_terminal

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
    from f2vbench.cli.settings import DoctorSettings

    settings = _read("doctor", DoctorSettings, words)
    if settings is None:
        return 0
    from f2vbench.cli.doctor import examine
    from f2vbench.utils.text import layout

    for title, findings in examine(settings.out):
        print(f"\n{title}\n{layout(['', 'what', 'found'], findings, wrap=84)}")
    return 0


def _show_plan(bench: Benchmark) -> int:
    from f2vbench.cli.plan_text import costs, head
    from f2vbench.utils.progress import Lines

    plan = bench.make_plan()
    print(head(plan))
    print(costs(plan, bench.estimate(Lines()) if plan.missing else None))
    return 0


def _read(verb: str, model: type[AnySettings], words: Sequence[str]) -> AnySettings | None:
    """The words after a verb as its settings; None where they ask for help, which is printed."""
    from f2vbench.config.parsing import parse, usage

    if {"-h", "--help"} & set(words):
        print(usage(verb, model))
        return None
    return parse(model, words)
