"""Time of the complete classification grid of the papers on simulated eyes: encoding, then training of all heads.

    python -m benchmarks.paper_grid [--models mae,timm:resnet18:untrained,...] [--jobs 2] [--out FOLDER]
    python -m benchmarks.paper_grid --models mae-mini,fundus2fa-mini --tasks phantom-dr,phantom-disease

Eleven tasks (retinopathy, glaucoma, disease, four systemic outcomes of one cohort, and four of them again with random
splits), the models and a fusion of the first two, zero-shot, 1, 2, 4, 8 and 16 images per class and supervised, five
seeds. The time of encoding depends on the encoders. The target of 10 minutes is for the run after it, in one command.
The grid runs with head=mlp and with head=paper, and the ratio of both times is printed. Fusions and zero-shot heads are
the same in both; `--no-fusion` leaves fusions out, so that the ratio is that of the recipes.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from f2vbench.store.runs import RunFolder

TASKS = Path(__file__).resolve().parents[1] / "tasks"
OUTCOMES = ("dementia", "parkinson", "infarction")
RESPLIT = ("phantom-dr", "phantom-glaucoma", "phantom-disease", "phantom-systemic")
MODELS = "mae,timm:resnet18:untrained,timm:resnet34:untrained,timm:resnet50:untrained"
SHOTS = "0,1,2,4,8,16,all"
RECIPES = ("mlp", "paper")
TARGET_SECONDS = 600


def write_cards(folder: Path) -> list[str]:
    """Write the task cards that f2vbench does not include to ``folder``/tasks; returns all eleven names."""
    folder = folder / "tasks"
    folder.mkdir(parents=True, exist_ok=True)

    def vary(name: str, source: str, **changes: object) -> str:
        card = yaml.safe_load((TASKS / f"{source}.yaml").read_text(encoding="utf-8")) | {"name": name} | changes
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(card, allow_unicode=True), encoding="utf-8")
        return name

    outcomes = [vary(f"grid-{name}", "phantom-systemic", options={"outcome": name}) for name in OUTCOMES]
    return [*RESPLIT, *outcomes, *(vary(f"grid-{name}-again", name, split="random") for name in RESPLIT)]


def run(cards: Path, arguments: list[str]) -> float:
    """Time of `f2vbench run` in seconds; its progress is shown."""
    path = os.pathsep.join(filter(None, [str(cards), os.environ.get("F2VBENCH_PATH", "")]))
    started = time.perf_counter()
    command = [sys.executable, "-m", "f2vbench", "run", *arguments]
    process = subprocess.run(command, env=os.environ | {"F2VBENCH_PATH": path}, stdout=subprocess.DEVNULL)
    if process.returncode:
        raise SystemExit(f"f2vbench run {' '.join(arguments)} exited with {process.returncode}")
    return time.perf_counter() - started


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=MODELS)
    parser.add_argument("--baselines", default="none")
    parser.add_argument("--tasks", help="a part of the eleven tasks, with commas")
    parser.add_argument("--no-fusion", action="store_true")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = arguments.out or Path(temporary)
        tasks = write_cards(out)
        tasks = arguments.tasks.split(",") if arguments.tasks else tasks
        models = arguments.models.split(",")
        whole_grid = models if arguments.no_fusion else [*models, "+".join(models[:2])]
        grid = [f"task={','.join(tasks)}", f"baselines={arguments.baselines}", f"jobs={arguments.jobs}"]
        # A fusion reads the embeddings of its parts, so only the parts have to be encoded.
        # Supervised units of one seed read every image of the training, validation and test splits.
        once = [*grid, f"model={arguments.models}", "protocol=supervised", "seeds=1", f"out={out / 'encoding'}"]
        print(f"encoding, and one head per task and encoder: {run(out, once):.0f} s", flush=True)
        seconds: dict[str, float] = {}
        for recipe in RECIPES:
            folder = out / f"grid-{recipe}"
            whole = [*grid, f"model={','.join(whole_grid)}", f"shots={SHOTS}", "seeds=5", f"head={recipe}"]
            whole += ["protocol=zero-shot,few-shot,supervised"]
            seconds[recipe] = run(out, [*whole, f"out={folder}"])
            records = list(RunFolder(folder).records())
            fit = sum(record["timing"]["fit_seconds"] for record in records)
            met = "met" if seconds[recipe] < TARGET_SECONDS else "not met"
            print(
                f"head={recipe}: {len(records)} units of {len(tasks)} tasks in {seconds[recipe]:.0f} s with "
                f"{arguments.jobs} jobs, {fit:.0f} s of it in heads; target of {TARGET_SECONDS} s: {met}",
                flush=True,
            )
        print(f"time with head=mlp / time with head=paper: {seconds['mlp'] / seconds['paper']:.2f}")


if __name__ == "__main__":
    main()
