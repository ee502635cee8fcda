"""Tables of means by task and protocol."""

from __future__ import annotations


def test_means_are_those_of_the_results_and_the_best_is_marked(content, results):
    table = next(table for table in content.conditions if table.name == "eyes-few-shot")
    rows = {row[0].text: row for row in table.rows}
    frame = results.frame[(results.frame.metric == "auroc") & (results.frame.shots == 1)]
    for encoder, group in frame.groupby("encoder"):
        assert rows[encoder][1].text == f"{group.value.mean():.4f}"
        assert f"± {group.value.std():.4f}" in rows[encoder][1].detail
    assert [name for name, row in rows.items() if row[1].mark == "best"] == ["scratch"]
    assert rows["net:untrained"][0].muted
    assert rows["tophat"][0].detail == "baseline"
