"""Lesions and diseases of a simulated eye: outlines, lesions of each disease, and grades."""
