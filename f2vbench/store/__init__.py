"""Files of the run folder and the cache: unit records, features, score maps, measured speed."""
