"""Embeddings from files: imported by image id, run like a model without torch, and exported again."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from f2vbench import Benchmark
from f2vbench.cli.main import main
from f2vbench.data.embedding_files import Embeddings, read_embeddings, write_embeddings
from f2vbench.encoders.loading import load_encoder
from f2vbench.encoders.model_argument import parse_model
from f2vbench.errors import DataError, SettingsError
from f2vbench.utils.progress import Silent
from tests.helpers.stored_features import stored_entries

CARD = (
    "name: {name}\ntitle: Tiny\nfamily: {family}\nlayout: {layout}\nsplit: random\ntest_fraction: 0.5\n"
    "labels: drawn\nsource: simulated\nterms: none\ncitation: none\nobtain: simulate\n"
)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Folder with 24 images of two classes and twelve patients, and cards of two tasks."""
    folder = tmp_path_factory.mktemp("imported")
    (folder / "tasks").mkdir()
    (folder / "images").mkdir()
    (folder / "tasks" / "tiny.yaml").write_text(
        CARD.format(name="tiny", family="classification", layout="table")
        + "label_kind: binary\nclasses: [{name: well, meaning: healthy}, {name: sick, meaning: disease}]\n"
        "options: {table: labels.csv, image: image, label: label, patient: patient}\n"
    )
    (folder / "tasks" / "pairs.yaml").write_text(
        CARD.format(name="pairs", family="retrieval", layout="retrieval_table")
    )
    draw, rows = np.random.default_rng(0), []
    for number in range(24):
        pixels = draw.integers(0, 255, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"i{number:02}.png")
        rows.append((f"images/i{number:02}.png", f"p{number // 2}", "CF", ("sick", "well")[number // 2 % 2]))
    table = pd.DataFrame(rows, columns=["image", "patient", "modality", "label"])
    table.to_csv(folder / "labels.csv", index=False)
    table.drop(columns="label").to_csv(folder / "retrieval.csv", index=False)
    return folder


@pytest.fixture(autouse=True)
def _cards(images, monkeypatch):
    monkeypatch.setenv("F2VBENCH_PATH", str(images))


def ids() -> list[str]:
    return [f"images_i{number:02}" for number in range(24)]


def vectors() -> np.ndarray:
    """The first number separates the classes."""
    draw = np.random.default_rng(1).normal(size=(24, 6)).astype(np.float32)
    draw[:, 0] += np.array([number // 2 % 2 * 9 for number in range(24)])
    return draw


def save(path, names=None, values=None):
    np.savez(path, ids=np.array(ids() if names is None else names), x=vectors() if values is None else values)
    return path


def command(images, *arguments: str) -> list[str]:
    return ["cache", *arguments, f"data={images}"]


def test_imported_embeddings_are_a_model_of_classification_and_retrieval(images, tmp_path, capsys):
    file = save(tmp_path / "mine.npz")
    assert main(command(images, "import", str(file), "name=mine", "task=tiny")) == 0
    text = capsys.readouterr().out
    assert "24 vectors of width 6 imported as model=embeddings:mine" in text
    assert f"f2vbench run task=tiny model=embeddings:mine data={images}" in text
    assert len(stored_entries()) == 24
    arguments = {"model": "embeddings:mine", "baselines": ["none"], "seeds": 2, "jobs": 1, "data": str(images)}
    results = Benchmark(task="tiny", shots=[2], protocol="knn", out=tmp_path / "run", **arguments).run(Silent())
    assert set(results.frame.encoder) == {"embeddings:mine"}
    assert (results.frame[results.frame.metric == "accuracy"].value == 1).all()
    identity = results.records[0]["identity"]["model"]
    assert identity["embeddings_sha256"] == parse_model("embeddings:mine").content
    pairs = Benchmark(task="pairs", out=tmp_path / "pairs", **arguments).run(Silent())  # the same photographs
    assert "recall@1" in set(pairs.frame.metric)
    assert len(stored_entries()) == 24


def test_damaged_vectors_are_named_by_the_plan(images, tmp_path):
    assert main(command(images, "import", str(save(tmp_path / "mine.npz")), "name=mine", "task=tiny")) == 0
    for path in (tmp_path / "cache" / "features").rglob("*.safetensors"):
        path.write_bytes(path.read_bytes()[:-9])
    run = Benchmark(
        task="tiny",
        shots=[2],
        protocol="knn",
        out=tmp_path / "run",
        model="embeddings:mine",
        baselines=["none"],
        data=str(images),
    )
    with pytest.raises(DataError, match=r"damaged shard of features set aside.*cache import <file> name=mine") as error:
        run.make_plan()
    assert "24 of 24 images have no imported vector" in str(error.value)


def test_a_run_with_imported_embeddings_imports_no_torch(images, tmp_path):
    file = save(tmp_path / "mine.npz")
    code = (
        "import sys; from f2vbench.cli.main import main\n"
        f"assert main(['cache', 'import', {str(file)!r}, 'name=mine', 'task=tiny', {f'data={images}'!r}]) == 0\n"
        "words = 'task=tiny model=embeddings:mine baselines=none protocol=knn shots=2 jobs=1 seeds=1'.split()\n"
        f"assert main(['run', *words, {f'data={images}'!r}, {f'out={tmp_path}/run'!r}]) == 0\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_exported_embeddings_are_those_that_were_imported(images, tmp_path, capsys):
    assert main(command(images, "import", str(save(tmp_path / "mine.npz")), "name=mine", "task=tiny")) == 0
    for suffix in (".npz", ".parquet"):
        if suffix == ".parquet":
            pytest.importorskip("pyarrow")
        out = tmp_path / f"out{suffix}"
        assert main(command(images, "export", str(out), "model=embeddings:mine", "task=tiny")) == 0
        found = read_embeddings(out)
        assert found.ids == ids()
        np.testing.assert_array_equal(found.vectors, vectors())
        assert found.vectors.dtype == np.float32
    assert "24 embeddings of embeddings:mine" in capsys.readouterr().out
    (shard,) = (tmp_path / "cache" / "features").rglob("*.safetensors")
    content = shard.read_bytes()
    shard.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert main(command(images, "export", str(tmp_path / "rest.npz"), "model=embeddings:mine", "task=tiny")) == 0
    printed = capsys.readouterr()
    assert "features of 1 of 24 photographs set aside" in printed.err
    assert "not stored: 1 image" in printed.out
    assert main(command(images, "export", str(out), "model=embeddings:mine", "task=tiny")) == 2
    assert "exists; choose another name" in capsys.readouterr().err
    assert main(command(images, "export", str(tmp_path / "o.npz"), "task=tiny")) == 2
    assert "choose the features" in capsys.readouterr().err
    assert main(command(images, "export", str(tmp_path / "o.csv"), "model=embeddings:mine", "task=tiny")) == 2
    assert "suffix .npz or .parquet" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["list", "fixed list", "columns"])
def test_parquet_files_have_a_column_of_lists_or_one_for_each_number(tmp_path, kind):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    values = vectors().astype(np.float64)
    columns = {"image": ids()}
    if kind == "columns":
        columns |= {f"f{number}": values[:, number] for number in range(6)}
    else:
        fixed = pa.list_(pa.float64(), 6 if kind == "fixed list" else -1)
        columns["vector"] = pa.array(values.tolist(), fixed)
    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    found = read_embeddings(tmp_path / "a.parquet")
    assert found.ids == ids()
    np.testing.assert_array_equal(found.vectors, vectors())


@pytest.mark.parametrize(
    ("names", "change", "message"),
    [
        (ids()[:-1], None, "23 ids, but 24 vectors"),
        ([*ids()[:-1], "images_i00"], None, r"ids that occur more than once: 1 image \(images_i00\)"),
        ([*ids()[:-1], ""], None, "row 24 has an empty id"),
        (None, (3, np.nan), r"not finite .* 1 image \(images_i03\)"),
        (None, (4, np.inf), r"1 image \(images_i04\)"),
        (None, (5, 1e39), r"beyond float32 in the vectors of 1 image \(images_i05\)"),
    ],
)
def test_bad_rows_are_named(tmp_path, names, change, message):
    values = vectors().astype(np.float64)
    if change is not None:
        values[change[0], 2] = change[1]
    with pytest.raises(DataError, match=message):
        read_embeddings(save(tmp_path / "a.npz", names, values))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"ids": np.array(["a"]), "x": np.zeros((1, 0))}, "its vectors have no numbers"),
        ({"x": np.ones((2, 3))}, r"one array of ids.*its arrays are x \(2, 3\)"),
        ({"ids": np.array(["a"]), "x": np.ones((1, 3)), "y": np.ones((1, 3))}, "its arrays are"),
        ({"ids": np.array(["a"], object), "x": np.ones((1, 3))}, "save ids as text"),
        ({"ids": np.array([0.5]), "x": np.ones((1, 3))}, "ids are text or whole numbers"),
        ({"ids": np.array(["a"]), "x": np.array([["b"]])}, "vectors are numbers"),
        ({"ids": np.array([], str), "x": np.ones((0, 3))}, "it has no rows"),
    ],
)
def test_other_arrays_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(DataError, match=message):
        read_embeddings(tmp_path / "a.npz")


def test_ids_may_be_numbers_and_their_array_may_be_named(tmp_path):
    np.savez(tmp_path / "a.npz", number=np.arange(2), label=np.ones(2), x=np.ones((2, 3), np.float16))
    with pytest.raises(DataError, match="its arrays are"):
        read_embeddings(tmp_path / "a.npz")
    with pytest.raises(DataError, match="no array 'id'"):
        read_embeddings(tmp_path / "a.npz", "id")
    assert read_embeddings(tmp_path / "a.npz", "number").ids == ["0", "1"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"name": ["a"], "x": [1.0]}, "a column of ids is needed, named image or id"),
        ({"id": ["a"]}, "0 columns of lists and 0 of numbers"),
        ({"id": ["a"], "x": [[1.0]], "y": [2.0]}, "1 column of lists and 1 of numbers"),
        ({"id": ["a"], "x": [1.0], "y": ["b"]}, "columns that are no numbers: y"),
        ({"id": ["a", "b", "c"], "x": [[1.0, 2.0], [1.0], [3.0, 4.0]]}, r"length 2, but not those of 1 image \(b\)"),
        ({"id": ["a", "b"], "x": [[1.0, 2.0], None]}, r"not those of 1 image \(b\)"),
        ({"id": ["a", "b"], "x": [[1.0, None], [1.0, 2.0]]}, r"1 image \(a\)"),
        ({"id": ["a", "b"], "x": [1.0, None]}, r"1 image \(b\)"),
        ({"id": ["a"], "x": [["b"]]}, "vectors are numbers"),
        ({"id": [None], "x": [1.0]}, "row 1 has an empty id"),
    ],
)
def test_other_columns_are_refused(tmp_path, columns, message):
    pa = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=message):
        read_embeddings(tmp_path / "a.parquet")


@pytest.mark.parametrize(
    ("name", "content"), [("a.npz", b"half"), ("a.npz", b""), ("a.parquet", b"half"), ("a.csv", b"")]
)
def test_unreadable_files_are_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name}"):
        read_embeddings(tmp_path / name)
    with pytest.raises(DataError, match=r"no such file|suffix"):
        read_embeddings(tmp_path / "nowhere" / name)
    with pytest.raises(DataError, match="suffix"):
        write_embeddings(tmp_path / "a.txt", Embeddings(["a"], np.ones((1, 2), np.float32)))


def test_missing_and_unknown_ids_are_named(images, tmp_path, capsys):
    short = save(tmp_path / "short.npz", ids()[2:], vectors()[2:])
    assert main(command(images, "import", str(short), "name=mine", "task=tiny")) == 2
    assert "no vector for 2 of 24 images of tiny (images_i00, images_i01)" in capsys.readouterr().err
    longer = save(tmp_path / "long.npz", [*ids(), "other"], np.vstack([vectors(), vectors()[:1]]))
    assert main(command(images, "import", str(longer), "name=mine", "task=tiny")) == 2
    assert "1 id that tiny does not have (other)" in capsys.readouterr().err
    assert not stored_entries()
    assert main(command(images, "import", str(longer), "name=mine", "task=tiny", "unknown=leave-out")) == 0
    assert "1 row left out" in capsys.readouterr().out
    assert main(["cache", "import", str(longer), "name=m", "task=tiny,pairs", f"data.tiny={images}",
                 f"data.pairs={images}", "unknown=leave-out"]) == 2  # fmt: skip
    assert "pairs and tiny have the same ids" in capsys.readouterr().err


def test_a_name_keeps_its_file(images, tmp_path, capsys):
    one, two = save(tmp_path / "one.npz"), save(tmp_path / "two.npz", values=vectors() + 1)
    assert main(command(images, "import", str(one), "name=mine", "task=tiny")) == 0
    assert main(command(images, "import", str(one), "name=mine", "task=pairs")) == 0
    first = parse_model("embeddings:mine")
    assert main(command(images, "import", str(two), "name=mine", "task=tiny")) == 2
    assert "were imported from one.npz" in capsys.readouterr().err
    assert parse_model("embeddings:mine") == first
    assert main(command(images, "import", str(two), "name=mine", "task=tiny", "replace=yes")) == 0
    assert parse_model("embeddings:mine").identity() != first.identity()
    assert main(command(images, "import", str(one), "name=a/b", "task=tiny")) == 2
    assert "name=a/b" in capsys.readouterr().err


def test_a_run_says_which_images_have_no_vector(images, tmp_path):
    from f2vbench.cli.cache import prune
    from f2vbench.cli.cache_settings import PruneSettings

    assert main(command(images, "import", str(save(tmp_path / "mine.npz")), "name=mine", "task=tiny")) == 0
    prune(PruneSettings(model="embeddings", delete=True))
    with pytest.raises(DataError, match=r"24 of 24 images have no imported vector \(images_i00, .*cache import"):
        Benchmark(task="tiny", model="embeddings:mine", baselines="none", data=str(images), out=tmp_path).plan()
    with pytest.raises(SettingsError, match="has the embeddings of the imported photographs of tiny only"):
        load_encoder("embeddings:mine")
    with pytest.raises(SettingsError, match=r"embeddings:mind: no embeddings .* there are mine; did you mean 'mine'"):
        parse_model("embeddings:mind")
    with pytest.raises(SettingsError, match="cache import"):
        parse_model("embeddings")
