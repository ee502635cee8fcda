"""`f2vbench generate`: frames of the model, complete results, resumption, and protection of other files."""

from __future__ import annotations

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
from f2vbench.videos import outputs, strip
from f2vbench.videos.generate import Generated, generate
from f2vbench.videos.settings import GenerateSettings
from tests.helpers.eyes import eye

SIZE = 64


def write_weights(path: Path, shape: GeneratorShape, seed: int = 3) -> Path:
    generator = global_generator(shape)
    initialise(generator, seed)
    save_file({f"model.{key}": tensor for key, tensor in generator.state_dict().items()}, path)
    return path


@pytest.fixture(autouse=True)
def _small_strips(monkeypatch):
    """The encoding of full-size strips takes most of the time; test_strip.py tests their content."""
    monkeypatch.setattr(strip, "TILE", 16)


@pytest.fixture(scope="module")
def video_model(tmp_path_factory) -> str:
    return f"fundus2video:{write_weights(tmp_path_factory.mktemp('w') / 'tiny.safetensors', GeneratorShape(6, 3, 2))}"


@pytest.fixture(scope="module")
def frame_model(tmp_path_factory) -> str:
    return f"fundus2fa:{write_weights(tmp_path_factory.mktemp('w') / 'one.safetensors', GeneratorShape(3, 1, 2))}"


@pytest.fixture
def photographs(tmp_path) -> Path:
    """Three photographs, wider than high."""
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(3):
        pixels = np.pad(eye(number)[0], ((0, 0), (20, 11), (0, 0)))
        Image.fromarray(pixels).save(folder / f"eye{number}.png")
    return folder


def run(image, out, model, **changes) -> Generated:
    values = {"image": image, "out": out, "model": model, "size": SIZE, "device": "cpu"}
    return generate(build(GenerateSettings, {**values, **changes}))


def read_grey(file: Path) -> np.ndarray:
    image = Image.open(file)
    assert image.mode == "L"
    return np.array(image)


def expected_frames(photograph: Path) -> tuple[np.ndarray, SquareView, np.ndarray]:
    """Frames (12, s, s) in [0, 1] of the generator for the masked square, with the view and the field of view."""
    rgb = np.array(Image.open(photograph))
    fov_mask = field_of_view(rgb)
    view = SquareView.around(fov_mask)
    square_fov = view.crop(fov_mask, SIZE)
    square = view.crop(np.where(fov_mask[..., None], rgb, 0).astype(np.uint8), SIZE) * square_fov[..., None]
    generator = global_generator(GeneratorShape(6, 3, 2))
    initialise(generator, 3)
    x = torch.from_numpy(square.transpose(2, 0, 1)[None] / np.float32(127.5) - 1).float()
    with torch.no_grad():
        frames = (roll_out(generator.eval(), x, 12) + 1) / 2
    return frames[0].numpy() * square_fov, view, fov_mask


def test_frames_are_those_of_the_generator_and_black_outside_the_field(photographs, tmp_path, video_model):
    photograph = photographs / "eye0.png"
    done = run(photograph, tmp_path / "frames", video_model)
    assert done.new == (tmp_path / "frames",)
    files = sorted((tmp_path / "frames").iterdir())
    assert [file.name for file in files] == [f"{number:02d}.png" for number in range(1, 13)]
    expected, _, _ = expected_frames(photograph)
    frames = np.stack([read_grey(file) for file in files])
    assert np.abs(frames - 255 * expected).max() <= 0.51
    assert (frames[:, 0, 0] == 0).all()
    assert frames.max() > 60


def test_restored_frames_have_the_pixels_of_the_photograph(photographs, tmp_path, video_model):
    photograph = photographs / "eye1.png"
    run(photograph, tmp_path / "restored", video_model, restore=True)
    expected, view, fov_mask = expected_frames(photograph)
    frames = np.stack([read_grey(file) for file in sorted((tmp_path / "restored").iterdir())])
    assert frames.shape == (12, 96, 127)
    assert (frames[:, ~fov_mask] == 0).all()
    interior = cv2.erode(fov_mask.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0  # without interpolation with black
    difference = np.abs(frames[5].astype(float) - 255 * view.restore(expected[5]))[interior]
    assert difference.max() <= 1.01  # frames are rounded to grey levels before and after


def test_gif_and_mp4_have_the_frames_of_the_folder(photographs, tmp_path, video_model):
    photograph = photographs / "eye0.png"
    for out in ("frames", "video.gif", "video.mp4"):
        run(photograph, tmp_path / out, video_model, fps=2)
    frames = [read_grey(file) for file in sorted((tmp_path / "frames").iterdir())]
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
    run(photographs / "eye0.png", tmp_path / "a.gif", video_model, fps=4)
    record = json.loads((tmp_path / "a.gif.json").read_text())
    request = record["request"]
    assert (request["model"], request["size"], request["frames"], request["fps"]) == ("fundus2video:tiny", SIZE, 12, 4)
    assert len(request["weights_sha256"]) == 64
    assert set(record["files"]) == {"a.gif", "a.gif-strip.png"}
    assert record["photograph"] == "eye0.png"
    assert "software" in record
    comment = Image.open(tmp_path / "a.gif").info["comment"].decode()
    assert "Generated by fundus2video:tiny" in comment
    assert request["weights_sha256"][:8] in comment


def test_an_interrupted_folder_resumes_and_damaged_results_are_generated_again(
    photographs, tmp_path, video_model, monkeypatch
):
    out = tmp_path / "results"

    def stop_in_the_second(path, content, **options):
        if path.name == "05.png" and path.parent.name == "eye1":
            raise KeyboardInterrupt
        write_atomically(path, content, **options)

    monkeypatch.setattr(outputs, "write_atomically", stop_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        run(photographs, out, video_model)
    monkeypatch.undo()
    before = (out / "eye0" / "01.png").stat().st_mtime_ns
    done = run(photographs, out, video_model)
    assert [path.name for path in done.existing] == ["eye0"]
    assert [path.name for path in done.new] == ["eye1", "eye2"]
    assert (out / "eye0" / "01.png").stat().st_mtime_ns == before
    assert all(len(list((out / f"eye{number}").iterdir())) == 12 for number in range(3))
    assert sorted(path.name for path in out.glob("*.png")) == [f"eye{number}-strip.png" for number in range(3)]
    assert len(run(photographs, out, video_model).existing) == 3
    whole = (out / "eye2" / "03.png").read_bytes()
    (out / "eye2" / "03.png").write_bytes(whole[:-9])
    assert [path.name for path in run(photographs, out, video_model).new] == ["eye2"]
    assert (out / "eye2" / "03.png").read_bytes() == whole


def test_unreadable_photographs_are_reported_after_the_others_are_generated(photographs, tmp_path, video_model):
    (photographs / "broken.jpg").write_bytes(b"\xff\xd8nothing")
    (photographs / "empty.png").write_bytes(b"")
    with pytest.raises(DataError) as error:
        run(photographs, tmp_path / "results", video_model, format="gif")
    assert [Path(problem.partition(":")[0]).name for problem in error.value.problems] == ["broken.jpg", "empty.png"]
    assert sorted(path.name for path in (tmp_path / "results").glob("*.gif")) == ["eye0.gif", "eye1.gif", "eye2.gif"]


@pytest.mark.parametrize("level", [0, 90])
def test_a_blank_photograph_is_an_error_that_names_it(photographs, tmp_path, video_model, level):
    Image.fromarray(np.full((64, 80, 3), level, np.uint8)).save(photographs / "blank.png")
    with pytest.raises(DataError, match=r"blank\.png: the photograph is black or of one colour"):
        run(photographs, tmp_path / "results", video_model, format="gif")
    assert len(list((tmp_path / "results").glob("*.gif"))) == 3


def test_results_of_other_settings_are_replaced_only_with_overwrite(photographs, tmp_path, video_model):
    photograph, out = photographs / "eye0.png", tmp_path / "frames"
    run(photograph, out, video_model)
    with pytest.raises(StoreError, match="frames 12, now 5"):
        run(photograph, out, video_model, frames=5)
    twelve = [file.read_bytes() for file in sorted(out.iterdir())]
    run(photograph, out, video_model, frames=5, overwrite=True)
    assert [file.read_bytes() for file in sorted(out.iterdir())] == twelve[:5]


def test_files_that_are_not_results_are_never_changed(photographs, tmp_path, video_model):
    photograph = photographs / "eye0.png"
    foreign = {"a.gif": tmp_path / "a.gif", "b.gif-strip.png": tmp_path / "b.gif", "c/notes.txt": tmp_path / "c"}
    for name, out in foreign.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("mine")
        for overwrite in (False, True):
            with pytest.raises(StoreError, match="not written by f2vbench generate"):
                run(photograph, out, video_model, overwrite=overwrite)
        assert (tmp_path / name).read_text() == "mine"
    with pytest.raises(StoreError, match="is a file"):
        run(photograph, tmp_path / "a.gif" / "b.gif", video_model)
    with pytest.raises(StoreError, match="among the photographs"):
        run(photographs, photographs, video_model, format="gif")


def test_single_frame_models_generate_a_png(photographs, tmp_path, frame_model):
    run(photographs / "eye0.png", tmp_path / "one.png", frame_model)
    assert read_grey(tmp_path / "one.png").shape == (SIZE, SIZE)
    assert (tmp_path / "one.png-strip.png").is_file()
    done = run(photographs, tmp_path / "results", frame_model)
    assert [path.name for path in done.new] == ["eye0.png", "eye1.png", "eye2.png"]
    for out in ("one.gif", "one.mp4"):
        with pytest.raises(SettingsError, match=r"one frame, which is no .* use \.png"):
            run(photographs / "eye0.png", tmp_path / out, frame_model)
    with pytest.raises(SettingsError, match="frames=3: fundus2fa generates one"):
        run(photographs / "eye0.png", tmp_path / "one.png", frame_model, frames=3)


@pytest.mark.parametrize(
    ("out", "changes", "message"),
    [
        ("a.avi", {}, r"\.avi can't be written"),
        ("a.gfi", {}, "did you mean 'gif'"),
        ("a.png", {}, "12 frames are not a single PNG"),
        ("a.gif", {"format": "mp4"}, r"out=.*a.gif ends with .gif"),
        ("a", {"format": "gif"}, "is a folder"),
        ("a.gif", {"model": "tophat"}, "generates no frames"),
        ("a.gif", {"model": "timm:resnet18:untrained"}, "generates no frames"),
    ],
)
def test_formats_and_models_that_do_not_fit_are_refused(photographs, tmp_path, video_model, out, changes, message):
    with pytest.raises(SettingsError, match=message):
        run(photographs / "eye0.png", tmp_path / out, changes.pop("model", video_model), **changes)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photographs"]


def test_several_photographs_need_a_folder_and_different_names(photographs, tmp_path, video_model):
    with pytest.raises(SettingsError, match="several photographs need a folder"):
        run(photographs, tmp_path / "a.gif", video_model)
    other = tmp_path / "other"
    other.mkdir()
    Image.fromarray(eye(0)[0]).save(other / "eye0.tif")
    with pytest.raises(DataError, match="would have the same name 'eye0'"):
        run([photographs, other / "eye0.tif"], tmp_path / "results", video_model)
    with pytest.raises(DataError, match="there is no such file or folder"):
        run(photographs / "eye9.png", tmp_path / "results", video_model)
    (tmp_path / "bare").mkdir()
    with pytest.raises(DataError, match="the folder is empty"):
        run(tmp_path / "bare", tmp_path / "results", video_model)


def test_cases_of_a_table_name_the_results(photographs, tmp_path, video_model):
    rows = ["orgid,pid_eye,Phase,level_1,co_rigid,fa_rigid"]
    rows += [f"p{n},case-{n},venous,{t},eye{n}.png,eye2.png" for n in range(2) for t in (1, 2)]
    (photographs / "video.csv").write_text("\n".join(rows) + "\n")
    done = run(photographs / "video.csv", tmp_path / "results", video_model, frames=2)
    assert [path.name for path in done.new] == ["case-0", "case-1"]
    assert json.loads((tmp_path / "results" / "case-1.json").read_text())["photograph"] == "eye1.png"


def test_the_command_accepts_photographs_without_a_key(photographs, tmp_path, video_model, capsys):
    arguments = [str(photographs / "eye0.png"), f"model={video_model}", f"out={tmp_path / 'a.gif'}", f"size={SIZE}"]
    assert main(["generate", *arguments]) == 0
    assert "1 generated" in capsys.readouterr().out
    assert main(["generate", *arguments, "fsp=3"]) == 2
    assert "did you mean 'fps'" in capsys.readouterr().err
    assert main(["generate", "a.png", "model=fundus2video:nothing.pth", "out=a.gif"]) == 2
    assert "no weights file" in capsys.readouterr().err
    several = parse(GenerateSettings, ["a,1.png", "b.png", "out=x"])
    assert several.image == [Path("a,1.png"), Path("b.png")]
    assert parse(GenerateSettings, ["image=a.png,b.png", "out=x"]).image == [Path("a.png"), Path("b.png")]
