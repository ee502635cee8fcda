"""Baselines that a model must beat: vessel filters, image statistics, unchanged photographs, untrained networks."""
