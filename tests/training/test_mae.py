"""The masked autoencoder: what it hides, its loss, its training, and its encoder in the benchmark."""

from __future__ import annotations

import json
import math
import os
import socket
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from f2vbench.cli.main import main
from f2vbench.config.parsing import build, parse
from f2vbench.encoders.loading import load_encoder
from f2vbench.encoders.mae import MEAN, STD, TransformerShape, initialise, position_embeddings, vision_transformer
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.registry import known_families
from f2vbench.errors import SettingsError, WeightsError
from f2vbench.pretrained.checkpoints import read_state_dict
from f2vbench.training.checkpoints import load_checkpoint
from f2vbench.training.data.augmentation import AUGMENTATIONS, Augmentation, draw_geometry, warp
from f2vbench.training.data.case_images import RegisteredEye
from f2vbench.training.data.dataset import Sample, open_cases
from f2vbench.training.distributed import process_group
from f2vbench.training.log import LOG
from f2vbench.training.lr_schedule import rate_factor
from f2vbench.training.mae import MaskedAutoencoder, images_of, masked_errors, patches_of, shown_patches
from f2vbench.training.repro_command import training_command
from f2vbench.training.settings import TrainSettings
from f2vbench.training.trainer import CHECKPOINT, EXPORT, Trainer

SIDE = 64
CPU = torch.device("cpu")
SMALL = {"width": 64, "depth": 2, "decoder_width": 32, "decoder_depth": 1}


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    torch.set_num_threads(1)


class Photographs(Dataset):
    """Smooth waves on a ground of one colour, others in each epoch."""

    def __init__(self, count: int):
        self.count = count
        self.epoch = torch.zeros((), dtype=torch.int64).share_memory_()  # read by workers too

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng([int(self.epoch), index])
        rows, columns = np.mgrid[:SIDE, :SIDE] / 16
        waves = [0.2 * np.sin(rng.uniform(1, 2) * rows + rng.uniform(1, 2) * columns) for _ in range(3)]
        colours = np.array([0.5, -0.1, -0.7])[:, None, None]
        photograph = torch.from_numpy((colours + np.stack(waves)).astype(np.float32))
        inside = torch.ones(1, SIDE, SIDE, dtype=torch.bool)
        return Sample(photograph, torch.zeros(0, 1, SIDE, SIDE), inside, None, f"eye {index}")


class Cases:
    def __init__(self, train: int = 4):
        self.train, self.validation = Photographs(train), Photographs(2)

    def set_epoch(self, epoch: int) -> None:
        self.train.epoch.fill_(epoch)


def tiny(out, **changes) -> TrainSettings:
    usual = {"image_size": SIDE, "batch_size": 2, "epochs": 2, "warmup_epochs": 1, "export_half": False, "mae": SMALL}
    return build(TrainSettings, {"model": "mae", "preset": "mini", "out": out, "device": "cpu", **usual, **changes})


def train(settings, cases=None) -> Trainer:
    made = Trainer(settings, cases or Cases(), CPU)
    made.run()
    return made


def losses(folder) -> list[dict]:
    lines = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "pace"} for line in lines if "pace" in line]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train(tiny(tmp_path_factory.mktemp("mae")))


# Masks and loss


def test_a_quarter_is_shown_and_the_key_alone_decides_which():
    keys = [(0, 3, 7, 1), (0, 3, 8, 1), (0, 4, 7, 1), (1, 3, 7, 1)]
    shown = shown_patches(keys, 196, 0.75)
    assert shown.shape == (4, 49)
    assert all(len(set(row)) == 49 and min(row) >= 0 and max(row) < 196 for row in shown.tolist())
    assert len({tuple(sorted(row)) for row in shown.tolist()}) == 4
    alone = torch.cat([shown_patches([key], 196, 0.75) for key in keys])
    assert torch.equal(shown, alone)


def test_patches_are_rows_of_pixels_of_colours_and_go_back():
    images = torch.rand(2, 3, 48, 48)
    patches = patches_of(images)
    assert torch.equal(patches[1, 5].reshape(16, 16, 3), images[1, :, 16:32, 32:48].permute(1, 2, 0))
    assert torch.equal(images_of(patches), images)


def test_the_loss_is_that_of_a_slow_loop_over_hidden_patches():
    rng = np.random.default_rng(0)
    images = rng.normal(size=(2, 3, 48, 48)).astype(np.float32)
    predicted = rng.normal(size=(2, 9, 768)).astype(np.float32)
    shown = np.array([[0, 4], [8, 3]])
    expected = []
    for image, guess, seen in zip(images, predicted, shown, strict=True):
        errors = []
        for patch in set(range(9)) - set(seen.tolist()):
            row, column = 16 * (patch // 3), 16 * (patch % 3)
            pixels = image[:, row : row + 16, column : column + 16].transpose(1, 2, 0).astype(float).ravel()
            true = (pixels - pixels.mean()) / math.sqrt(pixels.var(ddof=1) + 1e-6)
            errors.append(np.mean((guess[patch] - true) ** 2))
        expected.append(np.mean(errors))
    found = masked_errors(*(torch.from_numpy(each) for each in (predicted, images, shown)))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_hidden_patches_do_not_reach_the_predictions():
    network = MaskedAutoencoder(TransformerShape(64, 2, 48), 32, 1).eval()
    images, shown = torch.rand(1, 3, 48, 48), torch.tensor([[1, 6]])
    changed = images.clone()
    changed[..., :16, :16] = 5.0  # patch 0
    seen = images.clone()
    seen[..., :16, 16:32] = 5.0  # patch 1
    with torch.no_grad():
        first, same, other = (network(each, shown) for each in (images, changed, seen))
    assert torch.equal(first, same)
    assert not torch.allclose(first[0, 8], other[0, 8])


def test_with_all_patches_shown_the_encoder_is_timms_and_their_order_does_not_matter():
    """The encoder's side of the network, seen from the decoder: its input is timm's output."""
    network = MaskedAutoencoder(TransformerShape(64, 2, 48), 32, 1).eval()
    encoder = vision_transformer(TransformerShape(64, 2, 48)).eval()
    encoder.load_state_dict({key: value for key, value in network.state_dict().items() if not _decodes(key)})
    images, order = torch.rand(1, 3, 48, 48), torch.randperm(9)[None]
    kept = []
    network.decoder_embed.register_forward_hook(lambda module, inputs, output: kept.append(inputs[0]))
    with torch.no_grad():
        forth, back = network(images, torch.arange(9)[None]), network(images, order)
        torch.testing.assert_close(kept[0], encoder.forward_features(images))
    torch.testing.assert_close(kept[1][:, 1:], kept[0][:, 1:][:, order[0]])
    torch.testing.assert_close(forth, back)


def _decodes(key: str) -> bool:
    return key.startswith("decoder_") or key == "mask_token"


def test_position_embeddings_are_sines_and_cosines_of_column_then_row():
    found = position_embeddings(16, 3)
    assert found.shape == (1, 10, 16)
    assert not found[0, 0].any()
    row, column = 2, 1
    expected = [
        wave(place / 10000 ** (k / 4)) for place in (column, row) for wave in (math.sin, math.cos) for k in range(4)
    ]
    np.testing.assert_allclose(found[0, 1 + 3 * row + column], expected, rtol=1e-6)


# Training


def test_a_run_leaves_what_every_run_leaves(trained):
    files = {path.relative_to(trained.folder).as_posix() for path in trained.folder.rglob("*") if path.is_file()}
    assert {
        "settings.yaml",
        "log.jsonl",
        "checkpoint.pt",
        "samples/epoch-001.png",
        "samples/epoch-002.png",
        "generator.safetensors",
        "generator.json",
    } <= files
    assert set(losses(trained.folder)[0]) == {"epoch", "videos", "rate", "reconstruction", "contrast"}
    picture = cv2.imread(str(trained.folder / "samples" / "epoch-002.png"))
    assert picture.shape == (2 * SIDE, 3 * SIDE, 3)
    whole, masked, restored = np.split(picture.astype(int), 3, axis=1)
    hidden = (_cells(masked) == 128).all(axis=(1, 2, 3))
    assert hidden.sum() == 2 * 12  # of 2 × 16 patches
    assert (_cells(masked)[~hidden] == _cells(whole)[~hidden]).all()
    assert (_cells(restored)[~hidden] == _cells(whole)[~hidden]).all()


def _cells(picture: np.ndarray) -> np.ndarray:
    rows, columns = picture.shape[0] // 16, picture.shape[1] // 16
    return picture.reshape(rows, 16, columns, 16, 3).swapaxes(1, 2).reshape(-1, 16, 16, 3)


def test_the_card_tells_the_architecture_and_only_the_settings_that_count(trained):
    card = json.loads((trained.folder / "generator.json").read_text())
    assert card["architecture"] | {"width": 64, "depth": 2, "heads": 1, "patch": 16} == card["architecture"]
    assert not {"loss", "ngf", "crop"} & set(card["settings"])
    assert set(card["validation"]) == {"reconstruction"}
    assert card["bytes"] == (trained.folder / EXPORT).stat().st_size


def test_training_learns(tmp_path):
    train(tiny(tmp_path, epochs=15, learning_rate=3e-3, validate_every=15), Cases(8))
    found = [line["reconstruction"] for line in losses(tmp_path)]
    assert np.mean(found[-4:]) < 0.5 * np.mean(found[:4])


class Interrupted(Exception):
    pass


class StopsAfter:
    """A progress display that breaks the training off."""

    def __init__(self, batches: int):
        self.left = batches

    def begin(self, title, total): ...
    def note(self, text): ...
    def end(self): ...

    def advance(self, label):
        self.left -= 1
        if not self.left:
            raise Interrupted


@pytest.mark.parametrize("after", [2, 4])
def test_a_training_that_was_killed_goes_on_to_the_same_losses_and_weights(trained, tmp_path, after):
    settings = tiny(tmp_path, save_minutes=1e-9)
    with pytest.raises(Interrupted):
        Trainer(settings, Cases(), CPU, progress=StopsAfter(after)).run()
    train(settings)
    assert losses(tmp_path) == losses(trained.folder)
    mine, other = (
        load_checkpoint(folder / CHECKPOINT, CPU)["networks"]["generator"] for folder in (tmp_path, trained.folder)
    )
    assert all(torch.equal(mine[key], other[key]) for key in other)


@pytest.mark.parametrize("change", [{"checkpointing": True}, {"workers": 1}])
def test_engineering_choices_do_not_change_losses(trained, tmp_path, change):
    train(tiny(tmp_path, **change))
    for mine, other in zip(losses(tmp_path), losses(trained.folder), strict=True):
        assert mine == pytest.approx(other, rel=1e-4)


def test_bf16_trains(tmp_path):
    made = Trainer(tiny(tmp_path, epochs=1, ema=0.9), Cases(), CPU, bf16=True)
    made.run()
    assert made.networks.best.cls_token.dtype == torch.float32


def test_biases_norms_and_position_embeddings_do_not_decay(tmp_path):
    made = Trainer(tiny(tmp_path), Cases(), CPU)
    decaying, others = made.networks.optimisers["generator"].param_groups
    assert (decaying["weight_decay"], others["weight_decay"]) == (0.05, 0.0)
    assert all(parameter.ndim > 1 for parameter in decaying["params"])
    assert all(parameter.ndim == 1 for parameter in others["params"])
    state = made.networks.best.state_dict()
    count = sum(len(group["params"]) for group in (decaying, others))
    assert count == len(state) - 2  # pos_embed and decoder_pos_embed are fixed


def test_the_rate_rises_from_batch_to_batch_and_falls_as_half_a_cosine(tmp_path):
    settings = tiny(tmp_path, epochs=10, warmup_epochs=2)
    found = [rate_factor(settings, *place, 4) for place in [(0, 0), (0, 3), (1, 3), (2, 0), (6, 0), (7, 2), (9, 3)]]
    expected = [1 / 8, 4 / 8, 1, 1, 0.5, (1 + math.cos(math.pi * 5.5 / 8)) / 2, (1 + math.cos(math.pi * 7.75 / 8)) / 2]
    assert found == pytest.approx(expected)


def _train_as_one_of_two(number: int, folder: str, port: int) -> None:
    torch.set_num_threads(1)
    told = {"RANK": number, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({key: str(value) for key, value in told.items()})
    with process_group(CPU):
        train(tiny(Path(folder)))


def test_two_processes_train_as_one_with_the_same_batch(trained, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_train_as_one_of_two, (str(tmp_path), port), nprocs=2)
    for mine, other in zip(losses(tmp_path), losses(trained.folder), strict=True):
        assert {key: mine[key] for key in other if key != "contrast"} == pytest.approx(
            {key: value for key, value in other.items() if key != "contrast"}, rel=1e-4
        )


# Settings


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss": {"gan": 1}, "crop": 64, "ngf": 8}, r"model=mae does not use crop, loss\.gan, ngf"),
        ({"ablation": "none"}, "model=mae does not use ablation"),
        ({"preset": "paper"}, "preset=paper: model=mae has the presets f2v and mini"),
        ({"model": "fundus2fa", "mae": {"depth": 3}}, r"model=fundus2fa does not use mae\.depth"),
        ({"mae": {"width": 100}}, r"mae\.width"),
        ({"image_size": 64, "mae": {"mask": 0.99}}, "of 16 patches at least one has to be seen"),
        ({"warmup_epochs": 1000}, "warmup_epochs=1000 is more than epochs"),
    ],
)
def test_settings_that_make_no_sense_are_refused(changes, message):
    with pytest.raises(SettingsError, match=message):
        build(TrainSettings, {"model": "mae", "preset": "mini", **changes})


def test_the_mini_encoder_stays_within_12_megabytes_in_half_precision():
    chosen = build(TrainSettings, {"model": "mae", "preset": "mini"})
    shape = TransformerShape(chosen.mae.width, chosen.mae.depth, chosen.image_size)
    assert shape == TransformerShape()  # what mae:untrained has
    network = MaskedAutoencoder(shape, chosen.mae.decoder_width, chosen.mae.decoder_depth)
    assert 2 * sum(parameter.numel() for parameter in network.parameters()) < 11.9e6


# Photographs


def test_phantom_photographs_come_without_frames_whole_where_nothing_is_learnt(monkeypatch):
    from f2vbench.phantom import Cohort
    from f2vbench.phantom.cohort import CohortEye

    monkeypatch.setattr(CohortEye, "angiogram", lambda *_: pytest.fail("frames were made"))
    opened = open_cases("phantom", model_frames=0, size=64, seed=0, eyes=2, augment="mae")
    train, held_out = opened.train[0], opened.validation[0]
    assert train.photograph.shape == held_out.photograph.shape == (3, 64, 64)
    assert train.frames.shape == (0, 1, 64, 64)
    _, seed, name = held_out.case.split("-")
    eye = next(eye for eye in Cohort(int(seed), 1, size=512) if eye.name == name)
    taken = eye.photograph()
    box = cv2.boundingRect(taken.truth.field_of_view.astype(np.uint8))
    side = max(box[2:])
    assert min(box[2:]) == side or min(box[2:]) > 0.7 * side
    assert held_out.inside.float().mean() == pytest.approx(taken.truth.field_of_view.sum() / side**2, abs=0.03)


def test_photographs_of_a_folder_of_cases_are_read_and_their_frames_are_not(tmp_path):
    rows, columns = np.mgrid[:60, :80]
    inside = np.hypot(rows - 30, columns - 40) < 25
    for number in range(3):
        place = tmp_path / "cases" / f"eye{number}"
        (place / "frames").mkdir(parents=True)
        colours = np.array([50, 100 + number, 200], np.uint8)  # BGR, as OpenCV writes it
        cv2.imwrite(str(place / "photograph.png"), inside[..., None] * colours)
        (place / "frames" / "1.png").write_bytes(b"damaged, and one frame is too few for an angiogram")
    opened = open_cases(tmp_path / "cases", model_frames=0, size=32, seed=0, augment="none", validation=0.34, test=0)
    assert len(opened.train) + len(opened.validation) == 3
    sample = opened.validation[0]
    assert sample.frames.shape == (0, 1, 32, 32)
    assert sample.photograph[0, 16, 16] == pytest.approx(2 * 200 / 255 - 1)
    assert sample.inside.float().mean() == pytest.approx(math.pi / 4, abs=0.03)  # the field fills the view
    (tmp_path / "cases" / "eye0" / "frames" / "1.png").write_bytes(b"another frame")
    again = open_cases(tmp_path / "cases", model_frames=0, size=32, seed=0, augment="none", validation=0.34, test=0)
    assert again.identity() == opened.identity()


def test_a_resized_crop_shows_20_to_100_percent_of_the_square_and_equals_opencvs():
    size, side = 96, 64
    inside = np.ones((size, size), bool)
    rows, columns = np.mgrid[:size, :size] / size
    square = np.rint(255 * (0.5 + 0.2 * np.sin(6 * rows) + 0.25 * columns)).astype(np.uint8)
    eye = RegisteredEye(np.stack([square] * 3, -1), np.zeros((0, size, size), np.uint8), inside)
    shares, ratios, mirrors = [], [], []
    for seed in range(60):
        matrix = draw_geometry(AUGMENTATIONS["mae"], inside, side, np.random.default_rng(seed))
        width, height = side * np.abs(matrix[0, 0]), side * matrix[1, 1]
        shares.append(width * height / size**2)
        ratios.append(width / height)
        mirrors.append(matrix[0, 0] < 0)
        left, top = (min(at, at + side * step) for at, step in zip(_corner(matrix), matrix.diagonal(), strict=True))
        assert left >= -1e-6
        assert top >= -1e-6
        assert left + width <= size + 1e-6
        assert top + height <= size + 1e-6
        seen = warp(eye, matrix, side).photograph[..., 0].astype(float)
        centres = (left + (np.arange(side) + 0.5) * width / side - 0.5) / size
        centres = centres[::-1] if mirrors[-1] else centres
        down = (top + (np.arange(side) + 0.5) * height / side - 0.5) / size
        expected = 255 * (0.5 + 0.2 * np.sin(6 * down)[:, None] + 0.25 * centres[None])
        inner = slice(2, -2)  # at the rim the interpolation reads what lies outside
        assert np.abs(seen - expected)[inner, inner].max() < 3
    assert 0.19 < min(shares) < 0.3
    assert 0.85 < max(shares) <= 1
    assert max(ratios) <= 4 / 3 + 1e-6
    assert min(ratios) >= 3 / 4 - 1e-6
    assert 15 < sum(mirrors) < 45


def _corner(matrix: np.ndarray) -> np.ndarray:
    """Where the outer corner of the first pixel lies, with pixel edges (not centres) at whole numbers."""
    return matrix @ [-0.5, -0.5, 1] + 0.5


def test_a_view_that_shrinks_averages_pixels_instead_of_leaving_some_out():
    size, side = 96, 64
    lines = np.full((size, size), 100, np.uint8)
    lines[:, ::3] = 160  # sampled at every 1.5th pixel without averaging, they would beat
    eye = RegisteredEye(np.stack([lines] * 3, -1), np.zeros((0, size, size), np.uint8), np.ones((size, size), bool))
    matrix = draw_geometry(Augmentation(area=(1.0, 1.0)), eye.inside, side, np.random.default_rng(0))
    seen = warp(eye, matrix, side).photograph[4:-4, 4:-4, 0].astype(float)
    assert seen.mean() == pytest.approx(120, abs=1)
    pairs = seen[:, ::2] + seen[:, 1::2]  # a pair covers a line and its two gaps
    assert pairs.std() < 2


# The encoder


def test_an_exported_encoder_is_timms_with_the_same_weights(trained):
    encoder = load_encoder("mae", str(trained.folder / EXPORT))
    plain = vision_transformer(TransformerShape(64, 2, SIDE)).eval()
    state = {key: value for key, value in trained.networks.best.state_dict().items() if not _decodes(key)}
    plain.load_state_dict(state)
    photograph = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    x = torch.from_numpy((photograph / 255 - np.array(MEAN)) / np.array(STD)).float().permute(2, 0, 1)[None]
    with torch.no_grad():
        tokens = plain.forward_features(x)[:, 1:]
        maps = encoder.pyramid(torch.from_numpy(photograph / 255.0).float().permute(2, 0, 1)[None])
    torch.testing.assert_close(torch.from_numpy(encoder.embed([photograph])), tokens.mean(1))
    torch.testing.assert_close(maps[-1], tokens.transpose(1, 2).reshape(1, 64, 4, 4))
    assert encoder.embed_size == (SIDE, SIDE)
    assert encoder.describe()["parameters"] == sum(value.numel() for value in state.values())


def test_keys_are_those_of_the_published_checkpoints(trained):
    keys = set(read_state_dict(trained.folder / EXPORT))
    block = [f"{part}.{kind}" for part in ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")
             for kind in ("weight", "bias")]  # fmt: skip
    expected = {"cls_token", "pos_embed", "mask_token", "decoder_pos_embed"}
    pairs = ["patch_embed.proj", "norm", "decoder_embed", "decoder_norm", "decoder_pred"]
    expected |= {f"{name}.{kind}" for name in pairs for kind in ("weight", "bias")}
    expected |= {f"blocks.{at}.{part}" for at in range(2) for part in block}
    assert keys == expected | {f"decoder_blocks.0.{part}" for part in block}


def test_a_checkpoint_of_mae_is_read_and_one_that_lacks_a_key_is_not(trained, tmp_path):
    state = read_state_dict(trained.folder / EXPORT)
    torch.save({"model": state, "epoch": 3}, tmp_path / "checkpoint-3.pth")
    encoder = load_encoder(f"mae:{tmp_path / 'checkpoint-3.pth'}")
    assert torch.equal(encoder.model.norm.weight, state["norm.weight"])
    del state["blocks.1.mlp.fc2.bias"]
    torch.save(state, tmp_path / "cut.pth")
    with pytest.raises(WeightsError, match=r"1 missing: blocks\.1\.mlp\.fc2\.bias"):
        load_encoder(f"mae:{tmp_path / 'cut.pth'}")
    torch.save({"model.1.weight": torch.zeros(2)}, tmp_path / "other.pth")
    with pytest.raises(WeightsError, match="no encoder of a masked autoencoder"):
        load_encoder(f"mae:{tmp_path / 'other.pth'}")


def test_an_untrained_encoder_is_the_start_of_a_training_and_takes_other_sizes():
    first, second = (load_encoder("mae:untrained") for _ in range(2))
    assert first.state_sha256() == second.state_sha256()
    started = MaskedAutoencoder(TransformerShape(), 96, 2)
    initialise(started, seed=0)
    assert all(torch.equal(value, started.state_dict()[key]) for key, value in first.model.state_dict().items())
    with torch.no_grad():
        maps = first.pyramid(torch.rand(1, 3, 100, 130))
    assert [tuple(each.shape) for each in maps] == [(1, 192, 7, 9)] * 4
    assert first.embed_size == (224, 224)


def test_the_family_is_listed_and_generates_nothing(capsys):
    assert "mae" in known_families()
    assert main(["list", "models"]) == 0
    assert "masked autoencoder" in capsys.readouterr().out
    assert not parse_model("mae:untrained").can_generate
    assert parse_model("mae:untrained").identity()["timm"]
    with pytest.raises(SettingsError, match="generates no angiogram"):
        load_encoder("mae:untrained").generate(torch.rand(1, 3, 64, 64))


def test_the_command_of_a_training_gives_the_same_settings_again():
    settings = build(TrainSettings, {"model": "mae", "preset": "mini", "seed": 4, "mae": {"mask": 0.5}})
    told = training_command(settings)
    assert told == "f2vbench train model=mae preset=mini seed=4 mae.mask=0.5"
    assert parse(TrainSettings, told.split()[2:]) == settings
