"""Runs a benchmark: plan, resume, cost estimate, work items, workers and their execution."""
