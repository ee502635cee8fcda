"""Image search: find the images of a folder or a run that are most similar to one image (`f2vbench search`)."""
