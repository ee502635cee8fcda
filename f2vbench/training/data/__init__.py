"""Training data: cases read from files or simulated, split by patient, cropped, augmented and batched."""
