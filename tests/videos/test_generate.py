"""`f2vbench generate`: the frames are the model's, results are whole, resumed, and never laid over something else."""

from __future__ import annotations

import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from f2vbench.cli.main import main
from f2vbench.config.parsing import build, parse
from f2vbench.data.field_of_view import field_of_view
from f2vbench.data.square_crop import SquareView
from f2vbench.encoders.global_generator import global_generator, initialise, roll_out
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.errors import DataError, SettingsError, StoreError
from f2vbench.utils.files import write_atomically
from f2vbench.videos import outputs
from f2vbench.videos.generate import Generated, generate
from f2vbench.videos.settings import GenerateSettings
from f2vbench.videos.strip import TILE, StripText, strip
from tests.helpers.eyes import eye

SIZE = 64


def _weights(path: Path, shape: GeneratorShape, seed: int = 3) -> Path:
    generator = global_generator(shape)
    initialise(generator, seed)
    save_file({f"model.{key}": tensor for key, tensor in generator.state_dict().items()}, path)
    return path


@pytest.fixture(scope="module")
def video_model(tmp_path_factory) -> str:
    return f"fundus2video:{_weights(tmp_path_factory.mktemp('w') / 'tiny.safetensors', GeneratorShape(6, 3, 2))}"


@pytest.fixture(scope="module")
def frame_model(tmp_path_factory) -> str:
    return f"fundus2fa:{_weights(tmp_path_factory.mktemp('w') / 'one.safetensors', GeneratorShape(3, 1, 2))}"


@pytest.fixture
def photographs(tmp_path) -> Path:
    """Three photographs, wider than high."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(3):
        pixels = np.pad(eye(number)[0], ((0, 0), (20, 11), (0, 0)))
        Image.fromarray(pixels).save(folder / f"eye{number}.png")
    return folder


def make(image, out, model, **changes) -> Generated:
    usual = {"size": SIZE, "device": "cpu"}
    return generate(build(GenerateSettings, {"image": image, "out": out, "model": model, **usual, **changes}))


def grey(file: Path) -> np.ndarray:
    image = Image.open(file)
    assert image.mode == "L"
    return np.array(image)


def expected_frames(photograph: Path, model: str) -> tuple[np.ndarray, SquareView, np.ndarray]:
    """What the generator makes of the masked square, by its own modules; (12, s, s) in [0, 1]."""
    rgb = np.array(Image.open(photograph))
    inside = field_of_view(rgb)
    view = SquareView.around(inside)
    field = view.crop(inside, SIZE)
    shown = view.crop(np.where(inside[..., None], rgb, 0).astype(np.uint8), SIZE) * field[..., None]
    generator = global_generator(GeneratorShape(6, 3, 2))
    initialise(generator, 3)
    x = torch.from_numpy(shown.transpose(2, 0, 1)[None] / np.float32(127.5) - 1).float()
    with torch.no_grad():
        made = (roll_out(generator.eval(), x, 12) + 1) / 2
    return made[0].numpy() * field, view, inside


def test_frames_are_those_of_the_generator_and_black_outside_the_field(photographs, tmp_path, video_model):
    photograph = photographs / "eye0.png"
    done = make(photograph, tmp_path / "frames", video_model)
    assert done.made == (tmp_path / "frames",)
    files = sorted((tmp_path / "frames").iterdir())
    assert [file.name for file in files] == [f"{number:02d}.png" for number in range(1, 13)]
    expected, _, _ = expected_frames(photograph, video_model)
    made = np.stack([grey(file) for file in files])
    assert np.abs(made - 255 * expected).max() <= 0.51
    assert (made[:, 0, 0] == 0).all()
    assert made.max() > 60


def test_restored_frames_lie_on_the_photographs_own_pixels(photographs, tmp_path, video_model):
    photograph = photographs / "eye1.png"
    make(photograph, tmp_path / "restored", video_model, restore=True)
    frames, view, inside = expected_frames(photograph, video_model)
    made = np.stack([grey(file) for file in sorted((tmp_path / "restored").iterdir())])
    assert made.shape == (12, 96, 127)
    assert (made[:, ~inside] == 0).all()
    deep = cv2.erode(inside.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0  # away from the blend with black
    apart = np.abs(made[5].astype(float) - 255 * view.restore(frames[5]))[deep]
    assert apart.max() <= 1.01  # frames are rounded to grey levels before and after


def test_gif_and_mp4_hold_what_the_folder_of_frames_holds(photographs, tmp_path, video_model):
    photograph = photographs / "eye0.png"
    for out in ("frames", "video.gif", "video.mp4"):
        make(photograph, tmp_path / out, video_model, fps=2)
    frames = [grey(file) for file in sorted((tmp_path / "frames").iterdir())]
    gif = Image.open(tmp_path / "video.gif")
    assert gif.n_frames == 12
    for number, frame in enumerate(frames):
        gif.seek(number)
        assert (np.array(gif.convert("L")) == frame).all()
    reader = cv2.VideoCapture(str(tmp_path / "video.mp4"))
    for frame in frames:
        read, picture = reader.read()
        assert read
        assert np.abs(picture[..., 1].astype(int) - frame).mean() < 6
    assert not reader.read()[0]


def test_the_record_names_model_weights_settings_and_files(photographs, tmp_path, video_model):
    make(photographs / "eye0.png", tmp_path / "a.gif", video_model, fps=4)
    record = json.loads((tmp_path / "a.gif.json").read_text())
    request = record["request"]
    assert (request["model"], request["size"], request["frames"], request["fps"]) == ("fundus2video:tiny", SIZE, 12, 4)
    assert len(request["weights_sha256"]) == 64
    assert set(record["files"]) == {"a.gif", "a-strip.png"}
    assert record["photograph"] == "eye0.png"
    assert "software" in record
    comment = Image.open(tmp_path / "a.gif").info["comment"].decode()
    assert "Generated by fundus2video:tiny" in comment
    assert request["weights_sha256"][:8] in comment


def test_a_folder_gives_a_result_a_photograph_and_goes_on(photographs, tmp_path, video_model, monkeypatch):
    out = tmp_path / "made"
    written = []

    def stop_in_the_second(path, content, **options):
        written.append(path)
        if path.name == "05.png" and path.parent.name == "eye1":
            raise KeyboardInterrupt
        write_atomically(path, content, **options)

    monkeypatch.setattr(outputs, "write_atomically", stop_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        make(photographs, out, video_model)
    monkeypatch.undo()
    before = (out / "eye0" / "01.png").stat().st_mtime_ns
    done = make(photographs, out, video_model)
    assert [path.name for path in done.kept] == ["eye0"]
    assert [path.name for path in done.made] == ["eye1", "eye2"]
    assert (out / "eye0" / "01.png").stat().st_mtime_ns == before
    assert all(len(list((out / f"eye{number}").iterdir())) == 12 for number in range(3))
    assert sorted(path.name for path in out.glob("*.png")) == [f"eye{number}-strip.png" for number in range(3)]
    assert len(make(photographs, out, video_model).kept) == 3
    whole = (out / "eye2" / "03.png").read_bytes()
    (out / "eye2" / "03.png").write_bytes(whole[:-9])  # a damaged frame is made again
    assert [path.name for path in make(photographs, out, video_model).made] == ["eye2"]
    assert (out / "eye2" / "03.png").read_bytes() == whole


def test_unreadable_photographs_are_told_after_the_good_ones_are_done(photographs, tmp_path, video_model):
    (photographs / "broken.jpg").write_bytes(b"\xff\xd8nothing")
    (photographs / "empty.png").write_bytes(b"")
    with pytest.raises(DataError) as error:
        make(photographs, tmp_path / "made", video_model, format="gif")
    assert [Path(problem.partition(":")[0]).name for problem in error.value.problems] == ["broken.jpg", "empty.png"]
    assert sorted(path.name for path in (tmp_path / "made").glob("*.gif")) == ["eye0.gif", "eye1.gif", "eye2.gif"]


def test_what_was_made_otherwise_is_kept_unless_overwrite_is_said(photographs, tmp_path, video_model):
    photograph, out = photographs / "eye0.png", tmp_path / "frames"
    make(photograph, out, video_model)
    with pytest.raises(StoreError, match="frames 12, now 5"):
        make(photograph, out, video_model, frames=5)
    twelve = [file.read_bytes() for file in sorted(out.iterdir())]
    make(photograph, out, video_model, frames=5, overwrite=True)
    assert [file.read_bytes() for file in sorted(out.iterdir())] == twelve[:5]


def test_what_is_not_ours_is_never_touched(photographs, tmp_path, video_model):
    photograph = photographs / "eye0.png"
    strange = {"a.gif": tmp_path / "a.gif", "b-strip.png": tmp_path / "b.gif", "c/notes.txt": tmp_path / "c"}
    for name, out in strange.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
        for overwrite in (False, True):
            with pytest.raises(StoreError, match="not made by f2vbench generate"):
                make(photograph, out, video_model, overwrite=overwrite)
        assert (tmp_path / name).read_text() == "mine"
    with pytest.raises(StoreError, match="is a file"):
        make(photograph, tmp_path / "a.gif" / "b.gif", video_model)
    with pytest.raises(StoreError, match="among the photographs"):
        make(photographs, photographs, video_model, format="gif")


def test_models_of_one_frame_give_a_png(photographs, tmp_path, frame_model):
    make(photographs / "eye0.png", tmp_path / "one.png", frame_model)
    assert grey(tmp_path / "one.png").shape == (SIZE, SIZE)
    assert (tmp_path / "one-strip.png").is_file()
    done = make(photographs, tmp_path / "made", frame_model)
    assert [path.name for path in done.made] == ["eye0.png", "eye1.png", "eye2.png"]
    for out in ("one.gif", "one.mp4"):
        with pytest.raises(SettingsError, match=r"one frame, which is no .* ask for \.png"):
            make(photographs / "eye0.png", tmp_path / out, frame_model)
    with pytest.raises(SettingsError, match="frames=3: fundus2fa makes one"):
        make(photographs / "eye0.png", tmp_path / "one.png", frame_model, frames=3)


@pytest.mark.parametrize(
    ("out", "changes", "told"),
    [
        ("a.avi", {}, r"\.avi can't be written"),
        ("a.gfi", {}, "did you mean 'gif'"),
        ("a.png", {}, "12 frames make no single PNG"),
        ("a.gif", {"format": "mp4"}, r"out=.*a.gif ends with .gif"),
        ("a", {"format": "gif"}, "names a folder"),
        ("a.gif", {"model": "tophat"}, "makes no frames"),
        ("a.gif", {"model": "timm:resnet18:untrained"}, "makes no frames"),
    ],
)
def test_formats_and_models_that_do_not_suit(photographs, tmp_path, video_model, out, changes, told):
    with pytest.raises(SettingsError, match=told):
        make(photographs / "eye0.png", tmp_path / out, changes.pop("model", video_model), **changes)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photographs"]


def test_several_photographs_need_a_folder_and_names_of_their_own(photographs, tmp_path, video_model):
    with pytest.raises(SettingsError, match="several photographs need a folder"):
        make(photographs, tmp_path / "a.gif", video_model)
    other = tmp_path / "other"
    other.mkdir()
    Image.fromarray(eye(0)[0]).save(other / "eye0.tif")
    with pytest.raises(DataError, match="would both be called 'eye0'"):
        make([photographs, other / "eye0.tif"], tmp_path / "made", video_model)
    with pytest.raises(DataError, match="there is no such file or folder"):
        make(photographs / "eye9.png", tmp_path / "made", video_model)
    (tmp_path / "bare").mkdir()
    with pytest.raises(DataError, match="the folder is empty"):
        make(tmp_path / "bare", tmp_path / "made", video_model)


def test_cases_of_a_table_give_the_names(photographs, tmp_path, video_model):
    rows = ["orgid,pid_eye,Phase,level_1,co_rigid,fa_rigid"]
    rows += [f"p{n},case-{n},venous,{t},eye{n}.png,eye2.png" for n in range(2) for t in (1, 2)]
    (photographs / "video.csv").write_text("\n".join(rows) + "\n")
    done = make(photographs / "video.csv", tmp_path / "made", video_model, frames=2)
    assert [path.name for path in done.made] == ["case-0", "case-1"]
    assert json.loads((tmp_path / "made" / "case-1.json").read_text())["photograph"] == "eye1.png"


def test_the_verb_takes_photographs_without_a_key(photographs, tmp_path, video_model, capsys):
    words = [str(photographs / "eye0.png"), f"model={video_model}", f"out={tmp_path / 'a.gif'}", f"size={SIZE}"]
    assert main(["generate", *words]) == 0
    assert "1 made, 0 there already" in capsys.readouterr().out
    assert main(["generate", *words, "fsp=3"]) == 2
    assert "did you mean 'fps'" in capsys.readouterr().err
    assert main(["generate", "a.png", "model=fundus2video:nothing.pth", "out=a.gif"]) == 2
    assert "no weights file" in capsys.readouterr().err
    several = parse(GenerateSettings, ["a,1.png", "b.png", "out=x"])
    assert several.image == [Path("a,1.png"), Path("b.png")]
    assert parse(GenerateSettings, ["image=a.png,b.png", "out=x"]).image == [Path("a.png"), Path("b.png")]


def test_the_strip_shows_photograph_and_frames_in_reading_order():
    photograph = np.full((50, 50, 3), (200, 100, 50), np.uint8)
    frames = np.stack([np.full((50, 50), 15 + 18 * number, np.uint8) for number in range(12)])
    page = np.array(Image.open(io.BytesIO(strip(photograph, frames, StripText(True, "made by a test")))))
    exact = [np.argwhere((page == level).all(axis=2)) for level in frames[:, 0, 0]]
    centres = np.array([np.median(found, axis=0) for found in exact])
    rows, columns = centres.reshape(3, 4, 2)[..., 0], centres.reshape(3, 4, 2)[..., 1]
    assert (np.ptp(rows, axis=1) < 4).all()  # four frames a row
    assert (np.diff(rows.mean(axis=1)) > TILE).all()
    assert (np.diff(columns, axis=1) > TILE).all()
    assert all(0.9 * TILE**2 < len(found) <= TILE**2 for found in exact)  # numbers cover a little
    shown = np.argwhere((page == (200, 100, 50)).all(axis=2))
    assert shown[:, 1].max() < columns.min() - TILE / 2  # left of all frames
    assert (shown[:, 0].min(), shown[:, 0].max()) == (exact[0][:, 0].min(), exact[-1][:, 0].max())  # and as high


def test_a_strip_names_the_phases_of_a_video_only():
    frames = np.zeros((4, 20, 20), np.uint8)
    photograph = np.zeros((20, 20, 3), np.uint8)
    pages = {strip(photograph, frames, StripText(phases, "x")) for phases in (True, False)}
    assert len(pages) == 2
    for count in (1, 5, 8, 14):
        page = Image.open(
            io.BytesIO(strip(photograph, np.zeros((count, 20, 20), np.uint8), StripText(True, "x" * 400)))
        )
        assert page.height >= -(-count // 4) * TILE
