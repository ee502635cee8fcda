"""The papers' whole classification grid on simulated eyes: encoding once, then every head, timed apart.

    python -m benchmarks.paper_grid [--models mae,timm:resnet18:untrained,...] [--jobs 2] [--out FOLDER]

Eleven tasks (retinopathy, glaucoma, disease, four systemic outcomes of one cohort, and four of them again with splits
drawn anew), the models and a fusion of the first two, zero-shot, 1, 2, 4, 8 and 16 images a class and supervised, five
seeds. Encoding depends on the encoders; what is held against the aim of 10 minutes is the run after it, as a user
starts it: one command, a process of its own.
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

TASKS = Path(__file__).resolve().parents[1] / "tasks"
OUTCOMES = ("dementia", "parkinson", "infarction")
AGAIN = ("phantom-dr", "phantom-glaucoma", "phantom-disease", "phantom-systemic")
MODELS = "mae,timm:resnet18:untrained,timm:resnet34:untrained,timm:resnet50:untrained"
SHOTS = "0,1,2,4,8,16,all"
AIM = 600


def write_cards(folder: Path) -> list[str]:
    """The cards that do not come with f2vbench, into ``folder``/tasks; returns the names of all eleven tasks."""
    folder = folder / "tasks"
    folder.mkdir(parents=True, exist_ok=True)

    def vary(name: str, source: str, **changes: object) -> str:
        card = yaml.safe_load((TASKS / f"{source}.yaml").read_text(encoding="utf-8")) | {"name": name} | changes
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(card, allow_unicode=True), encoding="utf-8")
        return name

    outcomes = [vary(f"grid-{name}", "phantom-systemic", options={"outcome": name}) for name in OUTCOMES]
    return [*AGAIN, *outcomes, *(vary(f"grid-{name}-again", name, split="random") for name in AGAIN)]


def run(cards: Path, words: list[str]) -> float:
    """Seconds of a whole `f2vbench run`, whose progress goes through."""
    path = os.pathsep.join(filter(None, [str(cards), os.environ.get("F2VBENCH_PATH", "")]))
    started = time.perf_counter()
    command = [sys.executable, "-m", "f2vbench", "run", *words]
    done = subprocess.run(command, env=os.environ | {"F2VBENCH_PATH": path}, stdout=subprocess.DEVNULL)
    if done.returncode:
        raise SystemExit(f"f2vbench run {' '.join(words)} ended with {done.returncode}")
    return time.perf_counter() - started


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--models", default=MODELS)
    words.add_argument("--baselines", default="none")
    words.add_argument("--jobs", type=int, default=2)
    words.add_argument("--out", type=Path)
    given = words.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = given.out or Path(temporary)
        tasks = write_cards(out)
        models = given.models.split(",")
        fusion = "+".join(models[:2])
        grid = [f"task={','.join(tasks)}", f"baselines={given.baselines}", f"jobs={given.jobs}"]
        # A fusion reads its parts' embeddings, so the parts alone have to be encoded.
        # Supervised units of one seed see every image: training, validation and test part.
        once = [*grid, f"model={given.models}", "protocol=supervised", "seeds=1", f"out={out / 'encoding'}"]
        print(f"encoding, and one head for each task and encoder: {run(out, once):.0f} s", flush=True)
        whole = [*grid, f"model={given.models},{fusion}", f"shots={SHOTS}", "seeds=5", f"out={out / 'grid'}"]
        seconds = run(out, whole)
        units = len(list((out / "grid" / "units").rglob("*.json")))
        met = "met" if seconds < AIM else "not met"
        print(f"{units} units of {len(tasks)} tasks in {seconds:.0f} s with {given.jobs} jobs (aim {AIM} s: {met})")


if __name__ == "__main__":
    main()
