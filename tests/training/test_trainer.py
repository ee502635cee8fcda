"""A training does what its settings say, goes on exactly, and gives a generator that the benchmark can read."""

from __future__ import annotations

import copy
import dataclasses
import functools
import json
import os
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file
from torch.utils.data import Dataset

from f2vbench.cli.main import main
from f2vbench.config.parsing import build
from f2vbench.encoders.global_generator import roll_out
from f2vbench.encoders.loading import load_encoder
from f2vbench.errors import DataError, F2VBenchError, StoreError
from f2vbench.training import checkpoints, losses, trainer
from f2vbench.training.data.batches import VideoLoader, epoch_order
from f2vbench.training.data.dataset import Sample
from f2vbench.training.distributed import process_group
from f2vbench.training.divergence import TrainingError, Watch
from f2vbench.training.frame_windows import knowledge_mask
from f2vbench.training.log import EVENTS, LOG, TrainingLog
from f2vbench.training.patch_nce import PatchSampler, patch_nce_losses
from f2vbench.training.settings import TrainSettings
from f2vbench.training.trained_networks import Networks
from f2vbench.training.trainer import Trainer

SIDE = 64
CPU = torch.device("cpu")


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """As `f2vbench train` sets it: more threads add up in other orders."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


class Eyes(Dataset):
    """Videos of a bright line that appears on a textured ground, different in each epoch."""

    def __init__(self, count: int, lesions: bool = False):
        self.count, self.lesions, self.epoch = count, lesions, 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng([self.epoch, index])
        photograph = rng.uniform(-1, 1, (3, SIDE, SIDE)).astype(np.float32)
        frames = np.full((12, 1, SIDE, SIDE), -0.5, np.float32)
        row = rng.integers(8, SIDE - 8)
        for time in range(12):
            frames[time, 0, row : row + 4] += time / 12
        photograph[:, row : row + 4] = -1
        inside = np.ones((1, SIDE, SIDE), bool)
        lesions = torch.from_numpy(inside.astype(np.float32)) if self.lesions else None
        frames = torch.from_numpy(frames)
        return Sample(torch.from_numpy(photograph), frames, torch.from_numpy(inside), lesions, f"eye {index}")


class Cases:
    def __init__(self, train: int = 3, lesions: bool = False):
        self.train, self.validation = Eyes(train, lesions), Eyes(2)

    def set_epoch(self, epoch: int) -> None:
        self.train.epoch = epoch


def tiny(out, **changes) -> TrainSettings:
    usual = {
        "preset": "f2v",
        "scales": 2,
        "image_size": SIDE,
        "truth_videos": 400,
        "ngf": 2,
        "ndf": 2,
        "epochs": 2,
        "flat_epochs": 1,
        "samples": 1,
    }
    return build(TrainSettings, {**usual, "out": out, "device": "cpu", **changes})


def train(settings, cases=None) -> Trainer:
    made = Trainer(settings, cases or Cases(), CPU)
    made.run()
    return made


def videos(folder) -> list[dict]:
    lines = [json.loads(line) for line in (folder / LOG).read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "pace"} for line in lines if "pace" in line]


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train(tiny(tmp_path_factory.mktemp("run")))


def test_a_run_leaves_log_samples_checkpoint_and_generator(trained):
    files = {path.relative_to(trained.folder) for path in trained.folder.rglob("*") if path.is_file()}
    held = {path.as_posix() for path in files if path.parts[0] != EVENTS}
    assert held == {
        "settings.yaml",
        "log.jsonl",
        "checkpoint.pt",
        "samples/epoch-001.png",
        "samples/epoch-002.png",
        "samples/epoch-001.gif",
        "samples/epoch-002.gif",
        "generator.safetensors",
        "generator.json",
    }
    assert len(videos(trained.folder)) == 6
    assert [line["rate"] for line in videos(trained.folder)] == [2e-4] * 6  # flat, and at the start of the fall


def test_the_first_validation_video_is_left_as_a_film_truth_beside_generated(trained):
    film = Image.open(trained.folder / "samples" / "epoch-002.gif")
    assert (film.n_frames, film.size) == (12, (2 * SIDE, SIDE))
    truth = np.rint(255 * (Cases().validation[0].frames[:, 0].numpy() + 1) / 2)
    generator = trained.networks.average.module.eval()
    photograph = Cases().validation[0].photograph[None]
    made = 255 * (roll_out(generator, photograph)[0].detach().numpy() + 1) / 2
    for number in range(12):
        film.seek(number)
        shown = np.array(film.convert("L"), float)
        assert np.abs(shown[:, :SIDE] - truth[number]).max() <= 1
        assert np.abs(shown[:, SIDE:] - made[number]).max() <= 1


def test_the_exported_generator_is_the_average_and_the_encoder_reads_it(trained):
    encoder = load_encoder("fundus2video", str(trained.folder / trainer.EXPORT))
    photograph = torch.rand(1, 3, SIDE, SIDE)
    # In the encoder's layout of memory: sums in another order would differ in their last digits.
    average = copy.deepcopy(trained.networks.average.module).to(memory_format=torch.contiguous_format).eval()
    expected = (roll_out(average, 2 * photograph - 1) + 1) / 2
    torch.testing.assert_close(encoder.generate(photograph), expected.detach())
    card = json.loads((trained.folder / "generator.json").read_text())
    assert card["architecture"] == {"name": "pix2pixhd-global", "inputs": 6, "outputs": 3, "ngf": 2}
    assert card["bytes"] == (trained.folder / trainer.EXPORT).stat().st_size
    assert set(card["validation"]) == {"psnr", "ssim"}


def test_a_generator_exported_in_half_precision_is_half_as_large_and_nearly_the_same(trained, tmp_path):
    path = tmp_path / "half.safetensors"
    checkpoints.export_generator(trained.networks.best, path, {}, half=True)
    assert path.stat().st_size < 0.6 * (trained.folder / trainer.EXPORT).stat().st_size
    whole, half = (load_encoder("fundus2video", str(file)) for file in (trained.folder / trainer.EXPORT, path))
    photograph = torch.rand(1, 3, SIDE, SIDE)
    torch.testing.assert_close(half.generate(photograph, 1), whole.generate(photograph, 1), rtol=0, atol=0.02)


def test_the_newest_checkpoint_exports_what_the_end_of_training_does(trained, tmp_path, capsys):
    out = tmp_path / "again.safetensors"
    assert main(["export", str(trained.folder), f"out={out}"]) == 0
    assert str(out) in capsys.readouterr().out
    assert out.read_bytes() == (trained.folder / trainer.EXPORT).read_bytes()
    mine, other = (
        json.loads(path.read_text()) for path in (out.with_suffix(".json"), trained.folder / "generator.json")
    )
    assert mine == {**other, "file": out.name}
    assert main(["export", str(trained.folder), f"out={out}", "half=yes"]) == 0
    assert out.stat().st_size < 0.6 * other["bytes"]


def test_an_unfinished_training_exports_its_average_and_says_how_far_it_was(tmp_path, capsys):
    with pytest.raises(Interrupted):
        Trainer(tiny(tmp_path, save_minutes=1e-9), Cases(), CPU, progress=StopsAfter(5)).run()
    assert main(["export", str(tmp_path)]) == 0
    state = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["networks"]
    held = load_file(tmp_path / trainer.EXPORT)
    assert all(torch.equal(held[f"model.{key[7:]}"], value) for key, value in state["average"].items() if "." in key)
    card = json.loads((tmp_path / "generator.json").read_text())
    assert (card["epochs"], card["videos"], card["settings"]["epochs"]) == (1, 4, 2)
    assert main(["weights", "make", str(tmp_path), "name=too-early", f"out={tmp_path}"]) == 2
    assert "unfinished (1 of 2 epochs)" in capsys.readouterr().err


def test_what_has_no_checkpoint_is_not_exported(tmp_path, capsys):
    assert main(["export", str(tmp_path)]) == 2
    assert "settings.yaml and checkpoint.pt missing" in capsys.readouterr().err
    assert main(["export", str(tmp_path), "out=generator.pth"]) == 2
    assert "must end on .safetensors" in capsys.readouterr().err


def test_weights_that_are_not_finite_are_not_exported(tmp_path):
    broken = torch.nn.Sequential(torch.nn.Conv2d(1, 1, 1))
    torch.nn.init.constant_(broken[0].weight, 1e6)
    with pytest.raises(StoreError, match=r"model\.0\.weight holds NaN or infinity"):
        checkpoints.export_generator(broken, tmp_path / "broken.safetensors", {}, half=True)
    assert not any(tmp_path.iterdir())


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
    again = train(settings)
    assert videos(tmp_path) == videos(trained.folder)
    mine, other = again.networks.state()["networks"], trained.networks.state()["networks"]
    for network in other:
        assert all(torch.equal(mine[network][key], other[network][key]) for key in other[network])


def test_a_finished_training_is_not_trained_again(trained):
    before = (trained.folder / trainer.EXPORT).read_bytes()
    train(trained.settings)
    assert (trained.folder / trainer.EXPORT).read_bytes() == before
    assert len(videos(trained.folder)) == 6


def test_a_folder_with_another_training_is_refused_by_the_keys_that_differ(trained):
    other = tiny(trained.folder, scales=1, learning_rate=1e-3)
    with pytest.raises(StoreError, match=r"scales was 2, is 1.*learning_rate was 0.0002, is 0.001"):
        train(other)


def test_other_data_are_refused(trained):
    with pytest.raises(StoreError, match="training_videos was 3, is 4"):
        train(trained.settings, Cases(4))


def test_a_damaged_checkpoint_is_named(tmp_path):
    (tmp_path / trainer.CHECKPOINT).write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(StoreError, match=r"checkpoint\.pt: no checkpoint of a training, or damaged"):
        train(tiny(tmp_path))


def test_a_full_disk_leaves_the_checkpoint_before(tmp_path, monkeypatch):
    path = tmp_path / trainer.CHECKPOINT
    state = {"settings": {}, "data": {}, "place": {}, "networks": {}, "optimisers": {}}
    checkpoints.save_checkpoint(path, state)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StoreError, match="No space left"):
        checkpoints.save_checkpoint(path, {**state, "place": {"epoch": 1}})
    assert checkpoints.load_checkpoint(path, CPU) == state
    assert [file.name for file in tmp_path.iterdir()] == [trainer.CHECKPOINT]


@pytest.mark.parametrize("model", ["fundus2fa", "pix2pixhd"])
def test_the_models_of_one_frame_take_one_step_a_video(tmp_path, model):
    made = train(tiny(tmp_path, model=model, epochs=1, flat_epochs=1))
    terms = set(videos(tmp_path)[0]) - {"epoch", "videos", "rate", "contrast"}
    assert terms == {"gan", "discriminator", "feature_matching"} | (
        {"gradient_variance", "pixel"} if model == "fundus2fa" else set()
    )
    steps = {int(held["step"]) for held in made.networks.optimisers["generator"].state.values()}
    assert steps == {3}
    encoder = load_encoder(model, str(tmp_path / trainer.EXPORT))
    assert encoder.generate(torch.rand(1, 3, SIDE, SIDE)).shape == (1, 1, SIDE, SIDE)


ROWS = {
    "none": set(),
    "attention": {"attention"},
    "patch-nce": {"nce_photograph", "nce_truth"},
    "masked-patch-nce": {"nce_photograph", "nce_truth"},
    "discriminators": set(),
    "all": {"attention", "nce_photograph", "nce_truth"},
}


@pytest.mark.parametrize("ablation", ROWS)
def test_an_ablation_has_the_losses_of_its_row(tmp_path, ablation):
    settings = tiny(tmp_path, preset="paper", scales=1, ablation=ablation)
    made = Trainer(settings, Cases(1), CPU)
    made._open()
    made._train_epoch()
    terms = set(videos(tmp_path)[0]) - {"epoch", "videos", "rate", "contrast"}
    assert terms == {"gan", "discriminator"} | ROWS[ablation]
    assert settings.loss.masked_discriminators == (ablation in ("discriminators", "all"))
    assert (settings.loss.nce_patches == "everywhere") == (ablation == "patch-nce")


def test_the_mask_is_made_of_the_frames_or_of_lesion_labels_inside_the_field():
    eyes = Eyes(2, lesions=True)
    knowledge, lesions = (next(VideoLoader(eyes, mask).load([[0, 1]])) for mask in ("knowledge", "lesions"))
    assert torch.equal(knowledge.mask, knowledge_mask(knowledge.frames))
    assert torch.equal(lesions.mask, torch.ones(2, 1, SIDE, SIDE))
    assert 0 < knowledge.mask.mean() < 0.2


def test_lesion_labels_that_are_wanted_must_be_there(tmp_path):
    with pytest.raises(DataError, match=r"eye \d: no lesion labels"):
        train(tiny(tmp_path, ablation="lesion-mask"))


def test_images_with_nan_are_refused_by_name(tmp_path):
    cases = Cases(1)
    broken = cases.train[0]
    broken.photograph[0, 0, 0] = float("nan")
    cases.train.__class__ = type("Broken", (Eyes,), {"__getitem__": lambda self, index: broken})
    with pytest.raises(DataError, match="eye 0: its photograph or frames hold NaN"):
        train(tiny(tmp_path), cases)


def test_every_video_comes_once_an_epoch_in_another_order_each_and_too_few_are_refused():
    first, second = (epoch_order(7, 2, seed=0, epoch=epoch) for epoch in (0, 1))
    assert [len(batch) for batch in first] == [2, 2, 2]
    assert len({index for batch in first for index in batch}) == 6
    assert first != second
    assert first == epoch_order(7, 2, seed=0, epoch=0)
    with pytest.raises(DataError, match="lower it, or add videos"):
        epoch_order(1, 2, 0, 0)


@pytest.mark.parametrize("workers", [0, 1])
def test_a_loader_gives_the_videos_it_is_asked_for_in_every_pass(workers):
    loader = VideoLoader(Eyes(4), workers=workers)
    for order in ([[2, 0]], [[1], [3], [0]]):
        found = [batch.cases for batch in loader.load(order)]
        assert found == [tuple(f"eye {index}" for index in batch) for batch in order]


def test_a_runs_settings_file_gives_the_same_settings(trained):
    assert build(TrainSettings, yaml.safe_load((trained.folder / "settings.yaml").read_text())) == trained.settings


def test_training_learns(tmp_path):
    only_pixels = {"feature_matching": 0, "attention": 0, "nce_photograph": 0, "nce_truth": 0, "gradient_variance": 0}
    loss = {"gan": 0, "masked_discriminators": False, **only_pixels}
    train(tiny(tmp_path, ngf=4, epochs=8, flat_epochs=8, learning_rate=2e-3, ema=0.99, loss=loss))
    pixel = [line["pixel"] for line in videos(tmp_path)]
    assert np.mean(pixel[-3:]) < 0.5 * pixel[0]


def test_the_command_line_trains_on_phantoms_and_tells_where_the_generator_is(tmp_path, capsys):
    words = [
        "preset=mini",
        "ngf=2",
        "ndf=2",
        "eyes=2",
        "split=1/1/0",
        "epochs=1",
        "image_size=64",
        "crop=none",
    ]
    assert main(["train", f"out={tmp_path}", "device=cpu", "model=pix2pixhd", *words]) == 0
    assert f"model=pix2pixhd:{tmp_path / trainer.EXPORT}" in capsys.readouterr().out
    assert json.loads((tmp_path / "generator.json").read_text())["data"]["data.train.eyes"] == 2
    assert main(["train", f"out={tmp_path}", "device=cpu", "model=fundus2fa", *words]) == 2
    assert "a training with other settings (model was pix2pixhd, is fundus2fa" in capsys.readouterr().err


def test_a_log_drops_what_came_after_the_checkpoint_and_a_line_cut_short(tmp_path):
    log = TrainingLog(tmp_path, 0)
    for count in (1, 2, 3):
        log.write({"videos": count, "validation": {"psnr": 1.0}})
    log.close()
    with (tmp_path / LOG).open("ab") as file:
        file.write(b'{"videos": 4, "gan')
    TrainingLog(tmp_path, 2).close()
    assert [json.loads(line)["videos"] for line in (tmp_path / LOG).read_text().splitlines()] == [1, 2]


def test_tensorboard_gets_the_same_numbers(tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = TrainingLog(tmp_path, 0)
    log.write({"videos": 7, "gan": 0.5, "validation": {"psnr": 20.0}})
    log.close()
    found = EventAccumulator(str(tmp_path / EVENTS)).Reload()
    assert [(event.step, event.value) for event in found.Scalars("gan")] == [(7, 0.5)]
    assert [(event.step, event.value) for event in found.Scalars("validation/psnr")] == [(7, 20.0)]


def test_compiled_networks_learn_the_same(tmp_path, monkeypatch):
    """With a backend that captures the graphs but does not call a C++ compiler, which takes minutes."""
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="aot_eager"))
    usual = {"model": "fundus2fa", "epochs": 1, "flat_epochs": 1}
    compiled = train(tiny(tmp_path / "compiled", **usual, compile=True), Cases(1))
    plain = train(tiny(tmp_path / "plain", **usual), Cases(1))
    assert videos(compiled.folder)[0] == pytest.approx(videos(plain.folder)[0], rel=1e-4)
    assert_same_gradients(gradients(compiled.networks), gradients(plain.networks))


def test_divergence_and_collapse_stop_the_training():
    with pytest.raises(TrainingError, match=r"epoch 3: training diverged \(gan not finite\).*learning_rate"):
        Watch().look({"gan": float("nan"), "contrast": 1.0}, "epoch 3")
    watch = Watch()
    for _ in range(49):
        watch.look({"contrast": 0.001}, "epoch 3")
    with pytest.raises(TrainingError, match="one grey"):
        watch.look({"contrast": 0.001}, "epoch 3")


def test_a_learning_rate_that_breaks_training_is_caught_before_the_checkpoint_is_overwritten(tmp_path):
    with pytest.raises(F2VBenchError, match="diverged"):
        train(tiny(tmp_path, learning_rate=1e30, save_minutes=1e-9))
    held = (
        checkpoints.load_checkpoint(tmp_path / trainer.CHECKPOINT, CPU)
        if (tmp_path / trainer.CHECKPOINT).exists()
        else None
    )
    assert held is None or all(value.isfinite().all() for value in held["networks"]["generator"].values())


def gradients(networks) -> list[torch.Tensor]:
    return [parameter.grad for parameter in networks.parameters()]


def assert_same_gradients(mine, other):
    """Biases before a normalisation have no gradient but rounding of the others', hence the absolute tolerance."""
    rounding = 1e-5 * max(float(gradient.abs().max()) for gradient in other)
    for one, two in zip(mine, other, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-2, atol=rounding + 1e-3 * float(two.abs().max()))


def test_a_step_has_the_gradients_of_the_same_losses_computed_one_after_the_other(tmp_path):
    """The plain way: every network anew for every loss, D's own loss on detached frames, D frozen for G's."""
    settings = tiny(tmp_path, preset="paper", scales=2, ngf=2, loss={"feature_matching": 10.0, "pixel": 10.0})
    made = Trainer(settings, Cases(1), CPU)
    plain = Networks(settings, CPU)
    batch = next(VideoLoader(made._cases.train).load([[0]]))
    one = dataclasses.replace(batch, frames=batch.frames[:, -1:])  # a video of one frame, hence of one step
    made._learner.step(one, 0, 0)

    photograph, real, mask = one.photograph, one.frames.expand(-1, 3, -1, -1), one.mask
    fake = plain.generator(torch.cat([photograph, photograph], 1))
    judge = plain.discriminator
    own = 0
    for m in (1, mask):
        of_fake, of_real = (judge(torch.cat([photograph, x * m], 1)) for x in (fake.detach(), real))
        own = own + losses.lsgan_discriminator_loss(of_fake, of_real)
    own.backward()
    judge.requires_grad_(False)
    total = 0
    for m in (1, mask):
        of_fake, of_real = (judge(torch.cat([photograph, x * m], 1)) for x in (fake, real))
        total = total + 2 * losses.lsgan_generator_loss(of_fake) + 10 * losses.feature_matching_loss(of_fake, of_real)
    activation = plain.generator[:39](torch.cat([photograph, photograph], 1))
    total = total + 4 * losses.attention_loss(activation, mask) + 10 * losses.pixel_loss(fake, real, one.inside)
    for key in (photograph, real):
        rngs = [np.random.default_rng([settings.seed, 0, 0, 0])]
        (nce,) = patch_nce_losses(plain.generator, plain.heads, fake, [key], PatchSampler(), rngs, multiply=mask)
        total = total + nce
    total.backward()
    assert_same_gradients(gradients(made.networks), gradients(plain))


@pytest.mark.parametrize("change", [{"checkpointing": True}, {"workers": 1}])
def test_engineering_choices_do_not_change_losses_and_gradients(tmp_path, change):
    """On one step, because an adversarial training amplifies rounding from step to step."""
    usual = {"model": "fundus2fa", "epochs": 1, "flat_epochs": 1}
    changed, plain = (
        train(tiny(tmp_path / name, **usual, **more), Cases(1)) for name, more in (("changed", change), ("plain", {}))
    )
    assert videos(changed.folder)[0] == pytest.approx(videos(plain.folder)[0], rel=1e-4)
    assert_same_gradients(gradients(changed.networks), gradients(plain.networks))


def test_bf16_trains(tmp_path):
    made = Trainer(tiny(tmp_path, epochs=1), Cases(1), CPU, bf16=True)
    made.run()
    assert made.networks.generator[1].weight.dtype == torch.float32


def test_the_papers_rate_falls_every_fifty_batches_and_the_released_one_every_epoch(tmp_path):
    paper = Trainer(tiny(tmp_path, preset="paper", epochs=4, flat_epochs=0), Cases(100), CPU)
    released = Trainer(
        tiny(tmp_path, preset="released", epochs=50, flat_epochs=10, loss={"perceptual": 0.0}), Cases(100), CPU
    )
    found = {}
    for epoch, batch in [(0, 0), (0, 49), (0, 50), (3, 99)]:
        paper.place.epoch, paper.place.batch = epoch, batch
        found[epoch, batch] = paper._rate_factor()
    assert found == {(0, 0): 1, (0, 49): 1, (0, 50): 1 - 0.5 / 4, (3, 99): 1 - 3.5 / 4}
    released.place.epoch = 10
    assert released._rate_factor() == 1
    released.place.epoch = 49
    assert released._rate_factor() == pytest.approx(1 / 40)


def _train_as_one_of_two(number: int, folder: str, port: int, model: str) -> None:
    torch.set_num_threads(1)
    told = {"RANK": number, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({key: str(value) for key, value in told.items()})
    with process_group(CPU):
        made = train(two_videos_a_step(Path(folder), model), Cases(2))
        if number == 0:
            torch.save(gradients(made.networks), Path(folder) / "gradients.pt")


def two_videos_a_step(folder: Path, model: str) -> TrainSettings:
    return tiny(folder, model=model, batch_size=2, epochs=1, flat_epochs=1)


@pytest.mark.parametrize("model", ["fundus2video", "fundus2fa"])
def test_two_processes_have_the_gradients_of_one_with_the_same_batch(tmp_path, model):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = (str(tmp_path / "two"), port, model)
    torch.multiprocessing.spawn(_train_as_one_of_two, arguments, nprocs=2)
    alone = train(two_videos_a_step(tmp_path / "one", model), Cases(2))
    (mine,), (other,) = videos(tmp_path / "two"), videos(tmp_path / "one")
    assert mine == pytest.approx(other, rel=1e-4 if model == "fundus2fa" else 5e-2)
    if model == "fundus2fa":  # one step a video: no rounding has been amplified by the steps before
        assert_same_gradients(torch.load(tmp_path / "two" / "gradients.pt"), gradients(alone.networks))
