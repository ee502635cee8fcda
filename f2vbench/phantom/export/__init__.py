"""Export of a simulated cohort: data sets on disk, tables, README, contact sheet."""
