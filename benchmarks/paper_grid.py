"""Time of the complete classification grid of the papers on simulated eyes: encoding, then training of all heads.

    python -m benchmarks.paper_grid [--models mae,timm:resnet18:untrained,...] [--jobs 2] [--out FOLDER]

Eleven tasks (retinopathy, glaucoma, disease, four systemic outcomes of one cohort, and four of them again with random
splits), the models and a fusion of the first two, zero-shot, 1, 2, 4, 8 and 16 images per class and supervised, five
seeds. The time of encoding depends on the encoders. The target of 10 minutes is for the run after it, in one command.
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
RESPLIT = ("phantom-dr", "phantom-glaucoma", "phantom-disease", "phantom-systemic")
MODELS = "mae,timm:resnet18:untrained,timm:resnet34:untrained,timm:resnet50:untrained"
SHOTS = "0,1,2,4,8,16,all"
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
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = arguments.out or Path(temporary)
        tasks = write_cards(out)
        models = arguments.models.split(",")
        fusion = "+".join(models[:2])
        grid = [f"task={','.join(tasks)}", f"baselines={arguments.baselines}", f"jobs={arguments.jobs}"]
        # A fusion reads the embeddings of its parts, so only the parts have to be encoded.
        # Supervised units of one seed read every image of the training, validation and test splits.
        once = [*grid, f"model={arguments.models}", "protocol=supervised", "seeds=1", f"out={out / 'encoding'}"]
        print(f"encoding, and one head per task and encoder: {run(out, once):.0f} s", flush=True)
        whole = [*grid, f"model={arguments.models},{fusion}", f"shots={SHOTS}", "seeds=5", f"out={out / 'grid'}"]
        seconds = run(out, whole)
        units = len(list((out / "grid" / "units").rglob("*.json")))
        met = "met" if seconds < TARGET_SECONDS else "not met"
        print(f"{units} units of {len(tasks)} tasks in {seconds:.0f} s with {arguments.jobs} jobs")
        print(f"target of {TARGET_SECONDS} s: {met}")


if __name__ == "__main__":
    main()
