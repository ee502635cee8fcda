"""Analysis of stored records: data frames of results, comparisons of models, retrieval and encoding costs.

Modules: `load_runs` reads run folders; `frames`, `cost_frame` and `task_scores` make data frames; `metric_inputs` has
each metric as a function of the weights of the test images; `paired_predictions`, `significance_tests` and
`comparisons` test pairs of models; `retrieval` has intervals and tests over patients.
"""
