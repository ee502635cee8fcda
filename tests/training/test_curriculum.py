"""What a training shows its networks as it goes: enlarged squares, larger crops, parts of videos, losses that join."""

import numpy as np
import pytest
import torch

from f2vbench.config.parsing import build
from f2vbench.encoders.global_generator import global_generator, initialise, roll_out
from f2vbench.encoders.loading import load_encoder
from f2vbench.encoders.model_family import GeneratorShape
from f2vbench.errors import SettingsError, WeightsError
from f2vbench.training import losses
from f2vbench.training.checkpoints import export_generator
from f2vbench.training.data.batches import VideoLoader
from f2vbench.training.data.dataset import open_cases
from f2vbench.training.settings import TrainSettings
from f2vbench.training.trainer import Trainer
from tests.training.test_trainer import CPU, Cases, tiny, videos


def test_the_squared_loss_counts_the_field_of_view_only():
    fake, real = torch.zeros(1, 2, 2, 2), torch.tensor([[[[1.0, 9], [3, 9]], [[5, 9], [7, 9]]]])
    inside = torch.tensor([[[[1.0, 0], [1, 0]]]])
    assert float(losses.squared_loss(fake, real, inside)) == (1 + 9 + 25 + 49) / 4
    assert float(losses.squared_loss(fake, real, inside * 0)) == 0


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"windows": 5}, "windows=5: equal parts of 12"),
        ({"pixel_epochs": 60}, "pixel_epochs=60 is more than epochs=50"),
        ({"pixel_epochs": 1, "loss": {"pixel": 0}}, "loss.pixel or loss.squared above 0"),
        ({"late_epochs": 2}, "needs late_crop"),
        ({"late_epochs": 2, "late_crop": 256}, "without crop="),
        ({"late_epochs": 60, "late_crop": 256, "crop": 64}, "late_epochs=60 is more"),
        ({"crop": 1040, "enlarge": 2}, "crop=1040 is larger than image_size × enlarge = 1024"),
        ({"enlarge": 3}, "enlarge"),
    ],
)
def test_what_does_not_fit_is_told(values, told):
    with pytest.raises(SettingsError, match=told):
        build(TrainSettings, values)


def test_the_presets_kinds_of_epochs_keep_their_shares():
    usual, short = (build(TrainSettings, {"preset": "mini", **more}) for more in ({}, {"epochs": 7}))
    assert short.flat_epochs == pytest.approx(7 * usual.flat_epochs / usual.epochs, abs=0.5)
    assert short.pixel_epochs == pytest.approx(7 * usual.pixel_epochs / usual.epochs, abs=0.5)
    assert build(TrainSettings, {"preset": "mini", "epochs": 7, "pixel_epochs": 2}).pixel_epochs == 2
    whole = build(TrainSettings, {"preset": "mini", "crop": None})
    assert (whole.crop, whole.late_crop, whole.late_epochs) == (None, None, 0)


def test_losses_other_than_of_pixels_join_after_the_pixel_epochs(tmp_path):
    settings = tiny(tmp_path, pixel_epochs=1, loss={"pixel": 10.0, "squared": 1.0})
    made = Trainer(settings, Cases(1), CPU)
    untouched = [parameter.clone() for parameter in made.networks.discriminator.parameters()]
    made._open()
    made._train_epoch()
    assert set(videos(tmp_path)[0]) & {"pixel", "squared", "gan", "attention", "gradient_variance"} == {
        "pixel",
        "squared",
    }
    for parameter, before in zip(made.networks.discriminator.parameters(), untouched, strict=True):
        assert torch.equal(parameter, before)
    made._end_epoch()
    made._train_epoch()
    assert set(videos(tmp_path)[1]) >= {"pixel", "squared", "gan", "discriminator", "attention", "nce_truth"}
    assert not torch.equal(next(made.networks.discriminator.parameters()), untouched[0])


def test_a_part_of_a_video_begins_with_true_frames_and_all_parts_come(tmp_path, monkeypatch):
    made = Trainer(tiny(tmp_path, windows=4), Cases(1), CPU)
    batch = next(VideoLoader(made._cases.train).load([[0]]))
    seen: list[torch.Tensor] = []
    step = made._learner.step
    window = step._window
    monkeypatch.setattr(step, "_window", lambda shown, *rest: seen.append(shown) or window(shown, *rest))
    starts = set()
    for done in range(12):
        seen.clear()
        step(batch, 0, done)
        assert len(seen) == 4
        first = seen[0][:, 3:]
        if torch.equal(first, batch.photograph):
            starts.add(0)
        else:
            # Window n begins after the prediction of window n - 1: true frames n, n + 1, n + 2, from 1.
            starts.update(n for n in (4, 8) if torch.equal(first, batch.frames[:, n - 1 : n + 2]))
    assert starts == {0, 4, 8}


def test_a_training_can_begin_with_the_weights_of_another(tmp_path):
    first = Trainer(tiny(tmp_path / "first", export_half=False), Cases(1), CPU)
    first.run()
    exported = tmp_path / "first" / "generator.safetensors"
    made = Trainer(tiny(tmp_path / "second", start=exported, seed=5), Cases(1), CPU)
    made._open()
    for name, tensor in first.networks.best.state_dict().items():
        assert torch.equal(made.networks.generator.state_dict()[name], tensor)
        assert torch.equal(made.networks.best.state_dict()[name], tensor)
    wider = Trainer(tiny(tmp_path / "third", start=exported, ngf=3), Cases(1), CPU)
    with pytest.raises(WeightsError, match=r"first/generator\.safetensors"):
        wider.run()
    with pytest.raises(WeightsError, match=r"nothing\.safetensors: can.t be read"):
        Trainer(tiny(tmp_path / "fourth", start=tmp_path / "nothing.safetensors"), Cases(1), CPU)


def test_a_video_generator_that_begins_with_one_of_one_frame_shows_that_frame_twelve_times(tmp_path):
    one = global_generator(GeneratorShape(3, 1, 2))
    initialise(one, seed=3)
    export_generator(one, tmp_path / "one.safetensors", {})
    made = Trainer(tiny(tmp_path / "video", start=tmp_path / "one.safetensors"), Cases(1), CPU)
    made._open()
    photograph = 2 * torch.rand(1, 3, 32, 32) - 1
    best = made.networks.best.eval().to(memory_format=torch.contiguous_format)  # as the other, so sums are the same
    video = roll_out(best, photograph, 12)
    torch.testing.assert_close(video, one(photograph).expand_as(video))


def test_a_training_can_begin_with_weights_that_a_card_names(tmp_path):
    settings = {"model": "fundus2fa", "preset": "mini", "start": "fundus2fa-mini", "out": tmp_path, "eyes": 2}
    made = Trainer(build(TrainSettings, settings), Cases(1), CPU)
    made._open()
    encoder = load_encoder("fundus2fa-mini")
    for mine, other in zip(made.networks.generator[:19].parameters(), encoder.parameters(), strict=True):
        torch.testing.assert_close(mine, other)


@pytest.fixture(scope="module")
def phantoms():
    usual = {"size": 64, "seed": 0, "eyes": 1, "validation": 0.5, "test": 0.0, "augment": "none"}
    plain = open_cases("phantom", **usual)
    return plain, open_cases("phantom", **usual, enlarge=2, crop=32, late_crop=(1, 64))


def test_enlarged_squares_show_the_same_eye_twice_as_large(phantoms):
    plain, enlarged = phantoms
    small, large = plain.validation[0], enlarged.validation[0]
    assert large.frames.shape == (12, 1, 128, 128)
    assert large.photograph.shape == (3, 128, 128)
    reduced = torch.nn.functional.avg_pool2d(large.frames[:, 0], 2)
    assert np.corrcoef(reduced.flatten(), small.frames.flatten())[0, 1] > 0.98


def test_crops_are_larger_in_the_late_epochs(phantoms):
    _, enlarged = phantoms
    assert enlarged.train[0].photograph.shape == (3, 32, 32)
    enlarged.set_epoch(1)
    assert enlarged.train[0].photograph.shape == (3, 64, 64)
    enlarged.set_epoch(0)


def test_an_encoder_enlarges_what_its_generator_saw_enlarged(tmp_path):
    generator = global_generator(GeneratorShape(3, 1, 2))
    initialise(generator)
    export_generator(generator, tmp_path / "plain.safetensors", {})
    export_generator(generator, tmp_path / "twice.safetensors", {}, seen={"enlarge": "2"})
    plain = load_encoder("fundus2fa", str(tmp_path / "plain.safetensors"))
    twice = load_encoder("fundus2fa", str(tmp_path / "twice.safetensors"))
    assert (plain.strides, twice.strides) == ((1, 2, 4, 8, 16), (1, 2, 4, 8))
    assert plain.state_sha256() != twice.state_sha256()
    photograph = torch.rand(1, 3, 64, 64)
    larger = torch.nn.functional.interpolate(photograph, scale_factor=2, mode="bicubic").clamp(0, 1)
    for mine, other in zip(twice.pyramid(photograph), plain.pyramid(larger)[1:], strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-4)
    assert [tuple(m.shape[1:]) for m in twice.pyramid(photograph)] == [
        (channels, 64 // stride, 64 // stride) for channels, stride in zip(twice.channels, twice.strides, strict=True)
    ]
    made = torch.nn.functional.avg_pool2d(plain.generate(larger), 2)
    torch.testing.assert_close(twice.generate(photograph), made, rtol=1e-3, atol=1e-4)


def test_an_encoder_takes_the_shading_away_where_its_generator_saw_none(tmp_path):
    from f2vbench.data.field_of_view import field_of_view
    from f2vbench.data.shading_correction import normalised_picture

    generator = global_generator(GeneratorShape(3, 1, 2))
    initialise(generator)
    export_generator(generator, tmp_path / "plain.safetensors", {})
    export_generator(generator, tmp_path / "seen.safetensors", {}, seen={"photograph": "normalised"})
    plain, seen = (load_encoder("fundus2fa", str(tmp_path / f"{name}.safetensors")) for name in ("plain", "seen"))
    rows, columns = np.mgrid[:64, :64]
    inside = (rows - 32) ** 2 + (columns - 32) ** 2 < 28**2
    rng = np.random.default_rng(0)
    picture = (inside[..., None] * (60 + columns[..., None] + rng.integers(0, 40, (64, 64, 3)))).astype(np.uint8)
    shown = normalised_picture(picture, field_of_view(picture))

    def tensor(image):
        return torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255

    torch.testing.assert_close(seen.generate(tensor(picture)), plain.generate(tensor(shown)))
    for mine, other in zip(seen.pyramid(tensor(picture)), plain.pyramid(tensor(shown)), strict=True):
        torch.testing.assert_close(mine, other)
    assert seen.state_sha256() != plain.state_sha256()


def test_samples_without_shading_are_grey_outside_and_even_inside():
    usual = {"size": 64, "seed": 0, "eyes": 1, "validation": 0.5, "test": 0.0, "augment": "none"}
    plain = open_cases("phantom", **usual).validation[0]
    even = open_cases("phantom", **usual, normalised=True).validation[0]
    assert torch.equal(plain.frames, even.frames)
    outside = ~even.inside.expand(3, -1, -1)
    assert (plain.photograph[outside] == -1).all()
    assert even.photograph[outside].abs().max() < 0.01
    assert abs(float(even.photograph[~outside].mean())) < 0.1


def test_a_rim_where_the_light_falls_off_is_no_vessel():
    from f2vbench.data.field_of_view import field_of_view
    from f2vbench.data.shading_correction import normalised_picture

    rows, columns = np.mgrid[:512, :512]
    light = np.clip((250 - np.hypot(rows - 255.5, columns - 255.5)) / 3 + 0.5, 0, 1)  # falls off over 3 pixels
    noise = np.random.default_rng(0).normal(0, 3, (512, 512, 3))
    picture = (light[..., None] * ([150, 90, 50] + noise)).clip(0, 255).astype(np.uint8)
    shown = normalised_picture(picture, field_of_view(picture)).astype(float)
    rim = np.abs(np.hypot(rows - 255.5, columns - 255.5) - 250) < 6
    plain = np.hypot(rows - 255.5, columns - 255.5) < 200
    assert shown[rim].min() > shown[plain].min() - 10


def test_a_wrong_note_in_a_file_is_refused(tmp_path):
    generator = global_generator(GeneratorShape(3, 1, 2))
    export_generator(generator, tmp_path / "w.safetensors", {}, seen={"enlarge": "7"})
    with pytest.raises(WeightsError, match="enlarge=7 in its metadata"):
        load_encoder("fundus2fa", str(tmp_path / "w.safetensors"))
    export_generator(generator, tmp_path / "w.safetensors", {}, seen={"phase": "choroidal"})
    with pytest.raises(WeightsError, match="phase=choroidal in its metadata; arterial or venous or late"):
        load_encoder("fundus2fa", str(tmp_path / "w.safetensors"))


@pytest.mark.parametrize(("model", "phase", "told"), [("fundus2fa", "late", "late"), ("fundus2video", "venous", None)])
def test_the_phase_of_a_single_frame_goes_with_the_weights(tmp_path, model, phase, told):
    settings = build(TrainSettings, {"model": model, "preset": "mini"} | ({"phase": phase} if told else {}))
    seen = settings.seen()
    assert seen.get("phase") == told
    generator = global_generator(GeneratorShape(6 if model == "fundus2video" else 3, 3, 2))
    initialise(generator)
    export_generator(generator, tmp_path / "w.safetensors", {}, seen=seen)
    encoder = load_encoder(model, str(tmp_path / "w.safetensors"))
    assert (encoder.phase, encoder.enlarge, encoder.normalised) == (phase, settings.enlarge, True)


def test_a_photograph_black_outside_its_field_is_shown_as_in_training(tmp_path):
    """Where the encoder has to find the field of view, the generator sees nearly what it saw where it was known."""
    from f2vbench.data.shading_correction import normalised_picture

    generator = global_generator(GeneratorShape(3, 1, 2))
    initialise(generator)
    export_generator(generator, tmp_path / "seen.safetensors", {}, seen={"photograph": "normalised"})
    seen = load_encoder("fundus2fa", str(tmp_path / "seen.safetensors"))
    given = []
    seen.model.register_forward_pre_hook(lambda _, x: given.append(x[0]))
    rows, columns = np.mgrid[:128, :128]
    away = np.hypot(rows - 63.5, columns - 63.5)
    inside = away < 60
    light = (160 - away)[..., None] * [1.0, 0.6, 0.3] + 8 * np.sin(columns / 3)[..., None]
    picture = (light * inside[..., None]).astype(np.uint8)
    seen.generate(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255)
    shown = 127.5 * (given[0][0].permute(1, 2, 0).numpy() + 1)
    expected = normalised_picture(picture, inside)
    assert np.abs(shown - expected)[away < 54].mean() < 3
    assert np.abs(shown - 128)[away > 63].max() < 1
