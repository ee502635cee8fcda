"""Predictions of stored heads for other photographs (`f2vbench predict`, `f2vbench.load_head`)."""
