"""Files of one eye of a data set: images, masks, angiogram frames, vessel trees, and the record of the eye."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from f2vbench.phantom.anatomy.camera import Camera
from f2vbench.phantom.anatomy.vessels import VEIN, Vessels
from f2vbench.phantom.cohort import CohortEye
from f2vbench.phantom.imaging.ground_truth import GroundTruth
from f2vbench.utils.files import sealed, unseal, write_atomically
from f2vbench.utils.png import encode_png

HIDDEN = ".phantom"  # folder of the records, inside the data set
_VENOUS_FRAME = 5  # of twelve: the second venous frame, arteries and veins filled


def write_eye(out: Path, eye: CohortEye, parts: frozenset[str]) -> None:
    """Write the files of one eye, its record last.

    Args:
        out: Folder of the data set.
        eye: The eye.
        parts: Parts of the data set, of `f2vbench.phantom.export.tables.PARTS`.
    """
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)  # as in the worker processes
    try:
        images = dict(_images(eye, parts))
        frames = []
        if {"video", "retrieval"} & parts:
            angiogram = eye.angiogram()
            kept = range(len(angiogram.frames)) if "video" in parts else [_VENOUS_FRAME]
            for number in kept:
                file = f"frames/{eye.name}/{number:02d}.png"
                images[file] = angiogram.frames[number]
                phase, seconds = angiogram.phases[number], float(angiogram.seconds[number])
                frames.append({"file": file, "phase": phase, "seconds": seconds, "venous": number == _VENOUS_FRAME})
        for file, pixels in images.items():
            write_atomically(out / file, encode_png(pixels))
    finally:
        cv2.setNumThreads(threads)
    files = list(images)
    if "vessels" in parts:
        files.append(f"trees/{eye.name}.npz")
        write_atomically(out / files[-1], encode_tree(eye.eye.vessels, eye.camera()))
    labels = asdict(eye.labels)
    record = {"name": eye.name, "patient": eye.patient, "number": eye.number, "eye": eye.side}
    record |= {"labels": labels, "frames": frames, "files": files}
    write_atomically(_record_file(out, eye.name), sealed(record), durable=True)


def read_record(out: Path, name: str) -> dict[str, Any] | None:
    """Return the record of an eye; None if it is missing or damaged, or if one of its files is missing."""
    try:
        record: dict[str, Any] = unseal(_record_file(out, name).read_bytes())
    except (OSError, ValueError):
        return None
    return record if all((out / file).is_file() for file in record["files"]) else None


def _record_file(out: Path, name: str) -> Path:
    return out / HIDDEN / "eyes" / f"{name}.json"


def _images(eye: CohortEye, parts: frozenset[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (file, pixels) of all images except angiogram frames."""
    photograph = eye.photograph()
    yield f"images/{eye.name}_macula.png", photograph.image
    if "vessels" in parts:
        yield from _masks(eye.name, photograph.truth)
    if "retrieval" in parts:
        yield f"images/{eye.name}_disc.png", eye.photograph("disc").image
        yield f"images/{eye.name}_icg.png", eye.icg()
        yield f"images/{eye.name}_red_free.png", eye.red_free()
        yield f"images/{eye.name}_autofluorescence.png", eye.autofluorescence()


def _masks(name: str, truth: GroundTruth) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (file, pixels) of all masks.

    Masks are 0 and 255. In the mask of arteries and veins, arteries are red, veins blue, and crossings green.
    """
    colours = np.zeros((*truth.vessels.shape, 3), np.uint8)
    colours[truth.arteries], colours[truth.veins] = (255, 0, 0), (0, 0, 255)
    colours[truth.arteries & truth.veins] = (0, 255, 0)
    yield f"masks/arteries_veins/{name}.png", colours
    masks = {"vessels": truth.vessels, "field_of_view": truth.field_of_view, "disc": truth.disc, "cup": truth.cup}
    masks |= {f"lesions/{kind}": mask for kind, mask in truth.lesions.items()}
    for kind, mask in masks.items():
        yield f"masks/{kind}/{name}.png", mask.astype(np.uint8) * 255


def encode_tree(vessels: Vessels, camera: Camera) -> bytes:
    """Encode vessel trees of n nodes as a NumPy archive (read it with ``numpy.load``); bytes are reproducible.

    Arrays: ``points_mm`` (n, 2), coordinates on the retina (right eye, fovea at the origin, nasal and down positive);
    ``points_px`` (n, 2), column and row in the photograph; ``parent`` (n,), the next node towards the disc, -1 at a
    root (parents come first); ``radius_mm`` (n,); ``path_mm`` (n,), path length from the root; ``vein`` (n,), False
    for arteries.

    Args:
        vessels: The vessel trees.
        camera: View of the photograph.
    """
    file = io.BytesIO()
    np.savez_compressed(
        file,
        points_mm=vessels.points.astype(np.float32),
        points_px=camera.to_pixels(vessels.points).astype(np.float32),
        parent=vessels.parent.astype(np.int32),
        radius_mm=vessels.radius.astype(np.float32),
        path_mm=vessels.path.astype(np.float32),
        vein=vessels.kind == VEIN,
    )
    return file.getvalue()
