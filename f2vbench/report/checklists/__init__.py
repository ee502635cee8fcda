"""Reporting checklists: what the stored runs say about each item of CLAIM 2024 and TRIPOD+AI."""
