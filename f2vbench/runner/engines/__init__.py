"""Engines execute work items: in processes on this machine, in a Ray cluster, or as an array job of Slurm."""
