"""Libraries that the processes of the harness have loaded already; loaded once by the fork server."""

from __future__ import annotations
