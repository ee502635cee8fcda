"""Speed and memory of exact retrieval.

    python -m benchmarks.retrieval_speed                 # 100,000 × 1,024, 1,000 queries, against scikit-learn
    python -m benchmarks.retrieval_speed million         # 1,000,000 × 1,024 from a memory-mapped file, peak memory
    python -m benchmarks.retrieval_speed million width=256 queries=250 folder=/tmp
    python -m benchmarks.retrieval_speed count=25000 rounds=2

The reference is scikit-learn's `NearestNeighbors(metric="cosine", algorithm="brute")` on the same unit vectors, with
fit and query; ours searches the ten nearest and proves that they are exact. Both use OMP_NUM_THREADS threads and run in
turns; the best of three rounds counts. For the million, the peak of the memory that belongs to the process alone
(RssAnon) is printed beside the total (VmHWM), as the system may drop the pages of the file.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from f2vbench.metrics.exact_neighbours import find_nearest, rank_relevant
from f2vbench.metrics.ragged_array import RaggedArray

K = 10


def draw_unit_vectors(count: int, width: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, width), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def compare_with_scikit_learn(count: int, width: int, query_count: int, rounds: int) -> None:
    """Print times of both implementations, and the time of ranking one relevant image for each query."""
    from sklearn.neighbors import NearestNeighbors

    gallery = draw_unit_vectors(count, width, 0)
    queries, content = gallery[:query_count].copy(), np.arange(count)

    def search_scikit_learn() -> np.ndarray:
        fitted = NearestNeighbors(n_neighbors=K + 1, metric="cosine", algorithm="brute").fit(gallery)
        return fitted.kneighbors(queries, return_distance=False)[:, 1:]

    def search_f2vbench() -> np.ndarray:
        return find_nearest(queries, gallery, K, content[:query_count], content)[0]

    print(f"{count:,} × {width}, {query_count:,} queries")
    searches = {"scikit-learn": search_scikit_learn, "f2vbench": search_f2vbench}
    wall: dict[str, list[float]] = {name: [] for name in searches}
    cpu: dict[str, list[float]] = {name: [] for name in searches}
    positions = {}
    for _ in range(rounds):
        for name, search in searches.items():
            wall_start, cpu_start = time.perf_counter(), time.process_time()
            positions[name] = search()
            wall[name].append(time.perf_counter() - wall_start)
            cpu[name].append(time.process_time() - cpu_start)
    for name in searches:
        rounds_text = ", ".join(f"{seconds:.2f}" for seconds in wall[name])
        print(f"{name:>12}: {min(wall[name]):6.2f} s, CPU time {min(cpu[name]):6.2f} s (rounds {rounds_text})")
    speedup = min(wall["scikit-learn"]) / min(wall["f2vbench"])
    cpu_ratio = min(cpu["scikit-learn"]) / min(cpu["f2vbench"])
    equal = (positions["scikit-learn"] == positions["f2vbench"]).mean()
    print(f"{speedup:.1f} times as fast; CPU time {cpu_ratio:.1f} times less; equal positions {equal:.4%}")
    relevant = RaggedArray.from_rows([np.array([position + count // 2]) for position in range(query_count)])
    started = time.perf_counter()
    rank_relevant(queries, gallery, relevant, content[:query_count], content)
    print(f"ranks of one relevant image for each query: {time.perf_counter() - started:.2f} s")


def search_a_million(
    width: int, query_count: int, folder: Path, count: int = 1_000_000, rows_per_write: int = 20_000
) -> None:
    """Print time and peak memory of a search in a memory-mapped gallery."""
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        file = Path(temporary) / "gallery.npy"
        written = np.lib.format.open_memmap(file, "w+", np.float32, (count, width))
        for number, start in enumerate(range(0, count, rows_per_write)):
            rows = min(rows_per_write, count - start)
            written[start : start + rows_per_write] = draw_unit_vectors(rows, width, number)
        written.flush()
        del written
        gallery = np.load(file, mmap_mode="r")
        content = np.arange(count)
        queries = np.ascontiguousarray(gallery[:query_count])
        with watch_memory() as peak:
            started = time.perf_counter()
            nearest, _ = find_nearest(queries, gallery, K, content[:query_count], content)
            seconds = time.perf_counter() - started
    size = count * width * 4 / 2**30
    print(
        f"{count:,} × {width} ({size:.2f} GiB), {query_count:,} queries: {seconds:.1f} s; own memory at most "
        f"{peak[0] / 2**20:.2f} GiB, with pages of the file {memory_in_kib('VmHWM') / 2**20:.2f} GiB; "
        f"{'all found' if (nearest >= 0).all() else 'some queries found fewer images'}"
    )


@contextmanager
def watch_memory() -> Iterator[list[int]]:
    """Yield a list whose only element becomes the peak of RssAnon in KiB."""
    peak = [0]
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.05):
            peak[0] = max(peak[0], memory_in_kib("RssAnon"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield peak
    finally:
        stop.set()
        watcher.join()


def memory_in_kib(field: str) -> int:
    """A field of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


if __name__ == "__main__":
    arguments = dict(argument.partition("=")[::2] for argument in sys.argv[1:])
    width, query_count = int(arguments.get("width", 1024)), int(arguments.get("queries", 1000))
    print(f"threads: {os.environ.get('OMP_NUM_THREADS', 'all')}, of {os.cpu_count()} cores")
    if "million" in arguments:
        search_a_million(width, query_count, Path(arguments.get("folder", tempfile.gettempdir())))
    else:
        count, rounds = int(arguments.get("count", 100_000)), int(arguments.get("rounds", 3))
        compare_with_scikit_learn(count, width, query_count, rounds)
