"""Text of the README.txt of a simulated data set."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

from f2vbench.phantom.cohort import VERSION, Cohort
from f2vbench.phantom.imaging.ground_truth import VISIBLE
from f2vbench.phantom.outcomes import OUTCOMES, PREVALENCE, best_auroc

_PARTS = {
    "vessels": (
        "vessels/AV_groundTruth/{training,test}/{images,vessel,av} and vessels/drive_fov",
        "RITE's layout: vessel masks, arteries red and veins blue (crossings green), fields of view in DRIVE's place. "
        f"Vessels of {1000 * VISIBLE:.0f} µm and wider are in the masks. masks/ has the same masks by kind, and with "
        "them disc, cup, and every kind of lesion that an eye has. trees/<eye>.npz holds the vessels as vectors: "
        "centre lines in mm and px, parent, radius, path length from the disc, artery or vein.",
    ),
    "dr": (
        "dr/{train,val,test}/{anodr,bmilddr,cmoderatedr,dseveredr,eproliferativedr}",
        "RETFound's layout: grade 0 to 4 of the international scale, counted from the lesions drawn. Eyes with "
        "another disease than diabetic retinopathy are not in it.",
    ),
    "glaucoma": (
        "glaucoma/{train,val,test}/{anormal_control,bearly_glaucoma,cadvanced_glaucoma}",
        "RETFound's layout: three stages, read from cup and nerve fibres; every eye is in it.",
    ),
    "disease": ("disease/{train,val,test}/<disease>", "RETFound's layout: one disease an eye."),
    "systemic": ("systemic.csv", "Four outcomes of the body as 0 and 1, with age, sex and split."),
    "retrieval": (
        "retrieval.csv",
        "One row an image: colour photographs (CF) of macula and disc, a venous angiogram frame (FFA), indocyanine "
        "green (ICG), red-free (RF) and autofluorescence (AF). The camera has moved a little between modalities, but "
        "not between photograph and angiogram.",
    ),
    "video": (
        "video.csv",
        "One row an angiogram frame, twelve a case, in the table of the released Fundus2Video code: orgid (patient), "
        "pid_eye (case), Phase, level_1 (seconds after injection), co_rigid (photograph), fa_rigid (frame).",
    ),
}


def readme(cohort: Cohort, parts: Sequence[str]) -> str:
    """Return the README: the cohort, its folders and tables, splits and outcomes."""
    blocks = [
        fill(
            f"Simulated eyes of {cohort.patients} patients, both eyes of each, made by f2vbench phantom (simulator "
            f"version {VERSION}, seed {cohort.seed}, {cohort.size} px). Nothing in here comes from a person. The same "
            "settings (phantom.json) give the same bytes again.",
            100,
        ),
        _entry(
            "eyes.csv",
            "One row an eye: patient, eye, split, age, sex, labels, and the quantities drawn, as changed by disease.",
        ),
        _entry("quantities.csv", "What was drawn: unit, mean, standard deviation, range and source of each quantity."),
        _entry(
            "images/, frames/, masks/",
            "Photographs, angiogram frames and masks (0 and 255), each stored once. What lies in the folders below "
            "are hard links to them, and the paths in tables are relative to the table.",
        ),
        *(_entry(*_PARTS[part]) for part in _PARTS if part in parts),
        fill(
            "Patients are divided 55 : 15 : 30 into train, val and test, evenly over the diseases and the same way in "
            "every part; vessels/training holds train and val.",
            100,
        ),
    ]
    if "systemic" in parts:
        blocks.append(_systemic(cohort.effect))
    return "\n\n".join(blocks) + "\n"


def _systemic(effect: float) -> str:
    traits = ", ".join(
        f"{each.name} ({'larger' if each.sign > 0 else 'smaller'} {each.quantity})" for each in OUTCOMES.values()
    )
    return fill(
        f"Each outcome shifts one quantity of both eyes by {effect:g} sd: {traits}. So the best AUROC "
        f"that can be reached is {best_auroc(effect):.3f} in eyes without disease (diseases change vessels, too). "
        f"Outcomes depend on nothing else, and {PREVALENCE:.0%} of the patients have each. In truth such effects are "
        "about 0.1 to 0.4 sd.",
        100,
    )


def _entry(what: str, text: str) -> str:
    return f"{what}\n" + fill(text, 100, initial_indent="    ", subsequent_indent="    ")
