"""Task adapters: each evaluates models on one task family (segmentation, classification, retrieval, generation).

To add a task family:

1. Derive a class from `TaskAdapter` (`base.py`) in a new module; `retrieval.py` is a short example.
2. Add its import path to `ADAPTERS` in `registry.py`.
3. Add its draw of episodes to `DRAWS` in `f2vbench/data/episodes.py`.
4. Add its baselines to `f2vbench/encoders/registry.py` with ``baseline_for``, and its metrics to `f2vbench/metrics/`.
5. Add its name to `TaskCard.family`, and new keys of its results to `Solution` in `f2vbench/store/record_schema.py`.
"""
