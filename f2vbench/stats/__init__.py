"""Statistics on arrays: intervals, paired and unpaired tests, effect sizes, rankings and corrections.

Start here:
    intervals: intervals of a mean over seeds.
    t_tests, signed_rank, permutation: tests of the difference between two models.
    crossed: intervals and tests for other patients and other heads at once, which reports lead with.
    delong, gee, bootstrap: intervals and tests over test patients, from stored predictions.
    equivalence: equivalence and non-inferiority with a margin.
    effect_sizes, power: size of a difference, and the sample size that would detect it.
    planning: power and sample size of a planned comparison, from assumptions or from the variances of a run.
    multiple_testing, procedure: adjustment of p-values, and the choice of tests for a report.
    ranks, tie_groups: several models on several tasks, and which of them are tied.
    kappa, intraclass, bland_altman: agreement of human raters.

Every function returns a frozen record (`result_classes`) that names its method and publication (`citations`).
Supporting modules: calibration_bins, crossed_variance, delong_variance, noncentral_t, proportions, resampling,
validation, weighted_decisions, weighted_diagnosis, weighted_metrics.
"""
