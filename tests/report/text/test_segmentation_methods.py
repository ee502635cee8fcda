"""The methods section says for each model what its score map is and which decoder was trained."""

from __future__ import annotations

from f2vbench.report.text.segmentation_methods import class_sentences, segmentation_sentences


def record(encoder: str, model: dict, settings: dict, floor: bool = False) -> dict:
    return {"unit": {"encoder": encoder}, "floor": floor, "identity": {"model": model, "settings": settings}}


LAYER = {"family": "fundus2fa", "has_truth_layer": True}


def test_zero_shot_scores_are_named_by_model_with_their_views():
    settings = {"vessel_score": "auto", "score_views": 8}
    records = [
        record("fa", LAYER, settings),
        record("video", {"family": "fundus2video"}, settings),
        record("tophat", {"family": "tophat"}, {}, floor=True),
    ]
    (text,) = segmentation_sentences("zero-shot", records)
    assert "nothing was trained on the images of the task" in text
    assert "which it learned from the truth of simulated eyes (fa)" in text
    assert "the mean venous frame of the generated angiogram (video)" in text
    assert "the response of a filter (baselines)" in text
    assert text.endswith("means of eight mirrored and rotated views.")
    (text,) = segmentation_sentences(
        "zero-shot", [record("fa", LAYER, {"vessel_score": "brightness", "score_views": 1})]
    )
    assert text.endswith("the score of a pixel was the generated frame (fa).")


def test_the_decoders_of_all_models_are_named():
    frozen = {"finetune": "frozen"}
    records = [
        record("fa", LAYER, frozen),
        record("fa@generator", {**LAYER, "decoder": "generator"}, frozen),
        record("sam2", {"family": "sam2", "decoder": "mask-decoder"}, {}),
        record("sam2@oracle-click", {"family": "sam2", "decoder": "mask-decoder-click"}, {}),
        record("scratch", {"family": "scratch"}, {}, floor=True),
    ]
    (text,) = segmentation_sentences("few-shot", records)
    for part in (
        "a U-Net decoder of the encoder's feature maps was trained (fa)",
        "the second half of the generator was trained",
        "SAM2's own mask decoder was fine-tuned without prompts (sam2)",
        "a click on a vessel of the annotation as its prompt, in testing too (sam2@oracle-click)",
        "on the support images alone",
    ):
        assert part in text
    assert "scratch" not in text
    _, tuned = segmentation_sentences("supervised", [record("fa", LAYER, {"finetune": "full"})])
    assert tuned == "The encoder was trained with the decoder (fa)."
    assert segmentation_sentences("few-shot", records[-1:]) == []
    _, sampled = segmentation_sentences("few-shot", [record("fa", LAYER, {"decoder": {"sampling": "balanced"}})])
    assert sampled == "Half of the training crops contained a pixel of a class, of all classes in equal shares."


def test_metrics_of_several_classes_are_defined():
    own = record("fa", LAYER, {"score_views": 1}) | {"result": {"mask_classes": ["disc", "cup"]}}
    own["unit"]["task"] = "phantom-disc"
    (text,) = class_sentences([own, record("fa", LAYER, {}) | {"result": {}}])
    assert text.startswith("Metrics of phantom-disc are means over classes (disc, cup).")
    (scores,) = segmentation_sentences("zero-shot", [own])
    assert "the score of a pixel was the probability of each class" in scores
