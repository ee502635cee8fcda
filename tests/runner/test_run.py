"""Whole runs: the same results for any number of workers, shards and kills; what is stored; what is refused."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score

from f2vbench import Benchmark, Results
from f2vbench.cli.main import main
from f2vbench.data.square_crop import SquareView
from f2vbench.encoders.global_generator import global_generator
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.errors import F2VBenchError, SettingsError, StoreError
from f2vbench.store.score_maps import decode
from f2vbench.utils.progress import Silent
from tests.helpers.eyes import write_eyes

TINY = {
    "task": "folder",
    "model": ["timm:test_resnet:untrained"],
    "baselines": ["tophat", "green", "scratch"],
    "shots": [1, 2],
    "seeds": 2,
    "image_size": 64,
    "augment": "none",
    "steps": 3,
    "batch_size": 2,
    "decoder": {"crop": 32},
    "scratch": {"steps": 2, "batch_size": 2},
    "jobs": 1,
}
WORDS = [
    "task=folder",
    "model=timm:test_resnet:untrained",
    "baselines=tophat,green,scratch",
    "shots=1,2",
    "seeds=2",
    "image_size=64",
    "augment=none",
    "steps=3",
    "batch_size=2",
    "decoder.crop=32",
    "scratch.steps=2",
    "scratch.batch_size=2",
]


@pytest.fixture(scope="module")
def eyes(tmp_path_factory) -> Path:
    return write_eyes(tmp_path_factory.mktemp("eyes"), 6)


@pytest.fixture(scope="module")
def reference(eyes, tmp_path_factory) -> Path:
    """A folder with the run folder and the cache of one quiet run in one process: the reference for all others."""
    folder = tmp_path_factory.mktemp("reference")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("F2VBENCH_CACHE", str(folder / "cache"))
        Benchmark(data=str(eyes), out=folder / "run", **TINY).run(Silent())
    return folder


@pytest.fixture(scope="module")
def undisturbed(reference) -> dict[str, bytes]:
    return content(reference / "run")


@pytest.fixture
def finished(reference, tmp_path) -> Path:
    """A copy of the finished run, with its cache in use."""
    shutil.copytree(reference / "run", tmp_path / "run")
    shutil.copytree(reference / "cache", tmp_path / "cache")
    return tmp_path / "run"


class Told(Silent):
    """Progress that keeps its notes."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def content(out: Path) -> dict[str, bytes]:
    """The results of a run byte by byte: the tidy table, every score map, and every record but for its timing."""
    held = {"results.csv": (out / "results.csv").read_bytes()}
    held |= {path.name: path.read_bytes() for path in (out / "maps").rglob("*.png")}
    for path in (out / "units").glob("*.json"):
        record = json.loads(path.read_bytes())["payload"]
        kept = {key: record[key] for key in ("unit", "fingerprint", "identity", "result", "weights", "floor")}
        held[path.name] = json.dumps(kept).encode()
    return held


def call(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    start = [sys.executable, "-m", "f2vbench", *words]
    return subprocess.run(start, capture_output=True, text=True, env={**os.environ, **(env or {})}, timeout=300)


def test_two_workers_give_the_same_to_the_last_bit(eyes, undisturbed, tmp_path):
    Benchmark(data=str(eyes), out=tmp_path / "run", **{**TINY, "jobs": 2}).run(Silent())
    assert content(tmp_path / "run") == undisturbed


def test_a_script_without_a_main_guard_can_use_workers(eyes, tmp_path):
    words = {
        **TINY,
        "model": "tophat",
        "baselines": ["green"],
        "jobs": 2,
        "data": str(eyes),
        "out": str(tmp_path / "run"),
    }
    script = tmp_path / "script.py"
    script.write_text(f"from f2vbench import Benchmark\nprint(len(Benchmark(**{words!r}).run().frame))\n")
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == 8 * 24


def test_two_shards_in_the_other_order_give_the_same(eyes, undisturbed, tmp_path):
    for shard in ("2/2", "1/2"):
        Benchmark(data=str(eyes), out=tmp_path / "run", shard=shard, **TINY).run(Silent())
    assert content(tmp_path / "run") == undisturbed


def test_two_processes_may_write_to_one_folder(eyes, undisturbed, tmp_path):
    words = [sys.executable, "-m", "f2vbench", "run", *WORDS, f"data={eyes}", f"out={tmp_path / 'run'}", "jobs=1"]
    both = [subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(300) for process in both] == [0, 0]
    Benchmark(data=str(eyes), out=tmp_path / "run", **TINY).run()
    assert content(tmp_path / "run") == undisturbed


def test_kills_at_random_moments_lose_nothing(eyes, undisturbed, tmp_path):
    """kill -9 of the whole run again and again; what comes out at last is byte for byte the undisturbed result."""
    out, moments = tmp_path / "run", random.Random(0)
    # Fresh processes that have the libraries imported already, so that the kills fall into the work.
    start = multiprocessing.get_context("forkserver")
    start.set_forkserver_preload(["f2vbench.cli.main", "f2vbench.benchmark", "f2vbench.adapters.trained_segmenters"])
    units: list[int] = []
    for number in range(5):
        words = ["run", *WORDS, f"data={eyes}", f"out={out}", f"jobs={2 if number == 3 else 1}"]
        process = start.Process(target=main, args=(words,))
        process.start()
        ends = time.monotonic() + 60
        while process.is_alive() and time.monotonic() < ends and len(list(out.glob("units/*.json"))) < number:
            time.sleep(0.005)
        time.sleep(moments.uniform(0, 0.3))
        process.kill()
        process.join()
        units.append(len(list(out.glob("units/*.json"))))
    assert units == sorted(units), "a finished unit was lost"
    assert units[0] < units[-1], "nothing was done between the kills"
    assert sum(count < 16 for count in units) >= 4, f"the kills came too late to interrupt anything: {units}"
    ends = time.monotonic() + 60
    while len(list(out.glob("units/*.json"))) < 16 and time.monotonic() < ends:
        Benchmark(data=str(eyes), out=out, **TINY).run(Silent())  # workers of the last killed run may hold a unit still
    assert content(out) == undisturbed


def test_ctrl_c_stops_cleanly_and_says_how_to_go_on(eyes, tmp_path):
    words = [sys.executable, "-m", "f2vbench", "run", *WORDS, f"data={eyes}", f"out={tmp_path / 'run'}", "jobs=2"]
    process = subprocess.Popen(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell's background jobs ignore the signal, and so would all that they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not list(tmp_path.glob("run/units/*.json")) and process.poll() is None:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "the same command continues from there" in told
    assert "Traceback" not in told


def test_a_second_look_does_nothing_and_needs_no_torch(eyes, finished):
    words = [*WORDS, f"data={eyes}", f"out={finished}"]
    before = {path: path.stat().st_mtime_ns for path in (finished / "units").iterdir()}
    code = (
        "import sys; from f2vbench.cli.main import main\n"
        "assert main(sys.argv[1:]) == 0; assert 'torch' not in sys.modules"
    )
    for verb, rest in (("run", words), ("plan", words), ("report", [f"run={finished}"])):
        done = subprocess.run([sys.executable, "-c", code, verb, *rest], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert {path: path.stat().st_mtime_ns for path in (finished / "units").iterdir()} == before


@pytest.mark.parametrize("part", ["units", "maps"])
def test_a_damaged_file_is_set_aside_and_redone(eyes, undisturbed, finished, part):
    bench = Benchmark(data=str(eyes), out=finished, **TINY)
    victim = sorted((finished / part).rglob("*.*"))[0]
    victim.write_bytes(victim.read_bytes()[:-20])
    assert bench.plan().missing.sum() >= 1
    bench.run(Silent())
    assert content(finished) == undisturbed
    assert list((finished / "set-aside").iterdir())


def test_damaged_features_are_made_again(eyes, undisturbed, finished, tmp_path):
    for path in (tmp_path / "cache" / "features").rglob("*.features"):
        path.write_bytes(path.read_bytes()[:-9])
    told = Told()
    Benchmark(data=str(eyes), out=tmp_path / "again", **TINY).run(told)
    assert content(tmp_path / "again") == undisturbed
    assert any("set aside" in note for note in told.notes)


def test_results_are_tidy_and_episodes_are_the_same_for_all_encoders(finished):
    results = Results.load(finished)
    frame = results.frame
    asked = ["encoder", "weights", "task", "protocol", "shots", "seed", "metric", "value", "unit"]
    assert set(asked) <= set(frame.columns)
    assert not frame.duplicated(["encoder", "shots", "seed", "metric"]).any()
    assert set(frame.weights[frame.encoder == "timm:test_resnet:untrained"]) == {"untrained"}
    assert any("untrained" in note for note in results.notes)
    episodes: dict[tuple, set] = {}
    for path in (finished / "units").glob("*.json"):
        record = json.loads(path.read_bytes())["payload"]
        place = (record["unit"]["shots"], record["unit"]["seed"])
        episode = record["result"]["episode"]
        episodes.setdefault(place, set()).add(json.dumps(episode))
        assert not set(episode["support"]) & set(episode["test"])
        assert len(episode["support"]) == record["unit"]["shots"]
        assert {"software", "machine", "device", "threads"} <= set(record["provenance"])
    assert all(len(drawn) == 1 for drawn in episodes.values())
    assert len({next(iter(drawn)) for drawn in episodes.values()}) == len(episodes)


def test_summary_and_comparison_follow_from_the_frame(finished):
    results = Results.load(finished)
    rows = results.frame[(results.frame.metric == "auroc") & (results.frame.shots == 1)]
    summary = results.summary(["auroc"]).query("shots == 1").set_index("encoder")
    for encoder, group in rows.groupby("encoder"):
        assert summary.loc[encoder, "mean"] == pytest.approx(group.value.mean())
        assert summary.loc[encoder, "sd"] == pytest.approx(group.value.std())
    found = results.compare("scratch", ["auroc"]).query("shots == 1").iloc[0]
    means = rows.groupby("encoder").value.mean().drop("scratch")
    assert found.best_other == means.idxmax()
    assert found.difference == pytest.approx(summary.loc["scratch", "mean"] - means.max())
    with pytest.raises(StoreError, match="did you mean 'scratch'"):
        results.compare("scrath")


def test_metrics_can_be_computed_again_from_what_is_stored(eyes, finished):
    """The stored score maps alone, with scikit-learn, give the recorded AUROC."""
    path = next(path for path in sorted((finished / "units").glob("timm*.json")))
    result = json.loads(path.read_bytes())["payload"]["result"]
    for image, held in result["maps"].items():
        png = (finished / "maps" / held["sha256"][:2] / f"{held['sha256']}.png").read_bytes()
        scores = SquareView(**held["view"]).restore(decode(png, held))
        fov, vessels = (np.array(Image.open(eyes / part / f"{image}.png")) > 0 for part in ("fov", "masks"))
        expected = roc_auc_score(vessels[fov], scores[fov])
        assert result["per_image"][image]["auroc"] == pytest.approx(expected, abs=1e-12)


def test_zero_shot_and_supervised_run_and_say_what_is_left_out(eyes, tmp_path):
    checkpoint = tmp_path / "venous.safetensors"
    state = global_generator(GeneratorShape(6, 3, 4)).state_dict()
    save_file({f"model.{key}": tensor for key, tensor in state.items()}, checkpoint)  # the official key layout
    model = [f"fundus2video:{checkpoint}", "timm:test_resnet:untrained"]
    words = {**TINY, "model": model, "shots": [0], "protocol": ["zero-shot", "supervised"], "seeds": 1}
    bench = Benchmark(data=str(eyes), out=tmp_path / "run", **words)
    assert {line.split(" · ")[0] for line in bench.make_plan().left_out} == {"timm:test_resnet:untrained", "scratch"}
    frame = bench.run(Silent()).frame
    zero = frame[frame.protocol == "zero-shot"]
    assert set(zero.encoder) == {"fundus2video:venous", "tophat", "green"}
    dice = zero[zero.metric == "dice"].set_index("encoder")
    assert dice.value.notna()["fundus2video:venous"]
    assert dice.loc[["tophat", "green"]].reason.str.contains("no support set").all()
    learned = {"fundus2video:venous", "timm:test_resnet:untrained", "tophat", "green", "scratch"}
    assert set(frame[frame.protocol == "supervised"].encoder) == learned
    assert any("venous frames" in note for note in bench.make_plan().notes)
    assert frame[frame.encoder == "fundus2video:venous"].weights.str.match(r"venous.safetensors@[0-9a-f]{8}").all()


def test_other_settings_or_data_may_not_share_a_folder(eyes, finished, tmp_path):
    with pytest.raises(StoreError, match=r"steps \(stored: 3, now: 4\)"):
        Benchmark(data=str(eyes), out=finished, **{**TINY, "steps": 4}).run()
    other = write_eyes(tmp_path / "other", 7)
    with pytest.raises(StoreError, match="images or labels of folder"):
        Benchmark(data=str(other), out=finished, **TINY).run()
    more = Benchmark(data=str(eyes), out=finished, **{**TINY, "seeds": 3}).plan()
    assert more.done.sum() == 16
    assert more.missing.sum() == 8


def test_weights_that_changed_behind_a_name_are_noticed(eyes, finished, monkeypatch):
    from f2vbench.encoders import base

    monkeypatch.setattr(base.Encoder, "state_sha256", lambda self: "f" * 64)
    with pytest.raises(StoreError, match="are not those of its earlier units"):
        Benchmark(data=str(eyes), out=finished, **{**TINY, "seeds": 3}).run(Silent())


def test_a_full_disk_is_told_and_what_was_finished_is_kept(eyes, undisturbed, tmp_path):
    """The system refuses files of more than 9,000 bytes; then there is room again."""
    code = (
        "import resource, sys; from f2vbench.cli.main import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "raise SystemExit(main(sys.argv[2:]))"
    )
    words = ["run", *WORDS, f"data={eyes}", f"out={tmp_path / 'run'}", "jobs=1"]
    failed = subprocess.run([sys.executable, "-c", code, "9000", *words], capture_output=True, text=True)
    assert failed.returncode == 2, failed.stderr
    assert "can't be written (File too large)" in failed.stderr
    assert "Traceback" not in failed.stderr
    assert not list(tmp_path.rglob("*.part"))
    assert call(*words).returncode == 0
    assert content(tmp_path / "run") == undisturbed


BAD = [
    (["task=rit"], "did you mean 'rite'"),
    (["task=rite"], "AV_groundTruth"),
    (["model=fundus2vido:untrained"], "did you mean 'fundus2video'"),
    (["model=timm:resnet81:untrained"], "resnet18"),
    (["model=fundus2video:"], "nothing follows the colon"),
    (["model=fundus2video:nowhere.pth"], "there is no weights file"),
    (["baselines=tophot"], "did you mean 'tophat'"),
    (["shots=three"], "shots"),
    (["shot=1"], "did you mean 'shots'"),
    (["shots=40"], "shots=40"),
    (["data=/nowhere/at/all"], "/nowhere/at/all"),
    (["device=cuda:7", "model=timm:test_resnet:untrained"], "cuda:7"),
]


@pytest.mark.parametrize(("words", "message"), BAD, ids=[" ".join(words) for words, _ in BAD])
def test_bad_input_is_told_and_nothing_is_written(eyes, tmp_path, capsys, words, message):
    given = {word.partition("=")[0] for word in words}
    data = [] if "task=rite" in words or "data" in given else [f"data={eyes}"]
    base = [word for word in WORDS if word.partition("=")[0] not in given]
    assert main(["run", *base, *words, *data, f"out={tmp_path / 'run'}", "jobs=1"]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("run/units/*.json"))


class Runs:
    """Pickled, this would make a file when it is loaded."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_bad_checkpoints_are_told_by_file_and_nothing_in_them_is_run(eyes, tmp_path, capsys):
    whole = {"a": torch.zeros(2)}
    for name in ("truncated", "another", "evil"):
        torch.save({**whole, "b": Runs(tmp_path / "executed")} if name == "evil" else whole, tmp_path / f"{name}.pth")
    truncated = tmp_path / "truncated.pth"
    truncated.write_bytes(truncated.read_bytes()[:300])
    base = [word for word in WORDS if not word.startswith(("model", "baselines"))]
    for name, message in (("truncated", "truncated.pth"), ("another", "another architecture"), ("evil", "refused")):
        words = [f"weights={tmp_path / name}.pth", "model=fundus2video", "baselines=none", f"data={eyes}", "jobs=1"]
        assert main(["run", *base, *words, f"out={tmp_path / name}"]) == 2
        told = capsys.readouterr().err
        assert message in told
        assert f"{name}.pth" in told
    assert not (tmp_path / "executed").exists()


def test_all_problems_of_a_run_are_told_at_once(eyes):
    with pytest.raises(SettingsError) as caught:
        Benchmark(
            task=["rit", "folder"], model="fundus2vido:untrained", baselines="tophot", data={"folder": str(eyes)}
        ).plan()
    assert len(caught.value.problems) == 3


def test_bad_images_and_an_unwritable_folder_are_refused(eyes, tmp_path):
    broken = write_eyes(tmp_path / "broken", 6)
    image = broken / "images" / "eye03.png"
    image.write_bytes(image.read_bytes()[:200])
    with pytest.raises(F2VBenchError, match="eye03"):
        Benchmark(data=str(broken), out=tmp_path / "run", **TINY).run()
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="can't create"):
        Benchmark(data=str(eyes), out=tmp_path / "file", **TINY).run()


def test_the_programmatic_plan_counts_units(eyes, tmp_path):
    table = Benchmark(data=str(eyes), out=tmp_path / "run", **TINY).plan()
    assert table.units.sum() == 16
    assert table.done.sum() == 0
    assert list(table.columns) == ["model", "task", "protocol", "shots", "units", "done", "missing"]
