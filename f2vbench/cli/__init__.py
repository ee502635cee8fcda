"""The command line: `main`, the table of verbs, and one module for each larger verb."""
