"""Finding the images of a folder or a run that are most like a given one."""
