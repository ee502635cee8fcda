"""``python -m f2vbench``"""

from f2vbench.cli import main

raise SystemExit(main())
