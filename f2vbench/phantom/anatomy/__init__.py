"""Anatomy of a simulated eye in millimetres: quantities, landmarks, vessel trees, fundus surface, camera view."""
