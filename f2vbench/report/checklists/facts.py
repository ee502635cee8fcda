"""All facts of reporting checklists by name."""

from __future__ import annotations

from collections.abc import Mapping

from f2vbench.report.checklists import data_facts as data
from f2vbench.report.checklists import study_facts as study
from f2vbench.report.checklists.evidence import FactFunction

FACTS: Mapping[str, FactFunction] = {
    **{
        function.__name__: function
        for function in (
            *(data.sources, data.terms, data.simulated, data.notes, data.exclusions, data.missing, data.labels),
            *(data.preprocessing, data.splits, data.seeds, data.disjoint, data.duplicates, data.sizes, data.counts),
            data.characteristics,
            *(study.models, study.weights, study.software, study.training, study.selection, study.fusions),
            *(study.metrics, study.statistics, study.baselines, study.internal, study.external, study.balance),
            *(study.thresholds, study.performance, study.failures, study.commands, study.availability),
        )
    },
    "limitations": study.limits,
}
"""Functions by the names that ``items.yaml`` uses."""
