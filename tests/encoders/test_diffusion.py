"""`med-ddpm` as a model: samplers, model arguments, weights files, and generated frames."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from f2vbench.adapters.registry import adapter_for
from f2vbench.config.run import RunSettings
from f2vbench.encoders import model_family
from f2vbench.encoders.loading import build_encoder, load_encoder
from f2vbench.encoders.model_argument import parse_model
from f2vbench.encoders.model_family import UNTRAINED
from f2vbench.encoders.samplers import parse_sampler
from f2vbench.encoders.spec import ModelSpec
from f2vbench.errors import SettingsError, WeightsError
from f2vbench.pretrained.checkpoints import read_state_dict
from tests.helpers.video_models import DIFFUSION_SHAPE, write_diffusion

needs_diffusers = pytest.mark.skipif(
    importlib.util.find_spec("diffusers") is None, reason="the extra f2vbench[diffusion] is not installed"
)


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A weights file of a small network."""
    pytest.importorskip("diffusers")
    return write_diffusion(tmp_path_factory.mktemp("weights") / "small.safetensors")


def exact_prediction(clean: torch.Tensor, kept: torch.Tensor, prediction: str):
    """Noise or frames of videos whose content without noise is known."""

    def predict(noisy, photograph, steps):
        share = kept[steps[0]]
        noise = (noisy - share.sqrt() * clean) / (1 - share).sqrt()
        return noise if prediction == "noise" else clean

    return predict


def shape_of(noise_steps: int, prediction: str = "noise"):
    """A network shape with these noise steps."""
    from f2vbench.encoders.diffusion import DiffusionShape

    return DiffusionShape(noise_steps=noise_steps, prediction=prediction)


@needs_diffusers
@pytest.mark.parametrize("prediction", ["noise", "frames"])
@pytest.mark.parametrize("name", ["ddpm", "ddim-25", "ddim-10", "dpm-solver-20", "dpm-solver-7"])
def test_every_sampler_finds_the_video_whose_noise_is_known(name, prediction):
    from f2vbench.encoders.diffusion import noise_schedule, sample_videos

    clean = torch.rand(2, 12, 8, 8, generator=torch.Generator().manual_seed(0)) * 1.6 - 0.8
    kept = noise_schedule(250).alphas_cumprod
    predict, sampler = exact_prediction(clean, kept, prediction), parse_sampler(name, 250)
    found = sample_videos(predict, torch.zeros(2, 3, 8, 8), [1, 2], sampler, shape_of(250, prediction))
    torch.testing.assert_close(found, clean, atol=0.02, rtol=0)


@needs_diffusers
def test_ddim_equals_a_slow_loop_of_equation_12():
    from f2vbench.encoders.diffusion import noise_schedule, sample_videos

    kept = noise_schedule(20).alphas_cumprod.double().tolist()
    visited = []

    def predict(noisy, photograph, steps):
        visited.append(int(steps[0]))
        return 0.3 * noisy + 0.1 * steps[0] / 20

    found = sample_videos(predict, torch.zeros(1, 3, 4, 4), [7], parse_sampler("ddim-5", 20), shape_of(20))
    assert visited == [19, 15, 11, 7, 3]
    video = torch.randn((12, 4, 4), generator=torch.Generator().manual_seed(7)).double().numpy()
    for step, before in zip(visited, [15, 11, 7, 3, -1], strict=True):
        kept_before = 1.0 if before < 0 else kept[before]
        noise = 0.3 * video + 0.1 * step / 20
        clean = np.clip((video - np.sqrt(1 - kept[step]) * noise) / np.sqrt(kept[step]), -1, 1)
        noise = (video - np.sqrt(kept[step]) * clean) / np.sqrt(1 - kept[step])
        video = np.sqrt(kept_before) * clean + np.sqrt(1 - kept_before) * noise
    np.testing.assert_allclose(found[0], np.clip(video, -1, 1), atol=1e-4)


@needs_diffusers
def test_frames_depend_on_the_pixels_alone_and_have_the_size_of_the_photograph(weights):
    encoder = build_encoder(parse_model(f"med-ddpm:{weights}"))
    stream = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (2, 3, 48, 40), generator=stream).float() / 255
    torch.manual_seed(9)
    together = encoder.generate(x)
    assert together.shape == (2, 12, 48, 40)
    assert together.dtype == torch.float32
    assert 0 <= together.min() < together.max() <= 1
    for position in (1, 0):
        alone = build_encoder(parse_model(f"med-ddpm:{weights}")).generate(x[[position]])
        torch.testing.assert_close(alone[0], together[position], atol=1e-4, rtol=0)
    assert torch.equal(encoder.generate(x[:1]), encoder.generate(x[:1]))
    changed = x[:1].clone()
    changed[0, 0, 0, 0] = 1 - changed[0, 0, 0, 0]
    assert not torch.allclose(encoder.generate(changed), together[:1], atol=1e-2)
    assert encoder.generate(x[:1], frames=5).shape == (1, 5, 48, 40)
    assert torch.equal(encoder.vessel_score(x[:1], "venous"), encoder.generate(x[:1])[:, 4:8].mean(1))


@needs_diffusers
def test_ancestral_sampling_repeats_and_does_not_depend_on_the_batch(weights):
    encoder = build_encoder(parse_model(f"med-ddpm:{weights}@ddpm"))
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(3))
    torch.testing.assert_close(encoder.generate(x)[1], encoder.generate(x[1:])[0], atol=1e-4, rtol=0)


@needs_diffusers
def test_the_sampler_is_part_of_name_and_identity(weights):
    default, same, other, ancestral = (
        parse_model(f"med-ddpm:{weights}{suffix}") for suffix in ("", "@ddim-5", "@dpm-solver-8", "@ddpm")
    )
    assert (default.kind, default.can_generate, default.is_network) == ("generator", True, True)
    assert default == same
    assert [spec.name.removeprefix("med-ddpm:small") for spec in (default, other, ancestral)] == [
        "",
        "@dpm-solver-8",
        "@ddpm",
    ]
    assert [spec.identity()["sampler"] for spec in (default, other, ancestral)] == ["ddim-5", "dpm-solver-8", "ddpm"]
    assert default.identity()["diffusers"]
    assert (
        build_encoder(other).describe() | {"sampler": "dpm-solver", "sampler_steps": 8}
        == build_encoder(other).describe()
    )
    assert build_encoder(ancestral).describe()["sampler_steps"] == 20
    assert parse_model("med-ddpm:untrained").identity()["sampler"] == "ddim-50"


@needs_diffusers
@pytest.mark.parametrize(
    ("argument", "error", "message"),
    [
        ("med-ddpm:{}@ddim-7", SettingsError, "must divide the 20 noise steps of the training: 1, 2, 4, 5, 10, 20"),
        ("med-ddpm:{}@dpm-solver-21", SettingsError, "the training has 20 noise steps; use at most as many"),
        ("med-ddpm:{}@ddim-5@ddpm", SettingsError, "both set the sampler"),
        ("med-ddpm:{}@mean", SettingsError, "med-ddpm has no mean, only pix2pixHD generators have"),
        ("med-ddpm:{}@ddim", SettingsError, "no @ddim.*ddim-<steps>"),
        ("tophat@ddim-5", SettingsError, "tophat.*no"),
        ("fundus2video:untrained@ddim-5", SettingsError, "fundus2video has no ddim-5, only diffusion models have"),
        ("fundus2video:{}", WeightsError, "no pix2pixHD generator"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(weights, argument, error, message):
    with pytest.raises(error, match=message):
        parse_model(argument.format(weights))


@needs_diffusers
def test_files_of_other_networks_and_damaged_shapes_are_refused(weights, tmp_path):
    other = tmp_path / "other.safetensors"
    save_file({"model.1.weight": torch.zeros(2)}, other)
    with pytest.raises(WeightsError, match=r"other\.safetensors: no weights of med-ddpm, .*'sampler'"):
        parse_model(f"med-ddpm:{other}")
    wider = {
        "photograph": "plain",
        "side": "32",
        "sampler": "ddim-5",
        "diffusion": json.dumps({**DIFFUSION_SHAPE, "layers": 2}),
    }
    save_file(read_state_dict(weights), other, {"seen": json.dumps(wider)})
    with pytest.raises(WeightsError, match="made for another architecture"):
        build_encoder(parse_model(f"med-ddpm:{other}"))
    wider["diffusion"] = json.dumps({"noise_steps": 20, "network": "2d", "layers": 1})
    save_file(read_state_dict(weights), other, {"seen": json.dumps(wider)})
    with pytest.raises(WeightsError, match="channels, prediction missing"):
        build_encoder(parse_model(f"med-ddpm:{other}"))
    wider["diffusion"] = json.dumps({**DIFFUSION_SHAPE, "prediction": "video"})
    save_file(read_state_dict(weights), other, {"seen": json.dumps(wider)})
    with pytest.raises(WeightsError, match="prediction=video"):
        build_encoder(parse_model(f"med-ddpm:{other}"))


@needs_diffusers
def test_it_has_no_embedding_and_no_feature_maps(weights):
    with pytest.raises(SettingsError, match="has no embeddings"):
        load_encoder(f"med-ddpm:{weights}")
    spec, settings = parse_model(f"med-ddpm:{weights}"), RunSettings(task=["rite"], model=["tophat"])
    encoder = build_encoder(spec)
    for call in (encoder.embed, encoder.pyramid):
        with pytest.raises(SettingsError, match="no embeddings and no feature maps"):
            call([np.zeros((32, 32, 3), np.uint8)])
    reasons = {
        (family, protocol): adapter_for(family).unsupported_reason(spec, protocol, settings)
        for family in ("classification", "segmentation", "retrieval", "generation")
        for protocol in adapter_for(family).protocols
    }
    possible = {place for place, reason in reasons.items() if reason is None}
    assert possible == {("generation", "zero-shot"), ("segmentation", "zero-shot")}


def test_without_diffusers_the_message_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(model_family, "find_spec", lambda name: None)
    for argument in ("med-ddpm", "med-ddpm:untrained"):
        with pytest.raises(SettingsError, match=r"needs the package diffusers.*pip install \"f2vbench\[diffusion\]\""):
            parse_model(argument)
    from f2vbench.encoders.diffusion import DiffusionShape, denoising_network

    with pytest.raises(SettingsError, match=r"f2vbench\[diffusion\]"):
        denoising_network(DiffusionShape())
    with pytest.raises(SettingsError, match=r"f2vbench\[diffusion\]"):
        build_encoder(ModelSpec("m", "med-ddpm", "med-ddpm", "generator", False, UNTRAINED))
