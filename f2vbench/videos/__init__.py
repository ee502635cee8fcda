"""Using generators: angiograms from photographs as GIF, MP4 or frames, and scores of such videos against real ones."""
