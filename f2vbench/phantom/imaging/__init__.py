"""Imaging of a simulated eye: photographs, fluorescein angiograms, other modalities, and ground-truth masks."""
