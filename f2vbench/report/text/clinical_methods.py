"""Methods section of the clinical tables that a report has on request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from f2vbench.report.text.wording import join_names
from f2vbench.stats.citations import BOOTSTRAP_BCA, CROSSED, DELONG_CLUSTERED, MAX_T, NON_INFERIORITY, TOST

if TYPE_CHECKING:
    from f2vbench.report.tables.clinical import ClinicalSettings


def clinical_methods(settings: ClinicalSettings) -> list[str]:
    """Paragraphs on operating points, subgroups and equivalence, as far as they are requested.

    Args:
        settings: Which clinical tables the report has.
    """
    paragraphs = []
    if settings.operating_point is not None:
        paragraphs.append(
            f"Operating points: for each seed, {settings.operating_point.sentence} was chosen on the validation images "
            "and applied to the test images. Sensitivity, specificity, predictive values, F1 and Matthews' correlation "
            f"coefficient have 95 % intervals by the {BOOTSTRAP_BCA.name} ({BOOTSTRAP_BCA.citation}) and, as "
            "proportions of images, by Wilson's method (Wilson, JASA 22:209–212, 1927). Partial areas were "
            "standardised (McClish, Medical Decision Making 9:190–195, 1989). Calibration slope and intercept are "
            "those of the logistic recalibration (Cox, Biometrika 45:562–565, 1958). The analytic interval of AUROC "
            "is that of "
            f"{DELONG_CLUSTERED.name} ({DELONG_CLUSTERED.citation})."
        )
    if settings.subgroups is not None:
        bands = ", ".join(f"{edge:g}" for edge in settings.subgroups.age_bands)
        of_age = f" Age was divided at {bands} years." if "age" in settings.subgroups.by else ""
        paragraphs.append(
            f"Subgroups by {join_names(settings.subgroups.by)}: each has the metric of its own test images with the "
            f"interval of the {CROSSED.name}.{of_age} The gap between the best and the worst subgroup was tested by "
            f"the same analysis, with p-values adjusted for the choice of the pair ({MAX_T.name}; {MAX_T.citation}) "
            "and by Holm's method over all gaps. Images of which the value is missing formed a group that was not "
            "compared."
        )
    if settings.margin is not None:
        paragraphs.append(
            f"Equivalence and non-inferiority with a margin of {settings.margin:g}: {TOST.name} ({TOST.citation}) at "
            f"0.05 and the {NON_INFERIORITY.name} ({NON_INFERIORITY.citation}) at 0.025, with the standard error and "
            f"the degrees of freedom of the {CROSSED.name}; p-values were adjusted by Holm's method."
        )
    return paragraphs
