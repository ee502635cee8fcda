"""Hostile inputs: damaged, ambiguous and unusual files and settings, each tried in a process of its own."""
