"""Summary sentences: the best models, significance, and required sample sizes."""

from __future__ import annotations

from f2vbench import Results
from f2vbench.report.content import report_content
from f2vbench.report.writers.html import page
from tests.helpers.stored_runs import grid, unit_record


def test_the_summary_names_the_best_models_and_a_baseline_above_all_trained_ones(content):
    summary = content.summaries[0]
    assert summary.significant
    assert summary.sentences[0].startswith("scratch (baseline) has the highest AUROC (0.95")
    assert "followed by tophat (baseline) (0.90" in summary.sentences[0]
    assert (
        "adjusted p = 0.0001; 18 patients and 3 seeds) is significant for other patients and splits."
        in (summary.sentences[0])
    )
    assert "The best trained model, mine, has a lower AUROC than the best baseline, scratch" in summary.sentences[1]
    assert content.overview == (
        "In all 2 conditions, the best model is significantly better than the second-best model."
    )


def test_a_difference_by_chance_is_not_significant_and_the_required_sample_size_is_given():
    content = report_content(Results(grid({"a": 0.8, "b": 0.8001}, seeds=3, spread=0.05)))
    summary = content.summaries[0]
    assert not summary.significant
    assert " patients and 3 seeds) is not significant; " in summary.sentences[0]
    assert "a study of this pair alone would need about" in summary.sentences[0]
    assert content.overview == "The best model is not significantly better than the second-best model."
    assert any(cell.not_significant for row in content.conditions[0].rows for cell in row)
    assert "n.s." in page(content)


def test_the_lowest_value_is_the_best_where_lower_is_better():
    records = [
        unit_record(
            name, seed=seed, images={"eye": {"lpips": value}}, main_metrics=["lpips"], lower_is_better=["lpips"]
        )
        for name, value in (("a", 0.2), ("b", 0.3))
        for seed in (0, 1)
    ]
    sentence = report_content(Results(records)).summaries[0].sentences[0]
    assert sentence.startswith("a has the lowest LPIPS (0.2000), followed by b (0.3000).")


def test_every_comparison_has_a_sentence_with_its_verdict():
    results = Results(grid({"a": 0.8, "b": 0.8001, "c": 0.5}, seeds=4, spread=0.05))
    content = report_content(results, reference="c")
    assert len(content.comparison_sentences) == len(content.comparisons[0].rows) == len(content.comparison) == 4
    assert list(content.comparison.sentence) == content.comparison_sentences
    for row, sentence in zip(content.comparison.itertuples(), content.comparison_sentences, strict=True):
        assert sentence.startswith("eyes, few-shot, 1 shot, ")
        if "c" in (row.first, row.second):
            assert "c is significantly worse than" in sentence
            assert "4 seeds" in sentence
        else:
            assert f"{row.first} and {row.second} do not differ significantly (" in sentence
            assert row.needed in sentence
            assert "a study of this pair alone would need" in row.needed or "no number of patients" in row.needed
    assert "All 4 comparisons in words" in page(content)
