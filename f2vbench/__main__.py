"""Runs the command line with ``python -m f2vbench``."""

from f2vbench.cli.main import main

raise SystemExit(main())
