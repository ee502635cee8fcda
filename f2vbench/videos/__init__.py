"""Angiogram videos: generation from photographs as GIF, MP4 or frames, and scores against real videos."""
