"""DICOM files of ophthalmic photography: pixels, patient and eye (extra ``dicom``, pydicom).

One frame of 8 bits is read in every photometric interpretation; pydicom decodes compressed pixels with the packages
that are installed. Names, dates and other identifying attributes are never read. Of the patient's number only a hash
leaves this module: it keeps images of a patient together, but it is a pseudonym, which a list of all numbers reveals.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from f2vbench.errors import DataError
from f2vbench.utils.files import sha256

if TYPE_CHECKING:
    from pydicom import Dataset

DICOM_SUFFIXES = (".dcm", ".dicom")
"""Suffixes of DICOM files; a file without one is recognised by its content."""

_NO_PYDICOM = '{path}: pydicom, which reads DICOM files, is not installed: pip install "f2vbench[dicom]"'
_MAGIC, _MAGIC_AT = b"DICM", 128
_EYES = {"R": "right", "L": "left"}
_IDENTITY = ("PatientID", "IssuerOfPatientID", "ImageLaterality", "Laterality", "FrameLaterality")
_GREY = ("MONOCHROME1", "MONOCHROME2")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_ICT", "YBR_RCT", "PALETTE COLOR")
_JPEG_2000 = ("1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91")
_COD_MARKER, _COD_TRANSFORM = b"\xff\x52", 8
"""Marker of a JPEG 2000 header, and the position after it of the byte that says whether the decoder converts to RGB."""


def is_dicom(path: Path, content: bytes) -> bool:
    """Whether a file is a DICOM file, by its suffix or its content."""
    return path.suffix.lower() in DICOM_SUFFIXES or content[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] == _MAGIC


def decode_dicom(path: Path, content: bytes, max_pixels: int) -> np.ndarray:
    """The pixels of a DICOM file.

    MONOCHROME1 is inverted, YBR is converted to RGB, and palettes to their colours. Windows (VOI LUT) and overlays are
    not applied.

    Args:
        path: The file, for messages.
        content: Its content.
        max_pixels: Largest number of pixels that is read.

    Returns:
        (height, width) or (height, width, 3), uint8; uint16 for palettes of 16 bits.

    Raises:
        DataError: pydicom or a package that decodes the compression is not installed; several frames, more than 8 bits,
            or an unknown photometric interpretation; the file is damaged or too large.
    """
    header = _read(path, content, None)
    problem = _unsupported(header, max_pixels)
    if problem:
        raise DataError(f"{path}: {problem}")
    _check_decoder(path, header)
    from pydicom.pixels.processing import apply_color_lut
    from pydicom.pixels.utils import pixel_array

    interpretation = str(header.PhotometricInterpretation)
    try:
        pixels: np.ndarray = pixel_array(header, raw=_decodes_to_rgb(header))
        if interpretation == "PALETTE COLOR":
            colours = np.asarray(apply_color_lut(pixels, header))
            # Some exports store entries of 8 bits in words of 16, where the brightest is 255.
            return colours.astype(np.uint8) if colours.max() <= 255 else colours
    except Exception as error:  # decoders raise many kinds of exceptions on damaged files
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: unreadable DICOM pixels ({reason}): export the photograph again") from error
    highest = 2 ** int(header.BitsStored) - 1
    if interpretation == "MONOCHROME1":
        pixels = highest - pixels
    if highest < 255:
        pixels = np.rint(pixels * (255 / highest)).astype(np.uint8)
    return pixels


def patient_and_eye_in_dicom(path: Path) -> tuple[str, str]:
    """Hash of the patient's number, and "left", "right" or "" for the eye, of a DICOM file.

    The hash is made of the number and its issuer; without a number it is "".

    Raises:
        DataError: The file is no DICOM file, or pydicom is not installed.
    """
    try:
        header = _read(path, path, _IDENTITY)
    except OSError as error:
        raise DataError(f"{path}: unreadable ({error.strerror or error})") from None
    number = _raw(header, "PatientID")
    laterality = _raw(header, "ImageLaterality") or _raw(header, "Laterality") or _raw(header, "FrameLaterality")
    patient = sha256(b"\0".join([_raw(header, "IssuerOfPatientID"), number]))[:16] if number else ""
    return patient, _EYES.get(laterality.decode("ascii", "replace").upper(), "")


def _read(path: Path, source: Path | bytes, attributes: tuple[str, ...] | None) -> Dataset:
    """The attributes of a file; all for None, else those named, without the pixels."""
    try:
        from pydicom import dcmread
        from pydicom.errors import InvalidDicomError
    except ImportError:
        raise DataError(_NO_PYDICOM.format(path=path)) from None
    file: Any = io.BytesIO(source) if isinstance(source, bytes) else source
    named = None if attributes is None else list(attributes)
    try:
        return dcmread(file, stop_before_pixels=named is not None, specific_tags=named)
    except InvalidDicomError:
        raise DataError(f"{path}: not a DICOM file (no DICM prefix): remove it, or export it again") from None
    except (EOFError, ValueError, NotImplementedError, AttributeError) as error:
        raise DataError(f"{path}: damaged DICOM file ({type(error).__name__}): export it again") from None


def _raw(header: Dataset, attribute: str) -> bytes:
    """The stored bytes of an attribute; pydicom's conversion would warn about invalid values by printing them."""
    element = header.get_item(attribute)
    value = getattr(element, "value", None)
    return value.strip(b" \0") if isinstance(value, bytes) else str(value or "").strip().encode()


def _unsupported(header: Dataset, max_pixels: int) -> str:
    """Why the pixels are not those of a photograph, or ""."""
    needed = ("Rows", "Columns", "BitsAllocated", "BitsStored", "SamplesPerPixel", "PhotometricInterpretation")
    absent = [name for name in (*needed, "PixelData") if name not in header]
    if absent:
        return f"no image: the attributes {', '.join(absent)} are missing: remove the file"
    frames, bits = int(header.get("NumberOfFrames") or 1), int(header.BitsAllocated)
    interpretation = str(header.PhotometricInterpretation)
    if frames != 1:
        return f"has {frames} frames; a photograph has one: export the frame that you need"
    if header.get("PixelRepresentation"):
        return "has signed samples; ophthalmic photographs have unsigned ones: export it again"
    if bits != 8:
        return f"has {bits} bits a sample; ophthalmic photographs of 8 bits are read: export it with 8 bits"
    if interpretation not in (*_GREY, *_COLOUR):
        return f"photometric interpretation '{interpretation}' is not one of {', '.join((*_GREY, *_COLOUR))}"
    if int(header.Rows) * int(header.Columns) > max_pixels:
        size = f"{header.Columns} × {header.Rows} pixels"
        return f"{size} exceeds the limit of {max_pixels:,} pixels: reduce the image"
    return ""


def _check_decoder(path: Path, header: Dataset) -> None:
    """Refuse a compression that no installed package decodes, by name of the packages that do."""
    from pydicom.pixels.decoders.base import get_decoder

    syntax = getattr(header.file_meta, "TransferSyntaxUID", None)
    if syntax is None:
        raise DataError(f"{path}: no transfer syntax in the file's header: export it again")
    if not syntax.is_compressed or syntax.is_deflated:
        return
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise DataError(
            f"{path}: the compression {syntax.name} is not one of a photograph: export it with another"
        ) from None
    if not decoder.is_available:
        packages = " or ".join(text.partition("requires ")[2] for text in decoder.missing_dependencies)
        raise DataError(f"{path}: compressed as {syntax.name}: install {packages} (pip install), which decodes it")


def _decodes_to_rgb(header: Dataset) -> bool:
    """Whether a JPEG 2000 decoder returns RGB by itself, whatever the photometric interpretation says."""
    if str(header.file_meta.TransferSyntaxUID) not in _JPEG_2000 or int(header.SamplesPerPixel) != 3:
        return False
    data: bytes = header.PixelData
    at = data.find(_COD_MARKER)
    return at >= 0 and data[at + _COD_TRANSFORM : at + _COD_TRANSFORM + 1] == b"\x01"
