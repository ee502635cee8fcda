"""The verb `phantom`: simulated eyes as a contact sheet and as a data set."""

from __future__ import annotations

from collections.abc import Iterator

from f2vbench.phantom.cohort import Cohort
from f2vbench.phantom.export.contact_sheet import write_sheet
from f2vbench.phantom.export.croissant import write_croissant
from f2vbench.phantom.export.folders import write_cohort
from f2vbench.phantom.export.tables import DEFAULT_PARTS
from f2vbench.phantom.settings import PhantomSettings
from f2vbench.utils.existing_outputs import check_output_file, has_mark
from f2vbench.utils.progress import Progress
from f2vbench.utils.system import cores


def simulate(settings: PhantomSettings, progress: Progress) -> Iterator[str]:
    """Write the requested contact sheet and data set; yield a message after each.

    Args:
        settings: Settings of the verb.
        progress: Receives the progress of the simulation.

    Raises:
        F2VBenchError: See `contact_sheet.write_sheet` and `folders.write_cohort` of `f2vbench.phantom.export`.
    """
    cohort = Cohort(
        settings.seed, settings.patients, size=settings.size, diseases=settings.disease, effect=settings.effect
    )
    if settings.sheet is not None:
        check_output_file(settings.sheet, "sheet", has_mark)
        write_sheet(settings.sheet, cohort, settings.eyes)
        yield f"contact sheet: {settings.sheet}"
    if settings.out is not None:
        parts = DEFAULT_PARTS if settings.parts == ["all"] else settings.parts
        jobs = cores() if settings.jobs == "auto" else settings.jobs
        write_cohort(settings.out, cohort, parts=parts, jobs=jobs, progress=progress)
        if settings.croissant:
            yield f"metadata: {write_croissant(settings.out, cohort)}"
        patients = f"{cohort.patients} patient{'s' * (cohort.patients != 1)}"
        yield f"{len(cohort)} eyes of {patients}; the contents are described in {settings.out / 'README.txt'}"
