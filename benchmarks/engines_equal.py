"""Compare the grid of the papers on simulated eyes through engine=local and engine=ray, to the last bit.

    python -m benchmarks.engines_equal [--models mae,timm:resnet18:untrained] [--tasks phantom-dr,phantom-vessels,...]
                                       [--shots 0,1,4,all] [--seeds 2] [--patients N] [--unshared] [--folder FOLDER]

Each engine has an empty feature cache of its own. Records are compared without timing and provenance, predictions and
maps byte by byte, and `results.csv` as a file. With ``--unshared`` the workers of Ray do not see the run folder, and
their files come back through Ray. The exit status is 1 where something differs.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import yaml

from f2vbench import Benchmark
from f2vbench.runner.engines import ray_engine
from f2vbench.runner.engines.ray_worker import RayWorker, WorkerPlace
from f2vbench.utils.files import cache_folder
from f2vbench.utils.progress import Lines
from f2vbench.utils.system import machine
from tests.helpers.run_folders import comparable_files

TASKS = "phantom-dr,phantom-vessels,phantom-retrieval"
MODELS = "mae,timm:test_resnet:untrained,mae+timm:test_resnet:untrained"
SETTINGS = {
    "preset": "quick",
    "image_size": 96,
    "steps": 4,
    "decoder": {"crop": 64, "pool": 2},
    "scratch": {"steps": 4},
    "head": {"epochs": 4, "warmup_epochs": 1, "widths": [16]},
}


class FarWorker(RayWorker):
    """A worker on a node that does not see the run folder."""

    def start(self, context: object, probe: str, token: str) -> WorkerPlace:
        return RayWorker.start(self, context, f"{probe}-elsewhere", token)


def small_cards(folder: Path, tasks: list[str], patients: int) -> list[str]:
    """Write task cards with cohorts of so many patients; returns their names."""
    cards = folder / "cards" / "tasks"
    cards.mkdir(parents=True)
    names = []
    for task in tasks:
        source = Path(__file__).resolve().parents[1] / "tasks" / f"{task}.yaml"
        card = yaml.safe_load(source.read_text(encoding="utf-8"))
        card["name"] = f"small-{task}"
        card["phantom"]["patients"] = patients
        card.pop("images", None)  # the number of the whole cohort
        (cards / f"small-{task}.yaml").write_text(yaml.safe_dump(card, allow_unicode=True), encoding="utf-8")
        names.append(card["name"])
    os.environ["F2VBENCH_PATH"] = os.pathsep.join(filter(None, [str(cards.parent), os.environ.get("F2VBENCH_PATH")]))
    return names


def main() -> int:
    """Run both sides and compare them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", default=MODELS)
    parser.add_argument("--baselines", default="all")
    parser.add_argument("--tasks", default=TASKS)
    parser.add_argument("--shots", default="0,1,4,all")
    parser.add_argument("--seeds", default="2")
    parser.add_argument("--patients", type=int, help="smaller cohorts than those of the task cards")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--unshared", action="store_true")
    parser.add_argument("--folder", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        tasks = arguments.tasks.split(",")
        if arguments.patients:
            tasks = small_cards(folder, tasks, arguments.patients)
        grid = {
            "task": tasks,
            "model": arguments.models,
            "baselines": arguments.baselines,
            "shots": arguments.shots,
            "seeds": arguments.seeds,
            **SETTINGS,
        }
        engines = {
            "local": {"jobs": arguments.workers},
            "ray": {"engine": "ray", "ray": {"workers": arguments.workers}},
        }
        files: dict[str, dict[str, bytes]] = {}
        Benchmark(**grid, out=folder / "local").plan()  # simulates the eyes, in the cache of the user
        phantoms = cache_folder().absolute() / "phantom"
        for name, engine in engines.items():
            cache = folder / f"cache-{name}"
            cache.mkdir()
            (cache / "phantom").symlink_to(phantoms)
            os.environ["F2VBENCH_CACHE"] = str(cache)
            started = time.monotonic()
            worker = FarWorker if arguments.unshared else RayWorker
            with mock.patch.object(ray_engine, "RayWorker", worker):
                Benchmark(**grid, **engine, out=folder / name).run(Lines())
            files[name] = comparable_files(folder / name)
            files[name] |= {path.name: path.read_bytes() for path in (folder / name / "predictions").rglob("*.*")}
            print(f"engine={name}: {time.monotonic() - started:.0f} s", flush=True)
        keys = files["local"].keys() | files["ray"].keys()
        different = sorted(key for key in keys if files["local"].get(key) != files["ray"].get(key))
        units = len(list((folder / "local" / "units").glob("*.json")))
        print(f"{machine()['processor']}, {machine()['cores']} cores, {arguments.workers} workers")
        print(f"{units} units, {len(keys)} files: {len(different)} differ {' '.join(different[:10])}")
    return int(bool(different))


if __name__ == "__main__":
    sys.exit(main())
