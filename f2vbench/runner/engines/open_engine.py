"""Selects the engine of a run."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from f2vbench.config.run import RunSettings
from f2vbench.errors import SettingsError
from f2vbench.runner.engines.base import Engine
from f2vbench.runner.engines.local import LocalEngine
from f2vbench.runner.scheduling import worker_count


def check_installed(package: str, setting: str) -> None:
    """Refuse an engine whose package is not installed.

    Args:
        package: Name of the package.
        setting: The setting that needs it.

    Raises:
        SettingsError: It can't be imported.
    """
    try:
        import_module(package)
    except ImportError as error:
        extra = setting.partition("=")[2]
        raise SettingsError(f"{setting}: {error}; install it with: pip install 'f2vbench[{extra}]'") from error


def open_engine(settings: RunSettings, note: Callable[[str], None]) -> Engine:
    """Engine that executes the work items of a run; for ``engine=slurm`` that of each of its tasks.

    Args:
        settings: Settings of the run.
        note: Receives messages for the user, such as where workers run.

    Raises:
        SettingsError: The engine is not installed.
    """
    if settings.engine == "ray":
        check_installed("ray", "engine=ray")
        from f2vbench.runner.engines.ray_engine import RayEngine

        return RayEngine(settings, note)
    return LocalEngine(worker_count(settings))
