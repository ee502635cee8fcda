"""The report: one page, tables in several formats, and what it says when there is little to say."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from matplotlib import rc_context
from PIL import Image

from f2vbench import Results
from f2vbench.cli.main import main
from f2vbench.errors import SettingsError, StoreError
from f2vbench.report.content import report_content
from f2vbench.report.figures.catalogue import draw_figures
from f2vbench.report.tables.table import Cell, Column
from f2vbench.report.text.wording import number
from f2vbench.report.writers.html import page, page_figure
from f2vbench.report.writers.latex import document, escaped, tabular
from f2vbench.report.writers.markdown import escaped as escaped_markdown
from f2vbench.report.writers.markdown import markdown
from f2vbench.report.writers.rendered_table import RenderedTable
from f2vbench.stats.procedure import Procedure
from tests.helpers.stored_runs import call_record, grid, unit_record, write_run

NASTY = "<script>alert('x')</script>"
TITLE = r"Eyes & 50% of $x_1$ #{a}~^\ <b>"
LEVELS = {"scratch": 0.95, "tophat": 0.9, "mine": 0.85, NASTY: 0.8, "net:untrained": 0.6}


class Parsed(HTMLParser):
    """Elements with their text, as a browser without scripts would see them."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.text: dict[str, list[str]] = {}
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data):
        if self.open:
            self.text.setdefault(self.open[-1], []).append(data)

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture
def run(tmp_path):
    records = grid(LEVELS, seeds=3, shots=(0, 1), baselines=("scratch", "tophat"), untrained=("net:untrained",))
    return write_run(tmp_path / "run", records, call_record({"eyes": {"title": TITLE}}, left_out=[f"{NASTY}: no"]))


def test_the_page_is_whole_and_nothing_in_it_comes_from_data_as_markup(run):
    html = page(report_content(Results.load(run)))
    parsed = Parsed(html)
    assert not parsed.open
    assert NASTY not in html
    assert NASTY in parsed.text["th"]
    assert "<b>" not in html
    assert any(TITLE in text for text in parsed.text["h3"])
    assert len(parsed.all("script")) == 1
    assert not [attrs for _, attrs in parsed.tags if any(name.startswith("on") for name in attrs)]
    linked = [attrs[name] for _, attrs in parsed.tags for name in ("src", "href") if name in attrs]
    assert all(link.startswith(("#", "data:")) for link in linked)
    anchors = {attrs["id"] for _, attrs in parsed.tags if "id" in attrs}
    assert {link[1:] for link in linked if link.startswith("#")} <= anchors


def test_the_browser_is_told_to_run_nothing_but_the_pages_own_script(run):
    html = page(report_content(Results.load(run)))
    policy = next(attrs["content"] for attrs in Parsed(html).all("meta") if "http-equiv" in attrs)
    assert "default-src 'none'" in policy
    for tag in ("script", "style"):
        own = re.search(rf"<{tag}>(.*?)</{tag}>", html, re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(own.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy


def test_equal_runs_give_equal_pages(run):
    assert page(report_content(Results.load(run))) == page(report_content(Results.load(run)))


def test_the_summary_says_who_leads_by_how_much_and_that_a_baseline_is_ahead(run):
    held = report_content(Results.load(run))
    first = held.summaries[0]
    assert first.significant
    assert first.sentences[0].startswith("scratch (baseline) has the highest AUROC (0.95")
    assert "followed by tophat (baseline) (0.90" in first.sentences[0]
    assert "The best trained model, mine, has a lower AUROC than the best baseline, scratch" in first.sentences[1]
    assert "In all 2 conditions" in held.overview


def test_models_that_differ_by_chance_are_not_separable_and_it_is_said_what_would_be_needed():
    held = report_content(Results(grid({"a": 0.8, "b": 0.8001}, seeds=3, spread=0.05)))
    told = held.summaries[0]
    assert not told.significant
    assert "is significant neither over seeds" in told.sentences[0]
    assert "would be needed to detect the observed difference" in told.sentences[0]
    assert any(cell.not_significant for row in held.conditions[0].rows for cell in row)
    assert "n.s." in page(held)


def test_tables_hold_the_means_of_the_frame_and_mark_the_best(run):
    results = Results.load(run)
    table = next(table for table in report_content(results).conditions if table.name == "eyes-few-shot")
    rows = {row[0].text: row for row in table.rows}
    frame = results.frame[(results.frame.metric == "auroc") & (results.frame.shots == 1)]
    for encoder, group in frame.groupby("encoder"):
        assert rows[encoder][1].text == f"{group.value.mean():.4f}"
        assert f"± {group.value.std():.4f}" in rows[encoder][1].detail
    assert [name for name, row in rows.items() if row[1].mark == "best"] == ["scratch"]
    assert rows["net:untrained"][0].muted
    assert rows["tophat"][0].detail == "baseline"


def test_warnings_come_first_and_tell_of_untrained_weights_and_few_seeds(run):
    html = page(report_content(Results.load(run)))
    assert html.index("random weights without training: net:untrained") < html.index("Summary</h2>")
    assert "fewer than five seeds" in html


def test_one_seed_only_is_said_and_nothing_is_nan(tmp_path):
    held = report_content(Results(grid({"a": 0.9, "b": 0.8}, seeds=1)))
    html = page(held)
    assert not re.search(r">[^<]*\b(nan|NaN|None)\b", html.split("<body>")[1].split("<script>")[0])
    assert "one seed only: no standard deviation and no test over seeds" in html
    assert "nor tests over seeds can be computed" in html
    assert "nan" not in document(held.tables).lower()


def test_one_model_only_has_nothing_to_compare(run):
    held = report_content(Results(grid({"a": 0.9}, seeds=2)))
    assert not held.comparisons
    assert "Only one model, a, has a value of AUROC (0.9" in held.summaries[0].sentences[0]
    assert 'href="#tests"' not in page(held)


def test_missing_values_are_dashes_with_their_reason():
    why = "class <i>absent</i>"
    images = {"eye": {"dice": 0.5}}
    records = [
        unit_record("a", seed=seed, images=images, metrics={"auroc": None, "dice": 0.5}, reasons={"auroc": why})
        for seed in (0, 1)
    ]
    html = page(report_content(Results(records)))
    assert "2 of 2 seeds without a value: class &lt;i&gt;absent&lt;/i&gt;" in html
    assert why not in html


def unescaped(latex: str) -> list[str]:
    """Specials of LaTeX that stand in a text without a backslash, commands put aside."""
    rest = re.sub(r"\\[A-Za-z]+|\\[{}$&%#_\\]", "", latex)
    return re.findall(r"[$#_%~^]", rest)


def test_nothing_in_latex_is_a_command_that_was_data():
    nasty = r"\input{/etc/passwd} 100% & $x_1$ #1 ~ ^ { } | < > " + '"\n\\end{document} 中 λ é κ ±'
    text = escaped(nasty)
    assert not unescaped(text.replace(r"\ensuremath{\pm}", "").replace(r"\ensuremath{\kappa}", ""))
    assert "\\input" not in text
    assert "\\end" not in text
    assert r"\textbackslash{}input\{/etc/passwd\} 100\% \& \$x\_1\$ \#1" in text
    assert text.endswith(r"? ? é \ensuremath{\kappa} \ensuremath{\pm}")
    assert escaped("Ħ ſ ő Ł “x”") == "? ? ő Ł “x”"
    assert text.count("{") - text.count(r"\{") == text.count("}") - text.count(r"\}")


def test_latex_tables_have_a_cell_for_every_column(run):
    latex = document(report_content(Results.load(run)).tables)
    assert latex.startswith("\\documentclass")
    assert latex.endswith("\\end{document}\n")
    assert latex.count("\\begin{table}") == latex.count("\\end{table}") == latex.count("\\toprule") == 5
    for body in re.findall(r"\\begin\{tabular\}\{([lr]+)\}(.*?)\\end\{tabular\}", latex, re.DOTALL):
        columns, lines = len(body[0]), [line for line in body[1].splitlines() if line.endswith(r"\\")]
        assert lines
        for line in lines:
            spans = [int(width) - 1 for width in re.findall(r"\\multicolumn\{(\d+)\}", line)]
            assert len(re.findall(r"(?<!\\)&", line)) + 1 + sum(spans) == columns
    assert not unescaped(
        re.sub(r"\\(label|cmidrule|resizebox)[^\n]*|\\caption\{\\textbf", "", latex).replace("%\n", "")
    )


def test_best_is_bold_and_second_underlined_where_asked():
    rows = [
        [Cell("a_b"), Cell("0.9", 0.9, mark="best", not_significant=True)],
        [Cell("c"), Cell("0.8", 0.8, mark="second", muted=True)],
    ]
    table = RenderedTable("t", "T", "C", [Column("model", numeric=False), Column("AUROC")], rows)
    assert r"a\_b & \textbf{0.9}\textsuperscript{n.s.} \\" in tabular(table)
    assert "underline" not in tabular(table)
    assert r"\underline{0.8}" in tabular(table, second=True)
    assert "| **0.9** n.s. |" in table.to_markdown()
    assert "| *0.8* |" in table.to_markdown(second=True)
    assert list(table.frame.AUROC) == [0.9, 0.8]


def test_markdown_is_no_markup_from_data(run):
    text = markdown(report_content(Results.load(run)).conditions[0])
    assert "<script>" not in text
    assert r"&lt;script&gt;alert\('x'\)&lt;/script&gt;" in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1


def test_the_command_writes_what_is_asked(run, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["report", f"run={run}", f"out={out}", "format=html,csv,md,latex", "figures=none"]) == 0
    told = capsys.readouterr().out
    assert f"written: {out / 'results.csv'}, summary.csv, comparison.csv" in told
    assert sorted(path.name for path in out.iterdir()) == [
        *("comparison.csv", "cost.csv", "report.html", "report.md", "results.csv", "summary.csv", "tables.tex")
    ]
    comparison = pd.read_csv(out / "comparison.csv")
    named = {f"p_{test}_adjusted" for test in ("corrected", "patients", "wilcoxon", "delong", "permutation")}
    assert named | {"why", "first", "second", "p_adjusted", "certainty", "effect", "sentence"} <= set(comparison)


def test_figures_are_written_and_shown_on_the_page(run, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["report", f"run={run}", f"out={out}", "format=html,md,png", "figures=fig3"]) == 0
    assert [path.name for path in (out / "figures").iterdir()] == ["few-shot-segmentation.png"]
    images = Parsed((out / "report.html").read_text()).all("img")
    assert len(images) == 1
    assert images[0]["src"].startswith("data:image/svg+xml;base64,")
    assert images[0]["alt"]
    drawing = base64.b64decode(images[0]["src"].partition(",")[2]).decode()
    assert all(len(part) <= 2 for path in re.findall(' d="([^"]*)"', drawing) for part in re.findall(r"\.(\d+)", path))
    text = (out / "report.md").read_text()
    assert "](figures/few-shot-segmentation.png)" in text
    assert escaped_markdown(images[0]["alt"].partition(". ")[2]) in text


def test_a_large_figure_is_a_webp_on_the_page(run, monkeypatch):
    drawn = next(iter(draw_figures(Results.load(run), ["fig3"])))
    monkeypatch.setattr("f2vbench.report.writers.html._LARGEST_SVG", 1000)
    shown = page_figure(drawn)
    assert shown.source.startswith("data:image/webp;base64,")
    with Image.open(io.BytesIO(base64.b64decode(shown.source.partition(",")[2]))) as picture:
        assert picture.format == "WEBP"
        assert picture.width == int(drawn.figure.get_figwidth() * 200)


def test_unknown_formats_figures_and_styles_are_refused(run, capsys):
    assert main(["report", f"run={run}", "format=htm"]) == 2
    assert "did you mean 'html'" in capsys.readouterr().err
    assert main(["report", f"run={run}", "figures=fig33"]) == 2
    assert "fig3" in capsys.readouterr().err
    assert main(["report", f"run={run}", "style=natur"]) == 2
    assert "nature" in capsys.readouterr().err


def test_parquet_needs_pyarrow_and_says_so(run, tmp_path):
    results = Results.load(run)
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        with pytest.raises(SettingsError, match="pip install pyarrow"):
            results.report(tmp_path / "out", format="parquet", figures="none")
        assert not (tmp_path / "out").exists()
    else:
        results.report(tmp_path / "out", format="parquet,csv", figures="none")
        for name in ("results", "summary", "comparison"):
            stored = pd.read_parquet(tmp_path / "out" / f"{name}.parquet")
            told = pd.read_csv(tmp_path / "out" / f"{name}.csv")
            assert list(stored.columns) == list(told.columns)
            for column in told:
                if pd.api.types.is_numeric_dtype(stored[column]):
                    both = (table[column].astype(float).tolist() for table in (stored, told))
                    assert next(both) == pytest.approx(next(both), nan_ok=True)
                else:
                    assert [str(one) for one in stored[column]] == ["" if pd.isna(x) else str(x) for x in told[column]]
        assert str(pd.read_parquet(tmp_path / "out" / "results.parquet").shots.dtype) == "Int64"


def classified(task, protocol, layout):
    records = grid(
        {"mine": 0.9, "other": 0.8},
        seeds=2,
        shots=(2,) if protocol == "few-shot" else (0,),
        task=task,
        family="classification",
        main_metrics=["auroc"],
    )
    return records, call_record({task: {"layout": layout, "title": f"Title of {task}"}})


def test_the_papers_tables_sort_eye_and_body_apart(tmp_path):
    runs = [
        write_run(tmp_path / task, *classified(task, protocol, layout))
        for task, protocol, layout in [("dr", "few-shot", "aptos2019"), ("stroke", "zero-shot", "uk_biobank")]
    ]
    results = Results.load(*runs)
    assert set(results.table("supp-2").frame["data set"]) == {"Title of dr"}
    assert list(results.table("supp-2").frame["images per class"]) == [2, 2]
    assert set(results.table("supp-4").frame["data set"]) == {"Title of stroke"}
    assert set(report_content(results).paper_tables) == {"supp-2", "supp-4"}
    with pytest.raises(StoreError, match="no results for supp-7"):
        results.table("supp-7")
    with pytest.raises(StoreError, match="did you mean 'supp-2'"):
        results.table("supp2")


def test_table_1_sets_the_published_rows_apart():
    metrics = {"psnr": 20.0, "lpips": 0.3}
    records = [
        unit_record(
            name,
            family="generation",
            protocol="zero-shot",
            shots=0,
            seed=seed,
            images={"eye": {"psnr": 20.0 + seed, "lpips": 0.3 - shift}},
            metrics=metrics | {"psnr": 20.0 + seed, "lpips": 0.3 - shift},
            main_metrics=["psnr", "lpips"],
            lower_is_better=["lpips"],
        )
        for name, shift in (("ours", 0.1), ("still", 0.0))
        for seed in (0, 1)
    ]
    table = Results(records).table("table-1")
    published = [row for row in table.rows if row[1].detail == "published"]
    assert len(published) == 8
    assert all(row[0].muted and "published" in row[0].text for row in published)
    assert not any(cell.mark for row in published for cell in row)
    assert any("no ranking" in note for note in table.notes)
    assert [column.title for column in table.columns][2:4] == ["PSNR", "LPIPS ↓"]


def test_headings_and_methods_follow_the_test_and_the_adjustment(run, capsys):
    results = Results.load(run)
    held = report_content(results, procedure=Procedure("welch", "bh"))
    assert "Welch's t-test" in held.comparisons[0].headings[6]
    assert "Benjamini–Hochberg-adjusted" in held.comparisons[0].headings[6]
    methods = " ".join(held.methods)
    assert "two-sided Welch's t-test (Welch, Biometrika" in methods
    assert "adjusted by the method of Benjamini–Hochberg (" in methods
    assert "Hedges' g (" in methods
    assert "after Benjamini–Hochberg adjustment" in page(held)
    assert "Holm" not in " ".join([held.comparisons[0].caption, held.comparisons[1].caption, methods])
    assert main(["report", f"run={run}", "test=welsh", "adjust=bonferroni"]) == 2
    told = capsys.readouterr().err
    assert "did you mean 'welch'" in told
    assert "adjust=bonferroni: must be one of holm, bh" in told


def test_one_task_has_no_ranks_and_the_reason_stands_in_their_place(run):
    held = report_content(Results.load(run))
    assert held.ranks.table is None
    assert "same 2 or more tasks" in held.ranks.reason
    assert held.ranks.reason.replace("'", "&#39;") in page(held)


def test_shots_of_each_class_are_told_so_and_families_agree(tmp_path):
    held = report_content(Results.load(write_run(tmp_path / "run", *classified("dr", "few-shot", "aptos2019"))))
    assert held.summaries[0].title == "Title of dr, few-shot, 2 per class"
    assert held.conditions[0].columns[1].group == "2 per class"
    assert held.comparisons[0].rows[0][0].text == "Title of dr, few-shot, 2 per class"


def test_attention_of_classes_with_odd_names_is_a_table_everywhere():
    records = grid({"a+b": 0.9, "a": 0.8}, seeds=2, task="eyes", family="classification", main_metrics=["auroc"])
    odd = r"<script>alert(1)</script> & 50% \input{x}_$"
    for record in records:
        if record["unit"]["encoder"] == "a+b":
            shift = record["unit"]["seed"] / 10
            record["result"]["attention"] = {odd: {"a": 0.6 + shift, "b": 0.4 - shift}, "well": {"a": 0.5, "b": 0.5}}
    held = report_content(Results(records))
    rows = {(row[2].text, row[3].text): row[4] for row in held.attention.rows}
    assert rows[odd, "a"].value == pytest.approx(0.65)
    assert rows[odd, "a"].detail == f"± {0.1 / np.sqrt(2):.3f}"
    assert held.attention.rows[0][0].text == "eyes, few-shot, 1 per class"
    assert odd not in page(held)
    assert "Attention weights of fusions" in page(held)
    latex = tabular(held.attention)
    assert r"\input" not in latex.replace(r"\textbackslash{}input", "")
    assert not unescaped(re.sub(r"\\(label|resizebox)[^\n]*|\\caption\{\\textbf", "", latex).replace("%\n", ""))
    assert held.attention in held.tables


def test_a_damaged_unit_is_set_aside_and_told_on_the_page(run, tmp_path, capsys):
    path = sorted((run / "units").glob("*mine*"))[0]
    path.write_bytes(path.read_bytes()[:-30])
    assert main(["report", f"run={run}", f"out={tmp_path}", "format=html", "figures=none", "metric=auroc"]) == 0
    html = (tmp_path / "report.html").read_text()
    assert html.index("set aside") < html.index("Summary</h2>")


def test_a_run_without_a_unit_is_no_report(tmp_path, capsys):
    empty = write_run(tmp_path / "run", [], call_record({"eyes": {}}))
    assert main(["report", f"run={empty}", f"out={tmp_path / 'out'}"]) == 2
    assert "no completed unit" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_figure_is_saved_in_the_style_by_whoever_saves_it(tmp_path):
    figure = Results(grid({"a": 0.9}, seeds=2)).figure("fig3")
    held = io.BytesIO()
    with rc_context({"pdf.fonttype": 3, "svg.fonttype": "path"}):
        figure.savefig(held, format="pdf")
        figure.savefig(tmp_path / "figure.svg")
    assert b"/Type3" not in held.getvalue()
    assert b"/FontFile2" in held.getvalue()
    assert "<text" in (tmp_path / "figure.svg").read_text()


def test_results_offer_the_same_in_python(run, tmp_path):
    results = Results.load(run)
    results.to_latex(tmp_path / "t.tex")
    assert "\\toprule" in (tmp_path / "t.tex").read_text()
    assert results.figure("fig3").get_figwidth() > 0
    with pytest.raises(StoreError, match="figure supervised cannot be drawn"):
        results.figure("supervised")
    files = results.report(tmp_path / "out", format="html", figures="none", metric="dice")
    assert [path.name for path in files] == ["report.html"]
    assert "Dice" in files[0].read_text()


def test_methods_name_what_was_recorded_and_say_what_was_not(run):
    text = " ".join(report_content(Results.load(run)).methods)
    for part in (TITLE, "20 images of 20 patients", "50%", "preset quick", "Nadeau & Bengio", "torch 2.8.0", "123456"):
        assert part in text
    assert "did not record the card of this task" in " ".join(report_content(Results(grid({"a": 0.9}))).methods)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.1235"),
        (-0.5, "−0.5000"),
        (-0.00001, "0.0000"),
        (12.3456, "12.35"),
        (1503.21, "1503.2"),
        (None, "–"),
    ],
)
def test_numbers_keep_about_four_figures(value, text):
    assert number(value) == text
