"""Run loggers: numbers of a training or a run for Weights & Biases, MLflow, Trackio and TensorBoard."""
