"""Analysis of stored records: data frames of results, comparisons of models, retrieval and encoding costs.

Modules: `load_runs` reads run folders; `frames`, `cost_frame` and `task_scores` make data frames; `paired_predictions`,
`significance_tests` and `comparisons` test pairs of models; `retrieval` has intervals and tests over patients.
"""
