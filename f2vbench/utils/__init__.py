"""Utilities for files, worker processes, progress, devices, system information and text."""
