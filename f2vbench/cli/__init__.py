"""The command line of f2vbench: one module for each verb, and `main`, which dispatches to them."""
