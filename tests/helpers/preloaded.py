"""Modules that the fork server of `tests.helpers.commands` imports once."""

from f2vbench.utils.torchvision_compat import allow_missing_torchvision_ops

allow_missing_torchvision_ops()

import segmentation_models_pytorch  # noqa: E402, F401
import timm  # noqa: E402, F401

import f2vbench.adapters.classification  # noqa: E402
import f2vbench.adapters.segmentation  # noqa: E402
import f2vbench.adapters.trained_segmenters  # noqa: E402
import f2vbench.benchmark  # noqa: E402
import f2vbench.cli.main  # noqa: E402
import f2vbench.cli.report  # noqa: E402
import f2vbench.runner.extraction  # noqa: E402, F401
