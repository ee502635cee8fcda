"""Text of a report: names and numbers (`wording`), summary sentences, limitations, and the methods section."""
