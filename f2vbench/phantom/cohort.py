"""A cohort of simulated patients; each eye is generated on the fly from its index.

Every random generator has a key of seed, patient, side, view and purpose. An eye therefore does not depend on the
order of generation, on the number of patients, or on the process.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import overload

import numpy as np

from f2vbench.errors import SettingsError, did_you_mean
from f2vbench.phantom.anatomy.camera import VIEWS, Camera, aim
from f2vbench.phantom.anatomy.landmarks import MM_PER_DEGREE, draw_anatomy
from f2vbench.phantom.anatomy.surface import draw_fundus_surface
from f2vbench.phantom.anatomy.vessel_masks import RenderedVessels, render_vessels
from f2vbench.phantom.anatomy.vessels import grow_vessels
from f2vbench.phantom.imaging.angiogram import Angiogram, acquire_angiogram
from f2vbench.phantom.imaging.eye import Eye
from f2vbench.phantom.imaging.ground_truth import GroundTruth, render_ground_truth
from f2vbench.phantom.imaging.modalities import acquire_autofluorescence, acquire_icg, acquire_red_free
from f2vbench.phantom.imaging.optics import CameraProfile, draw_camera_profile
from f2vbench.phantom.imaging.photograph import acquire_photograph
from f2vbench.phantom.lesions.disease import DISEASES, apply_disease_to_values, draw_findings
from f2vbench.phantom.lesions.grading import dr_grade, glaucoma_stage
from f2vbench.phantom.outcomes import EFFECT
from f2vbench.phantom.patients import Patient, draw_patient, generator

VERSION = 2  # increase it when the same seed gives other eyes
SIDES = ("right", "left")
SMALLEST, LARGEST = 64, 4096  # px


@dataclass(frozen=True)
class Labels:
    """Labels of one eye and its patient.

    Attributes:
        disease: One of `f2vbench.phantom.lesions.disease.DISEASES`.
        severity: Drawn severity: 0 for a normal eye, otherwise 1 and above.
        dr_grade: 0 to 4 on the international scale, computed from the lesions; 0 in eyes without diabetic
            retinopathy, even if another disease causes haemorrhages.
        glaucoma_stage: 0 none, 1 early, 2 advanced, computed from cup and nerve fibre defects.
        outcomes: Systemic outcomes: stroke, dementia, parkinson, infarction.
        age: Years.
        sex: "female" or "male".
        values: Quantities of the eye by their names in `f2vbench.phantom.anatomy.quantities`, including changes by
            disease.
    """

    disease: str
    severity: int
    dr_grade: int
    glaucoma_stage: int
    outcomes: Mapping[str, bool]
    age: float
    sex: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class Photograph:
    """A colour photograph.

    Attributes:
        image: uint8 (size, size, 3), RGB.
        camera: View of the photograph.
        eye: The photographed eye.
    """

    image: np.ndarray
    camera: Camera
    eye: Eye
    _rendered_vessels: RenderedVessels = field(repr=False)

    @functools.cached_property
    def truth(self) -> GroundTruth:
        """Ground-truth masks of the image, computed on first access."""
        return render_ground_truth(self.eye, self.camera, self._rendered_vessels)


class CohortEye:
    """One eye of a cohort; the eye and its labels are computed on first access and cached in this object.

    Args:
        cohort: The cohort.
        index: Index of the eye, 0 to ``len(cohort) - 1``.
    """

    def __init__(self, cohort: Cohort, index: int):
        self.cohort = cohort
        self.index = index
        self.number, self._side = divmod(index, 2)

    def __repr__(self) -> str:
        return f"CohortEye({self.name} of {self.cohort})"

    @property
    def patient(self) -> str:
        """Identifier of the patient, for example ``P00014``; the first patient is ``P00001``."""
        return f"P{self.number + 1:05d}"

    @property
    def side(self) -> str:
        """Side of the eye: "right" or "left"."""
        return SIDES[self._side]

    @property
    def name(self) -> str:
        """Identifier of the eye, for example ``P00014_right``."""
        return f"{self.patient}_{self.side}"

    @functools.cached_property
    def eye(self) -> Eye:
        """Anatomy, vessels, lesions and fundus surface of the eye."""
        person, side = self._patient_data, self._side
        disease, severity = person.diseases[side], person.severities[side]
        values, notch = apply_disease_to_values(disease, severity, dict(person.values[side]), self._draw("disease"))
        anatomy = draw_anatomy(values, self.side, self._draw("anatomy"), notch)
        vessels = grow_vessels(anatomy, self._draw("vessels"))
        findings = draw_findings(disease, severity, anatomy, vessels, person.age, self._draw("findings"))
        surface = draw_fundus_surface(values["melanin"], person.age, findings.tessellated, self._draw("surface"))
        seed = (self.cohort.seed, self.number, self._side)
        return Eye(anatomy, findings.vessels, tuple(findings.lesions), surface, person.age, findings.haze, seed)

    @functools.cached_property
    def labels(self) -> Labels:
        """Labels of the eye and its patient."""
        person, eye = self._patient_data, self.eye
        disease = person.diseases[self._side]
        diabetic = disease == "diabetic_retinopathy"
        return Labels(
            disease=disease,
            severity=person.severities[self._side],
            dr_grade=dr_grade(eye.lesions, eye.vessels, eye.anatomy) if diabetic else 0,
            glaucoma_stage=glaucoma_stage(eye.anatomy, eye.lesions),
            outcomes=person.outcomes,
            age=person.age,
            sex=person.sex,
            values=eye.anatomy.values,
        )

    def camera(self, view: str = "macula", size: int | None = None) -> Camera:
        """Camera of a view, common to its photograph, angiogram and ground truth.

        Args:
            view: "macula" or "disc".
            size: Edge length of the image, px; that of the cohort by default.
        """
        camera_profile = self.cohort.camera_profile(self._patient_data.camera_profile)
        camera = aim(self.eye.anatomy, view, camera_profile.field, self._size(size), self._draw("camera", view))
        return replace(camera, cut=camera_profile.cut, fill=camera_profile.fill, notch=camera_profile.notch)

    def photograph(self, view: str = "macula", size: int | None = None) -> Photograph:
        """Simulate a colour photograph of a view; its ground truth is available as `Photograph.truth`."""
        camera = self.camera(view, size)
        camera_profile = self.cohort.camera_profile(self._patient_data.camera_profile)
        rendered = render_vessels(self.eye.vessels, camera)
        image = acquire_photograph(self.eye, camera, camera_profile, self._draw("photograph", view), rendered)
        return Photograph(image, camera, self.eye, rendered)

    def angiogram(self, view: str = "macula", size: int | None = None, *, noise: bool = True) -> Angiogram:
        """Simulate a fluorescein angiogram of twelve frames, registered to the photograph of the same view.

        Args:
            view: "macula" or "disc".
            size: Edge length of the frames, px; that of the cohort by default.
            noise: False for the same examination without noise, residual motion and gain drift, and with typical
                camera settings, for example as a training target. Acquisition times and dye are the same.
        """
        return acquire_angiogram(self.eye, self.camera(view, size), self._draw("angiogram", view), noise=noise)

    def icg(self, view: str = "macula", size: int | None = None) -> np.ndarray:
        """Simulate an indocyanine green frame, uint8 (size, size), slightly displaced from the photograph."""
        draw = self._draw("icg", view)
        return acquire_icg(self.eye, _moved(self.camera(view, size), draw), draw)

    def red_free(self, view: str = "macula", size: int | None = None) -> np.ndarray:
        """Simulate a red-free photograph, uint8 (size, size), slightly displaced from the colour photograph."""
        draw = self._draw("red_free", view)
        return acquire_red_free(self.eye, _moved(self.camera(view, size), draw), draw)

    def autofluorescence(self, view: str = "macula", size: int | None = None) -> np.ndarray:
        """Simulate an autofluorescence image, uint8 (size, size), slightly displaced from the photograph."""
        draw = self._draw("autofluorescence", view)
        return acquire_autofluorescence(self.eye, _moved(self.camera(view, size), draw), draw)

    def truth(self, view: str = "macula", size: int | None = None) -> GroundTruth:
        """Render the masks of a view without simulating its photograph."""
        return render_ground_truth(self.eye, self.camera(view, size))

    @functools.cached_property
    def _patient_data(self) -> Patient:
        return self.cohort.patient(self.number)

    def _draw(self, purpose: str, view: str = VIEWS[0]) -> np.random.Generator:
        return generator(self.cohort.seed, purpose, self.number, 1 + self._side, VIEWS.index(view))

    def _size(self, size: int | None) -> int:
        return self.cohort.size if size is None else _checked_size(size)


class Cohort(Sequence[CohortEye]):
    """Sequence of simulated eyes: ``cohort[2 * p]`` is the right eye of patient ``p``, ``cohort[2 * p + 1]`` the left.

    Eyes are generated on access and not cached: each access returns a new `CohortEye`.

    Args:
        seed: Seed of all random generators, 0 or above.
        patients: Number of patients, at least 1. Patient ``p`` does not depend on it.
        size: Edge length of the images, px, 64 to 4096; views, lesions and vessels do not depend on it.
        diseases: Diseases of the patients, in equal shares; by default all, with larger shares of diabetic
            retinopathy and of normal eyes. The second eye of a patient with a disease may be normal.
        effect: Effect size of the systemic outcomes, standard deviations; see `f2vbench.phantom.outcomes`.

    Raises:
        SettingsError: Arguments are out of range; the message lists all of them.
    """

    def __init__(
        self,
        seed: int,
        patients: int,
        *,
        size: int = 512,
        diseases: Sequence[str] | None = None,
        effect: float = EFFECT,
    ):
        problems = []
        if seed < 0:
            problems.append(f"seed={seed}: must be 0 or above")
        if patients < 1:
            problems.append(f"patients={patients}: must be at least 1")
        if not SMALLEST <= size <= LARGEST:
            problems.append(f"size={size}: must be {SMALLEST} to {LARGEST} pixels")
        if not 0 <= effect <= 4:
            problems.append(f"effect={effect}: must be 0 to 4 standard deviations")
        for name in diseases or ():
            if name not in DISEASES:
                hint = did_you_mean(name, DISEASES)
                problems.append(f"disease={name}: unknown disease{hint}; known: {', '.join(DISEASES)}")
        if diseases is not None and not diseases:
            problems.append("disease: the list is empty; name at least one, or omit it for all diseases")
        if problems:
            raise SettingsError(problems)
        self.seed = seed
        self.patients = patients
        self.size = size
        self.diseases = tuple(dict.fromkeys(diseases)) if diseases is not None else None
        self.effect = effect

    def __repr__(self) -> str:
        return f"Cohort(seed={self.seed}, patients={self.patients}, size={self.size})"

    def __len__(self) -> int:
        """Number of eyes."""
        return 2 * self.patients

    @overload
    def __getitem__(self, index: int) -> CohortEye: ...

    @overload
    def __getitem__(self, index: slice) -> list[CohortEye]: ...

    def __getitem__(self, index: int | slice) -> CohortEye | list[CohortEye]:
        if isinstance(index, slice):
            return [CohortEye(self, each) for each in range(*index.indices(len(self)))]
        position = index + len(self) if index < 0 else index
        if not 0 <= position < len(self):
            raise IndexError(f"eye {index}: the cohort has eyes 0 to {len(self) - 1}")
        return CohortEye(self, position)

    def __iter__(self) -> Iterator[CohortEye]:
        return (CohortEye(self, index) for index in range(len(self)))

    def patient(self, number: int) -> Patient:
        """Draw a patient by its number, from 0."""
        return draw_patient(self.seed, number, self.diseases, self.effect)

    def camera_profile(self, number: int) -> CameraProfile:
        """Draw one of the camera profiles of this seed; many patients share each, so a profile identifies nobody."""
        return draw_camera_profile(generator(self.seed, "look", number))


def _moved(camera: Camera, draw: np.random.Generator) -> Camera:
    """The camera after the patient has moved: sd 1.5 % of the field and 1.5° of torsion."""
    x, y = draw.normal(scale=0.015 * camera.field * MM_PER_DEGREE, size=2)
    centre = (camera.centre[0] + float(x), camera.centre[1] + float(y))
    return replace(camera, centre=centre, torsion=camera.torsion + float(draw.normal(scale=1.5)))


def _checked_size(size: int) -> int:
    if not SMALLEST <= size <= LARGEST:
        raise SettingsError(f"size={size}: must be {SMALLEST} to {LARGEST} pixels")
    return size
