"""Publication of trained weights: a weights card for a training, a README, and the upload to the Hugging Face Hub."""
