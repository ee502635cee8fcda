"""Speed and memory of exact retrieval, both sides in one run.

    python -m benchmarks.retrieval_speed                 # 100,000 × 1,024, 1,000 queries, against scikit-learn
    python -m benchmarks.retrieval_speed million         # 1,000,000 × 1,024 from a memory-mapped file, peak memory
    python -m benchmarks.retrieval_speed million width=256 queries=250 folder=/tmp
    python -m benchmarks.retrieval_speed count=25000 rounds=2

Against scikit-learn: `NearestNeighbors(metric="cosine", algorithm="brute")` on the same normalised vectors, fit and
query timed, ours with the search for the first ten and its proof of exactness. Both sides take OMP_NUM_THREADS
threads, and the best of three rounds, taken in turns, counts. Of the million, the peak of the resident memory that
belongs to the process alone (RssAnon) is told beside the whole (VmHWM): pages of the file are the system's to drop.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from f2vbench.metrics.exact_neighbours import find_nearest, rank_relevant
from f2vbench.metrics.ragged_array import RaggedArray

K = 10


def unit_vectors(count: int, width: int, seed: int) -> np.ndarray:
    vectors = np.random.default_rng(seed).standard_normal((count, width), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def against_scikit_learn(count: int, width: int, asked: int, rounds: int) -> None:
    from sklearn.neighbors import NearestNeighbors

    gallery = unit_vectors(count, width, 0)
    queries, content = gallery[:asked].copy(), np.arange(count)

    def theirs() -> np.ndarray:
        fitted = NearestNeighbors(n_neighbors=K + 1, metric="cosine", algorithm="brute").fit(gallery)
        return fitted.kneighbors(queries, return_distance=False)[:, 1:]

    def ours() -> np.ndarray:
        return find_nearest(queries, gallery, K, content[:asked], content)[0]

    print(f"{count:,} × {width}, {asked:,} queries")
    times: dict[str, list[float]] = {"scikit-learn": [], "f2vbench": []}
    processor: dict[str, list[float]] = {"scikit-learn": [], "f2vbench": []}
    found = {}
    for _ in range(rounds):
        for name, function in (("scikit-learn", theirs), ("f2vbench", ours)):
            started, used = time.perf_counter(), time.process_time()
            found[name] = function()
            times[name].append(time.perf_counter() - started)
            processor[name].append(time.process_time() - used)
    same = (found["scikit-learn"] == found["f2vbench"]).mean()
    for name in times:
        told = f"{min(times[name]):6.2f} s, processor time {min(processor[name]):6.2f} s"
        print(f"{name:>12}: {told} (rounds {', '.join(f'{t:.2f}' for t in times[name])})")
    print(
        f"{min(times['scikit-learn']) / min(times['f2vbench']):.1f} times as fast; processor time "
        f"{min(processor['scikit-learn']) / min(processor['f2vbench']):.1f} times less; equal positions {same:.4%}"
    )
    relevant = RaggedArray.from_rows([np.array([position + count // 2]) for position in range(asked)])
    started = time.perf_counter()
    rank_relevant(queries, gallery, relevant, content[:asked], content)
    print(f"ranks of one relevant image a query in the whole order: {time.perf_counter() - started:.2f} s")


def million(width: int, asked: int, folder: Path, count: int = 1_000_000, step: int = 20_000) -> None:
    with tempfile.TemporaryDirectory(dir=folder) as place:
        file = Path(place) / "gallery.npy"
        written = np.lib.format.open_memmap(file, "w+", np.float32, (count, width))
        for number, start in enumerate(range(0, count, step)):
            written[start : start + step] = unit_vectors(min(step, count - start), width, number)
        written.flush()
        del written
        gallery = np.load(file, mmap_mode="r")
        content = np.arange(count)
        queries = np.ascontiguousarray(gallery[:asked])
        peak = [0]
        stop = threading.Event()

        def watch() -> None:
            while not stop.wait(0.05):
                peak[0] = max(peak[0], resident("RssAnon"))

        watcher = threading.Thread(target=watch)
        watcher.start()
        started = time.perf_counter()
        found, _ = find_nearest(queries, gallery, K, content[:asked], content)
        took = time.perf_counter() - started
        stop.set()
        watcher.join()
    size = count * width * 4 / 2**30
    print(
        f"{count:,} × {width} ({size:.2f} GiB), {asked:,} queries: {took:.1f} s; own memory at most "
        f"{peak[0] / 2**20:.2f} GiB, with pages of the file {resident('VmHWM') / 2**20:.2f} GiB; "
        f"{(found >= 0).all() and 'all found'}"
    )


def resident(field: str) -> int:
    """KiB of this process, of /proc/self/status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


if __name__ == "__main__":
    words = dict(word.partition("=")[::2] for word in sys.argv[1:])
    width, asked = int(words.get("width", 1024)), int(words.get("queries", 1000))
    print(f"threads: {os.environ.get('OMP_NUM_THREADS', 'all')}, of {os.cpu_count()} cores")
    if "million" in words:
        million(width, asked, Path(words.get("folder", tempfile.gettempdir())))
    else:
        against_scikit_learn(int(words.get("count", 100_000)), width, asked, int(words.get("rounds", 3)))
