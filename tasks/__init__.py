"""Cards installed with the package; an editable install finds them through this file."""
