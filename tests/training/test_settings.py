"""Training settings: presets, derived values, refused combinations, and the command that repeats a training."""

from __future__ import annotations

import pytest

from f2vbench.config.parsing import build, parse
from f2vbench.encoders.mae import TransformerShape
from f2vbench.errors import SettingsError
from f2vbench.training.masked_autoencoder import MaskedAutoencoder
from f2vbench.training.repro_command import training_command
from f2vbench.training.settings import TrainSettings
from f2vbench.training.trained_networks import generator_shape

WEIGHTS = ("gan", "feature_matching", "attention", "nce_photograph", "nce_truth", "perceptual", "gradient_variance")
WEIGHTS += ("pixel", "squared", "gradient", "truth")


def test_presets_are_the_published_tables():
    paper = build(TrainSettings, {"preset": "paper"})
    released = build(TrainSettings, {"preset": "released", "loss": {"vgg": "vgg19.pth"}})
    loss = paper.loss
    assert (loss.nce_photograph, loss.nce_truth, loss.attention, loss.gan) == (1, 1, 4, 2)
    assert (loss.feature_matching, loss.perceptual, loss.gradient_variance, loss.pixel) == (0, 0, 0, 0)
    assert (paper.scales, paper.learning_rate, paper.update_every, paper.split) == (3, 2e-3, 50, [70, 15, 15])
    loss = released.loss
    assert (loss.nce_photograph, loss.nce_truth, loss.attention, loss.gan, loss.gan_masked) == (0.5, 0.5, 0, 2, 1)
    assert (loss.feature_matching, loss.perceptual, loss.gradient_variance) == (10, 10, 5)
    assert (loss.feature_matching_views, loss.gradient_variance_frames, loss.masked_photograph) == ("whole", "mixed", 1)
    assert (released.phases, released.augment) == ("released", "released")
    assert (released.scales, released.learning_rate, released.epochs, released.flat_epochs) == (2, 2e-4, 50, 10)
    assert (released.split, released.beta1, released.beta2) == ([90, 5, 5], 0.5, 0.999)


def test_the_keys_of_the_released_losses_are_part_of_the_identity_only_where_they_are_used():
    """Trainings of versions without these keys can be resumed."""
    new = {"phases", "loss.gan_masked", "loss.feature_matching_views", "loss.masked_photograph"}
    new.add("loss.gradient_variance_frames")
    assert not new & build(TrainSettings, {"preset": "paper"}).identity().keys()
    assert new < build(TrainSettings, {"preset": "released", "loss": {"vgg": "vgg19.pth"}}).identity().keys()
    single = build(TrainSettings, {"preset": "released", "model": "fundus2fa", "loss": {"vgg": "vgg19.pth"}})
    assert single.phases == "named"
    with pytest.raises(SettingsError, match="phases=released: the model needs the frame of a named phase"):
        build(TrainSettings, {"model": "fundus2fa", "phases": "released"})


def test_numbers_of_epochs_keep_their_share_of_the_total():
    default, short = (build(TrainSettings, {"preset": "mini", **changes}) for changes in ({}, {"epochs": 7}))
    assert short.flat_epochs == pytest.approx(7 * default.flat_epochs / default.epochs, abs=0.5)
    assert short.pixel_epochs == pytest.approx(7 * default.pixel_epochs / default.epochs, abs=0.5)
    assert build(TrainSettings, {"preset": "mini", "epochs": 7, "pixel_epochs": 2}).pixel_epochs == 2
    whole_squares = build(TrainSettings, {"preset": "mini", "crop": None})
    assert (whole_squares.crop, whole_squares.late_crop, whole_squares.late_epochs) == (None, None, 0)


def test_a_number_of_epochs_keeps_the_stages_of_a_wall_clock_budget_in_proportion():
    values = {"preset": "mini", "minutes": 30, "epochs": 50}
    settings, default = build(TrainSettings, values), build(TrainSettings, {"preset": "mini"})
    for key in ("warmup_epochs", "flat_epochs", "pixel_epochs", "rollout_epochs"):
        assert getattr(settings, key) == pytest.approx(getattr(default, key) / 2, abs=0.5)
    assert settings.identity()["minutes"] == 30
    assert build(TrainSettings, {**values, "minutes": "none"}).minutes is None


@pytest.mark.parametrize("model", ["fundus2fa", "pix2pixhd", "truth"])
def test_models_without_windows_have_no_time_plane_and_no_roll_out(model):
    settings = build(TrainSettings, {"model": model, "preset": "mini"})
    assert (settings.time, settings.rollout_epochs, settings.uses_mask()) == ("none", 0, False)
    assert generator_shape(settings).inputs == 3
    losses = [name for name in WEIGHTS if getattr(settings.loss, name)]
    assert losses == {
        "fundus2fa": ["gan", "feature_matching", "gradient_variance", "squared", "gradient", "truth"],
        "pix2pixhd": ["gan", "feature_matching"],
        "truth": ["truth"],
    }.get(model)


def test_preset_mini_uses_noise_free_frames_where_they_exist():
    simulated, own = (build(TrainSettings, {"preset": "mini", "data": data}) for data in ("phantom", "pairs.csv"))
    assert (simulated.targets, own.targets) == ("noise-free", "acquired")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"preset": "released"}, r"vgg19-dcbb9e9d\.pth .* loss\.perceptual=0"),
        ({"loss": {"gann": 1}}, "unknown key 'loss.gann'.*did you mean 'loss.gan'"),
        ({"image_size": 100}, "image_size"),
        ({"model": "pix2pixhd", "loss": {"attention": 4}}, "has one frame and no mask"),
        ({"model": "fundus2fa", "ablation": "none"}, "only model=fundus2video"),
        ({"flat_epochs": 101}, "flat_epochs=101 is more than epochs=100"),
        ({"preset": "minni"}, "did you mean 'mini'"),
        ({"augment": "f3v"}, "did you mean 'f2v'"),
        ({"windows": 5}, "windows=5: must divide 12"),
        ({"pixel_epochs": 101}, "pixel_epochs=101 is more than epochs=100"),
        ({"pixel_epochs": 1, "loss": {"squared": 0}}, "loss.pixel or loss.squared above 0"),
        ({"late_epochs": 2}, "needs late_crop"),
        ({"late_epochs": 2, "late_crop": 256, "preset": "paper"}, "without crop="),
        ({"late_epochs": 101, "late_crop": 256, "crop": 64}, "late_epochs=101 is more"),
        ({"crop": 1040, "enlarge": 2}, "crop=1040 is larger than image_size × enlarge = 1024"),
        ({"enlarge": 3}, "enlarge"),
        (
            {"image_size": 80, "crop": None, "downsamplings": 5},
            "image_size × enlarge=80: downsamplings=5 need a multiple of 32 pixels",
        ),
        ({"image_size": 96, "crop": 80, "downsamplings": 5}, "^crop=80: downsamplings=5 need a multiple of 32"),
        ({"downsamplings": 6}, "downsamplings"),
        ({"skips": "concatenated"}, "skips"),
        ({"model": "fundus2fa", "time": "plane"}, "time=plane: only model=fundus2video has windows; leave it out"),
        ({"model": "truth", "time": "plane"}, "time=plane: only model=fundus2video has windows"),
        ({"model": "fundus2fa", "rollout_epochs": 2}, "rollout_epochs=2: only model=fundus2video has windows"),
        ({"rollout_epochs": 101}, "rollout_epochs=101 is more than epochs=100"),
        ({"warmup_epochs": 101}, "warmup_epochs=101 is more than epochs=100"),
        ({"previous_dropped": 1.5}, "previous_dropped"),
        ({"minutes": 0}, "minutes"),
        ({"minutes": 5, "late_epochs": 2, "late_crop": 256, "crop": 64}, "minutes= has no late_epochs: leave one"),
        ({"model": "truth", "data": "pairs.csv"}, "model=truth needs what only the simulator knows: .* data=phantom"),
        ({"targets": "noise-free", "data": "pairs.csv"}, "targets=noise-free needs what only the simulator knows"),
        ({"model": "truth", "loss": {"truth": 0}}, "loss.truth=0: model=truth has no other loss"),
        ({"model": "truth", "loss": {"attention": 1}}, "model=truth has one frame and no mask"),
        (
            {"pixel_epochs": 0, "loss": {"gan": 0, "squared": 0, "feature_matching": 0}},
            "no loss compares frames with the truth",
        ),
    ],
)
def test_invalid_settings_of_generators_are_refused_with_the_remedy(values, message):
    with pytest.raises(SettingsError, match=message):
        build(TrainSettings, values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"loss": {"gan": 1}, "crop": 64, "ngf": 8}, r"model=mae does not use crop, loss\.gan, ngf"),
        ({"ablation": "none"}, "model=mae does not use ablation"),
        ({"preset": "paper"}, "preset=paper: model=mae has the presets f2v and mini"),
        ({"model": "fundus2fa", "mae": {"depth": 3}}, r"model=fundus2fa does not use mae\.depth"),
        ({"mae": {"width": 100}}, r"mae\.width"),
        ({"image_size": 64, "mae": {"mask": 0.99}}, "of 16 patches at least one must be visible"),
        ({"warmup_epochs": 1000}, "warmup_epochs=1000 is more than epochs"),
    ],
)
def test_invalid_settings_of_masked_autoencoders_are_refused(values, message):
    with pytest.raises(SettingsError, match=message):
        build(TrainSettings, {"model": "mae", "preset": "mini", **values})


def test_the_mini_masked_autoencoder_has_less_than_12_megabytes_in_half_precision():
    settings = build(TrainSettings, {"model": "mae", "preset": "mini"})
    shape = TransformerShape(settings.mae.width, settings.mae.depth, settings.image_size)
    assert shape == TransformerShape()  # the shape of mae:untrained
    network = MaskedAutoencoder(shape, settings.mae.decoder_width, settings.mae.decoder_depth)
    assert 2 * sum(parameter.numel() for parameter in network.parameters()) < 11.9e6


def test_the_command_of_a_training_gives_the_same_settings():
    settings = build(TrainSettings, {"model": "mae", "preset": "mini", "seed": 4, "mae": {"mask": 0.5}})
    command = training_command(settings)
    assert command == "f2vbench train model=mae preset=mini seed=4 mae.mask=0.5"
    assert parse(TrainSettings, command.split()[2:]) == settings


def test_run_loggers_are_no_part_of_a_training():
    plain, logged = build(TrainSettings, {}), build(TrainSettings, {"log": "wandb,mlflow"})
    assert logged.log == ["wandb", "mlflow"]
    assert plain.identity() == logged.identity()
    assert plain.used() == logged.used()
    with pytest.raises(SettingsError, match="log"):
        build(TrainSettings, {"log": "comet"})
