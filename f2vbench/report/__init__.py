"""Reports: what a report contains (`content`), and its tables, text, figures and writers.

`stored_data` reads the predictions, photographs and embeddings that figures need; `settings` has the keys of
`f2vbench report`.
"""
