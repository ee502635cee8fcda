"""Models under test: registry of families, parser of model arguments, encoders, and baselines without training.

`registry` has one entry for each family, `model_argument` parses values of `model=` into a `spec.ModelSpec`, `loading`
builds the model. `base.Encoder` is the interface that all encoders implement.
"""
