"""Results of a run as evaluation results of a model repository on the Hugging Face Hub, `.eval_results/*.yaml`."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import yaml

from f2vbench.errors import SettingsError, StoreError, WeightsError, did_you_mean
from f2vbench.pretrained.hub import SCHEME, hub_errors
from f2vbench.publish.settings import ResultsSettings
from f2vbench.publish.upload import require_login
from f2vbench.report.run_results import RunResults
from f2vbench.report.text.wording import interval_text, metric_name
from f2vbench.utils.files import write_atomically
from f2vbench.utils.text import plural

if TYPE_CHECKING:
    from huggingface_hub import EvalResultEntry

FOLDER = ".eval_results"
_OLD_HUB_PACKAGE = (
    "huggingface_hub {installed} has no evaluation results; run `pip install --upgrade huggingface_hub` (2.0 or newer)"
)


@dataclass(frozen=True)
class EvalResults:
    """Files of evaluation results.

    Attributes:
        model: Name of the model in the run.
        files: Content by path in the repository.
        entries: Number of entries in all files.
    """

    model: str
    files: dict[str, bytes]
    entries: int

    def write(self, folder: Path) -> list[Path]:
        """Write the files into a folder.

        Args:
            folder: The folder, created if it does not exist.

        Raises:
            StoreError: The folder is not writable.
        """
        for name, content in self.files.items():
            write_atomically(folder / name, content)
        return [folder / name for name in self.files]


def eval_results(folder: str | Path, settings: ResultsSettings) -> EvalResults:
    """Convert the main metric of a model at each condition of a run to evaluation results.

    Args:
        folder: Run folder.
        settings: Keys of `f2vbench weights results`.

    Returns:
        A file for each task, with an entry for each condition.

    Raises:
        SettingsError: The model, task or metric is not in the run, or the task must be chosen.
        StoreError: As `RunResults.load`, or there is no value.
        WeightsError: The weights are random or none, or huggingface_hub is too old.
    """
    to_yaml = _eval_result_entries_to_yaml()
    results = RunResults.load(folder)
    model = _choose_model(results, settings.model)
    tasks = _choose_tasks(results, settings.task)
    if settings.metric is not None and settings.metric not in results.metrics:
        hint = did_you_mean(settings.metric, results.metrics)
        raise SettingsError(f"metric={settings.metric}: not in this run{hint}; there are {', '.join(results.metrics)}")
    metrics = {task: [settings.metric] if settings.metric else results.main_metrics[task][:1] for task in tasks}
    summary = results.summary(metrics)
    rows = summary[(summary.encoder == model) & summary["mean"].notna()]
    if not len(rows):
        raise StoreError(f"{folder}: {model} has no value of the metrics of {', '.join(tasks)}")
    files, count = {}, 0
    for task in dict.fromkeys(rows.task):
        entries = [_entry(row, results, settings) for _, row in rows[rows.task == task].iterrows()]
        text = yaml.safe_dump(to_yaml(entries), sort_keys=False, allow_unicode=True, width=100)
        files[f"{FOLDER}/{re.sub(r'[^A-Za-z0-9_.-]', '-', str(task))}.yaml"] = text.encode()
        count += len(entries)
    return EvalResults(model, files, count)


def push_eval_results(results: EvalResults, settings: ResultsSettings) -> str:
    """Upload evaluation results to a model repository in one commit.

    Args:
        results: The files.
        settings: The repository, and whether earlier results may be replaced.

    Returns:
        The location `hf://owner/name@<commit>`.

    Raises:
        WeightsError: No login, no write access, no network, no such repository; or it has results of these tasks and
            `replace` is not set.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    require_login(settings.repo)
    api = HfApi(library_name="f2vbench")
    with hub_errors(f"repo={settings.repo}", settings.repo):
        repository = api.model_info(settings.repo, files_metadata=True)
        existing = {file.rfilename for file in repository.siblings or []}
        earlier = sorted(existing & results.files.keys())
        if earlier and not settings.replace:
            raise WeightsError(
                f"repo={settings.repo} has {', '.join(earlier)}: write replace=yes to replace them (the earlier "
                "version stays in its history)"
            )
        commit = api.create_commit(
            settings.repo,
            [CommitOperationAdd(name, content) for name, content in results.files.items()],
            commit_message=f"Evaluation results of f2vbench {version('f2vbench')}",
            parent_commit=repository.sha,
        )
    return f"{SCHEME}{settings.repo}@{commit.oid}"


def _eval_result_entries_to_yaml() -> Callable[[list[EvalResultEntry]], list[dict[str, Any]]]:
    """The Hub package's own converter."""
    try:
        from huggingface_hub import eval_result_entries_to_yaml
    except ImportError:
        raise WeightsError(_OLD_HUB_PACKAGE.format(installed=version("huggingface_hub"))) from None
    return eval_result_entries_to_yaml


def _choose_model(results: RunResults, name: str) -> str:
    weights = dict(zip(results.frame.encoder, results.frame.weights, strict=True))
    if name not in weights:
        raise SettingsError(
            f"model={name}: not in this run{did_you_mean(name, weights)}; there are {', '.join(weights)}"
        )
    if weights[name] in ("untrained", "none"):
        raise WeightsError(f"model={name}: has no trained weights that a repository could hold")
    return name


def _choose_tasks(results: RunResults, names: list[str] | None) -> list[str]:
    tasks = list(results.families)
    unknown = [name for name in names or [] if name not in tasks]
    if unknown:
        hint = did_you_mean(unknown[0], tasks)
        raise SettingsError(f"task={unknown[0]}: not in this run{hint}; there are {', '.join(tasks)}")
    chosen = names or tasks
    if len(chosen) > 1:
        raise SettingsError(
            f"this run has {plural(len(chosen), 'task')} ({', '.join(chosen)}), and dataset= names one data set: "
            "choose with task="
        )
    return chosen


def _entry(row: pd.Series, results: RunResults, settings: ResultsSettings) -> EvalResultEntry:
    from huggingface_hub import EvalResultEntry

    shots = None if pd.isna(row.shots) or row.shots == 0 else int(row.shots)
    condition = "-".join(str(part) for part in (row.task, row.protocol, shots) if part is not None)
    return EvalResultEntry(
        dataset_id=settings.dataset,
        task_id=(settings.task_id or "{condition}").replace("{condition}", condition),
        value=float(row["mean"]),
        dataset_revision=settings.revision,
        source_url=settings.source,
        source_name="f2vbench report" if settings.source else None,
        notes=_notes(row, results),
    )


def _notes(row: pd.Series, results: RunResults) -> str:
    """Metric, interval, seeds, data and version in a line."""
    own = [
        record
        for record in results.records
        if (record["unit"]["encoder"], record["unit"]["task"], record["unit"]["protocol"])
        == (row.encoder, row.task, row.protocol)
    ]
    interval = interval_text(row.low, row.high)
    data = {str(record["identity"]["data"])[:16] for record in own}
    versions = {str(record["provenance"].get("software", {}).get("f2vbench", "unknown")) for record in own}
    parts = [
        f"{metric_name(row.metric, row.better)}, mean over {plural(int(row.n), 'seed')}",
        f"95 % interval {interval} for other {row.interval}" if interval else "",
        f"weights {row.weights}",
        f"data {', '.join(sorted(data))}",
        f"f2vbench {', '.join(sorted(versions))}",
        "trained on images of this data set" if (row.task, row.encoder) in results.pretrained else "",
    ]
    return "; ".join(filter(None, parts))
