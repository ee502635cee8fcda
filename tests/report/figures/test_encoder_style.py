"""Encoders have the same colour, marker and hatch in every figure."""

from __future__ import annotations

from matplotlib.colors import to_hex

from f2vbench.encoders.registry import FAMILIES
from f2vbench.report.figures.encoder_style import encoder_colours, encoder_styles
from tests.helpers.drawn_figures import draw_one, legend_handles


def test_the_colour_of_an_encoder_does_not_depend_on_the_others():
    names = [
        "fundus2video:a",
        "retfound:mae_meh",
        "fundus2fa:untrained",
        "timm:resnet18",
        "tophat",
        "scratch",
        "mae",
    ]
    colours = encoder_colours(names)
    assert encoder_colours(names[::-1]) == colours
    for name in names[:3]:
        assert encoder_colours([name])[name] == colours[name]
    models = [colours[name] for name in names if name not in ("tophat", "scratch")]
    assert len(set(models)) == len(models)


def test_the_first_encoder_of_a_family_has_the_colour_of_its_registry_entry():
    for name, family in FAMILIES.items():
        if family.colour is not None:
            assert encoder_colours([f"{name}:a", f"{name}:b"])[f"{name}:a"] == family.colour


def test_an_untrained_encoder_shares_the_colour_of_its_family():
    colours = encoder_colours(["fundus2fa", "fundus2fa:untrained"])
    assert colours["fundus2fa"] == colours["fundus2fa:untrained"]


def test_baselines_are_grey():
    for colour in encoder_colours(["tophat", "scratch"]).values():
        red, green, blue = (colour[i : i + 2] for i in (1, 3, 5))
        assert red == green == blue


def test_many_encoders_have_different_colours():
    colours = encoder_colours([f"timm:m{n}" for n in range(20)])
    assert len(set(colours.values())) == 20


def test_colours_are_the_same_in_every_figure(classification_results):
    figures = [draw_one(classification_results, name) for name in ("supervised", "few-shot", "learning-curves")]
    for encoder in encoder_styles(classification_results.frame).values():
        for handles in map(legend_handles, figures):
            handle = handles[encoder.label]
            colour = handle.get_color() if hasattr(handle, "get_color") else handle.get_edgecolor()
            assert to_hex(colour) == encoder.colour.lower()


def test_baselines_are_hatched_untrained_encoders_hollow_and_markers_unique(classification_results):
    encoders = encoder_styles(classification_results.frame)
    assert list(encoders)[-2:] == ["colour", "random"]
    assert encoders["colour"].hatch
    assert encoders["colour"].hatch != encoders["random"].hatch
    assert encoders["fundus2fa:untrained"].bar()["facecolor"] == "white"
    assert encoders["fundus2fa-mini"].bar()["facecolor"] == encoders["fundus2fa-mini"].colour
    markers = [encoder.marker for encoder in encoders.values() if not encoder.baseline]
    assert len(set(markers)) == len(markers)
