"""Tables of a report: one module per subject; `table` has the classes that writers render, `terminal` plain text."""
