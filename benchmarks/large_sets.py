"""Large sets: features of shards against one file each, and time and memory of a run with an instant encoder.

    python -m benchmarks.large_sets [--images 200000] [--parts store,run]

store  Both layouts store and read the same vectors in one process: that of f2vbench 0.1 (a minimal copy of its writer
       and reader: one file an entry with a checksum), and shards, in work items as a run writes them. Processor time
       of this process, user and system; the ratio is that of the old layout to the new one.
run    A classification task with an index of made-up images is planned, encoded by an encoder that copies pixels,
       packed, and evaluated by k-NN on 2,000 test images and the validation images, a twentieth of the others, so that
       its time is quadratic; then the nearest of all images are searched for 100 queries.
       Images are made in memory, because decoding takes far longer than all the rest. Processor time and peak memory of
       this process for each step, and the time for each million images.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
from safetensors.numpy import load, save

from f2vbench.config.parsing import build
from f2vbench.config.run import RunSettings
from f2vbench.data.field_of_view import field_name
from f2vbench.data.file_facts import data_fingerprint
from f2vbench.data.photographs import Photograph
from f2vbench.data.task_cards import load_card
from f2vbench.data.task_data import TaskData
from f2vbench.encoders.model_family import ModelFamily
from f2vbench.encoders.registry import FAMILIES
from f2vbench.encoders.spec import ModelSpec
from f2vbench.metrics.exact_neighbours import find_nearest, normalise
from f2vbench.runner import plan as planning
from f2vbench.runner import worker_cache
from f2vbench.runner.context import Context
from f2vbench.runner.embeddings import StoredEmbeddings
from f2vbench.runner.engines.local import LocalEngine
from f2vbench.runner.scheduling import make_work_items
from f2vbench.runner.work_items import Phase
from f2vbench.store.features import FeatureSet
from f2vbench.utils.system import peak_memory

WIDTH, SIDE, TESTED, QUERIES, ITEM = 128, 24, 2000, 100, 64
MILLION = 1_000_000
CARD = """name: large
title: Large
family: classification
layout: table
split: official
label_kind: nominal
classes: [{name: a, meaning: a}, {name: b, meaning: b}, {name: c, meaning: c}]
options: {table: labels.csv, images: images, image: image, label: label, patient: patient, split: split}
labels: drawn
source: simulated
terms: none
citation: none
obtain: simulate
"""

Result = TypeVar("Result")


class FileSet:
    """The layout of f2vbench 0.1.0."""

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir()

    def has(self, entry: str) -> bool:
        return (self.folder / f"{entry}.features").exists()

    def put(self, entry: str, vector: np.ndarray) -> None:
        block = save({"embedding": vector})
        part = self.folder / f".{entry}.features.{os.getpid()}.part"
        with part.open("wb") as file:
            file.write(hashlib.sha256(block).digest() + block)
        part.replace(self.folder / f"{entry}.features")

    def get(self, entry: str) -> np.ndarray:
        content = (self.folder / f"{entry}.features").read_bytes()
        if hashlib.sha256(content[32:]).digest() != content[:32]:
            raise ValueError(entry)
        return load(content[32:])["embedding"]


class Instant:
    """An encoder whose vector is the first pixels."""

    def embed(self, images: Sequence[np.ndarray], crops: Sequence[bool] | None = None) -> np.ndarray:
        return np.stack([image.reshape(-1)[:WIDTH].astype(np.float32) / 255 for image in images])


def load_instant(_: ModelSpec) -> Instant:
    return Instant()


def measured(name: str, images: int | None, step: Callable[[], Result]) -> Result:
    """Run a step, and print its processor time, its peak memory and, if it is linear, the time for a million images."""
    with peak_memory() as peak:
        started, wall = time.process_time(), time.perf_counter()
        result = step()
        seconds, wall = time.process_time() - started, time.perf_counter() - wall
    memory = peak.get("process_bytes", 0) / 1e6
    print(
        f"{name:34} {seconds:8.1f} s processor, {wall:8.1f} s wall, peak {memory:7,.0f} MB"
        + (f"; a million: {seconds * MILLION / images:8.0f} s" if images else ""),
        flush=True,
    )
    return result


def compare_stores(folder: Path, images: int) -> None:
    """Store and read vectors with both layouts."""
    names = [hashlib.sha256(str(number).encode()).hexdigest() for number in range(images)]
    vectors = np.random.default_rng(0).normal(size=(images, WIDTH)).astype(np.float32)
    files, shards = FileSet(folder / "files"), FeatureSet({"benchmark": "large"}, {}, folder / "shards")

    def write_files() -> None:
        for name, vector in zip(names, vectors, strict=True):
            if not files.has(name):
                files.put(name, vector)

    def write_shards() -> None:
        for start in range(0, images, ITEM):
            of_item = names[start : start + ITEM]
            stored = shards.has_many(of_item)
            with shards.writing():
                for name, vector, is_stored in zip(of_item, vectors[start : start + ITEM], stored, strict=True):
                    if not is_stored:
                        shards.put(name, {"embedding": vector})

    def read_files() -> None:
        if not np.array_equal(np.stack([files.get(name) for name in names]), vectors):
            raise RuntimeError("the vectors differ")

    def read_shards() -> None:
        found, stored = FeatureSet({"benchmark": "large"}, {}, folder / "shards").get_many(names, "embedding")
        if not (stored.all() and np.array_equal(found, vectors)):
            raise RuntimeError("the vectors differ")

    steps = {"store": (write_files, write_shards), "read all": (read_files, read_shards)}
    for name, sides in steps.items():
        times = []
        for layout, side in zip(("one file each", "shards"), sides, strict=True):
            started = time.process_time()
            measured(f"{name}, {layout}", images, side)
            times.append(time.process_time() - started)
        print(f"{name}: ratio {times[0] / times[1]:.1f}", flush=True)
    used = {
        each: sum(path.stat().st_blocks * 512 for path in (folder / each).rglob("*.*") if "retired" not in path.parts)
        for each in ("files", "shards")
    }
    count = sum(1 for _ in shards.folder.glob("*.safetensors"))
    print(
        f"on disk: {used['files'] / 1e6:,.0f} MB in {images:,} files, {used['shards'] / 1e6:,.0f} MB in {count} shards"
    )


def make_index(images: int) -> pd.DataFrame:
    """Index of images of three classes, with two images a patient, as the layout `table` and the file facts give it."""
    numbers = np.arange(images)
    constant = dict.fromkeys(("mask_path", "fov_path", "eye", "mask_values", "fov_values", "label_sha256"), "")
    constant |= dict.fromkeys(("fov_sha256", "appearance", "present", "problem", "warning", "column:age"), "")
    names = [f"{number:07}" for number in numbers]
    return pd.DataFrame(
        {
            "image": names,
            "path": [f"/images/{name}.png" for name in names],
            "patient": [f"p{number // 2}" for number in numbers],
            "modality": "CF",
            "split": np.where(numbers < TESTED, "test", "train").astype(object),
            "label": np.array(list("abc"), object)[numbers // 2 % 3],
            "sha256": [hashlib.sha256(name.encode()).hexdigest() for name in names],
            "height": SIDE,
            "width": SIDE,
            **constant,
        }
    )


def make_photograph(row: pd.Series) -> Photograph:
    """A picture of noise."""
    pixels = np.frombuffer(hashlib.shake_128(row["image"].encode()).digest(SIDE * SIDE * 3), np.uint8)
    rgb, fov = pixels.reshape(SIDE, SIDE, 3), np.ones((SIDE, SIDE), bool)
    return Photograph(str(row["image"]), rgb, fov, f"{row['sha256']} {field_name('')}", Path())


def run(folder: Path, images: int) -> None:
    """Measure the steps of a run."""
    os.environ |= {"F2VBENCH_PATH": str(folder), "F2VBENCH_CACHE": str(folder / "cache")}
    FAMILIES["instant"] = ModelFamily(
        "instant",
        "copies pixels",
        kind="vector",
        loader="benchmarks.large_sets:load_instant",
        default_weights="none",
        baseline_for=("classification",),
    )
    (folder / "tasks").mkdir(parents=True)
    (folder / "tasks" / "large.yaml").write_text(CARD)
    index = measured("make the index", images, lambda: make_index(images))
    fingerprint = measured("fingerprint of the data", images, lambda: data_fingerprint(index))
    task = TaskData(load_card("large"), folder, index, fingerprint)
    planning.open_tasks = lambda *_: {"large": task}
    worker_cache.open_photograph = make_photograph
    arguments = {"task": "large", "data": str(folder), "out": str(folder / "run"), "model": "instant", "jobs": 1}
    settings = build(
        RunSettings, {**arguments, "baselines": ["none"], "protocol": "knn", "shots": "all", "seeds": 1}
    )  # fmt: skip
    plan = measured("plan", images, lambda: planning.make_plan(settings))
    plan.folder.open_for_writing()
    context = Context(settings, plan.tasks, plan.models, plan.folder.path)
    items = measured("work items", images, lambda: make_work_items(plan.missing, context))
    encoding = [item for item in items if item.phase is Phase.ENCODE]
    measured(f"encode, {len(encoding):,} work items", images, lambda: list(LocalEngine(1).execute(context, encoding)))
    features = FeatureSet.planned({"model": plan.models["instant"].identity(), "what": "embedding"})
    measured("pack", images, features.merge)
    print(f"{sum(1 for _ in features.folder.glob('*.safetensors'))} shards")
    measured("encode again (all stored)", images, lambda: list(LocalEngine(1).execute(context, encoding)))
    evaluating = [item for item in items if item.phase is not Phase.ENCODE]
    episode = plan.tasks["large"].episode("knn", None, 0)
    pairs = (len(episode.test) + len(episode.val)) * len(episode.support)
    measured(f"k-NN, {pairs / 1e9:.2f} billion pairs", None, lambda: list(LocalEngine(1).execute(context, evaluating)))
    names = plan.tasks["large"].index["image"].tolist()
    vectors = measured("read all", images, lambda: StoredEmbeddings(context, "instant", "large")(names))
    vectors = measured("normalise", images, lambda: normalise(vectors))
    content = np.arange(images)
    search = measured(
        f"search of {QUERIES} queries",
        images,
        lambda: find_nearest(vectors[:QUERIES], vectors, 10, content[:QUERIES], content),
    )
    if (search[0] < 0).any():
        raise RuntimeError("too few images found")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--parts", default="store,run")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if "store" in arguments.parts.split(","):
            compare_stores(Path(folder), arguments.images)
        if "run" in arguments.parts.split(","):
            run(Path(folder) / "data", arguments.images)


if __name__ == "__main__":
    main()
