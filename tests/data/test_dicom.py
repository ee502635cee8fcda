"""DICOM photographs: every photometric interpretation, patients as hashes, and what is refused."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from f2vbench.data import dicom
from f2vbench.data.dicom import patient_and_eye_in_dicom
from f2vbench.data.images import read_rgb
from f2vbench.data.index import build_index
from f2vbench.data.survey import survey
from f2vbench.data.task_cards import load_card
from f2vbench.errors import DataError
from tests.helpers.small_eyes import photograph, save
from tests.helpers.small_sets import write_table

pydicom = pytest.importorskip("pydicom", reason="the extra dicom (pydicom) is not installed")

from pydicom.dataset import FileMetaDataset  # noqa: E402
from pydicom.encaps import encapsulate  # noqa: E402

PLAIN, DEFLATED, RLE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5"
JPEG, JPEG_2000_LOSSLESS, JPEG_2000 = (f"1.2.840.10008.1.2.4.{number}" for number in (50, 90, 91))
HTJ2K = "1.2.840.10008.1.2.4.201"
RGB = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8), (0, 0), 4)
GREY = RGB[..., 1]


def write_dicom(path: Path, interpretation: str, data: bytes, syntax: str = PLAIN, **attributes) -> Path:
    header = pydicom.Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    header.file_meta.MediaStorageSOPClassUID = header.SOPClassUID = "1.2.840.10008.5.1.4.1.1.77.1.5.1"
    header.file_meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID = pydicom.uid.generate_uid()
    header.Rows, header.Columns = RGB.shape[:2]
    header.PhotometricInterpretation = interpretation
    grey = interpretation.startswith(("MONO", "PALETTE"))
    header.SamplesPerPixel = 1 if grey else 3
    if not grey:
        header.PlanarConfiguration = 0
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 8, 8, 7, 0
    header.PatientName, header.PatientID, header.ImageLaterality = "Doe^Jane", "MRN 4711", "L"
    header.PixelData = data
    for name, value in attributes.items():
        setattr(header, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    header.save_as(path, enforce_file_format=True)
    return path


def as_ybr(rgb: np.ndarray) -> np.ndarray:
    """Full-range Y, Cb, Cr of DICOM PS3.3 C.7.6.3.1.2."""
    matrix = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]])
    return np.rint(rgb @ matrix.T + [0, 128, 128]).clip(0, 255).astype(np.uint8)


def encoded(kind: str, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(RGB).save(file, kind, **options)
    return file.getvalue()


def largest_difference(path: Path, expected: np.ndarray) -> int:
    found = read_rgb(path)
    assert found.shape == RGB.shape
    return int(np.abs(found.astype(int) - expected).max())


def test_uncompressed_pixels_in_every_photometric_interpretation(tmp_path):
    path = tmp_path / "a.dcm"
    grey = np.repeat(GREY[..., None], 3, axis=2)
    assert largest_difference(write_dicom(path, "MONOCHROME2", GREY.tobytes()), grey) == 0
    assert largest_difference(write_dicom(path, "MONOCHROME1", (255 - GREY).tobytes()), grey) == 0
    six_bits = write_dicom(path, "MONOCHROME2", (GREY // 4).tobytes(), BitsStored=6, HighBit=5)
    assert largest_difference(six_bits, np.rint((grey // 4) * (255 / 63))) == 0
    assert largest_difference(write_dicom(path, "RGB", RGB.tobytes()), RGB) == 0
    planes = write_dicom(path, "RGB", RGB.transpose(2, 0, 1).tobytes(), PlanarConfiguration=1)
    assert largest_difference(planes, RGB) == 0
    assert largest_difference(write_dicom(path, "RGB", RGB.tobytes(), DEFLATED), RGB) == 0
    ybr = as_ybr(RGB)
    assert largest_difference(write_dicom(path, "YBR_FULL", ybr.tobytes()), RGB) <= 2
    halved = ybr.copy()
    halved[:, 1::2, 1:] = halved[:, ::2, 1:]  # pairs of pixels share Cb and Cr
    pairs = np.stack([ybr[:, ::2, 0], ybr[:, 1::2, 0], ybr[:, ::2, 1], ybr[:, ::2, 2]], axis=-1)
    expected = cv2.cvtColor(halved[..., [0, 2, 1]], cv2.COLOR_YCrCb2RGB)
    assert largest_difference(write_dicom(path, "YBR_FULL_422", pairs.tobytes()), expected) <= 2


@pytest.mark.parametrize(("bits", "factor", "kind"), [(8, 1, "u1"), (16, 257, "<u2"), (8, 1, "<u2"), (16, 1, "<u2")])
def test_palettes_become_colours(tmp_path, bits, factor, kind):
    table = np.random.default_rng(1).integers(0, 256, (256, 3))
    names = ("Red", "Green", "Blue")
    palette = {f"{name}PaletteColorLookupTableDescriptor": [256, 0, bits] for name in names}
    palette |= {
        f"{name}PaletteColorLookupTableData": (table[:, channel] * factor).astype(kind).tobytes()
        for channel, name in enumerate(names)
    }
    path = write_dicom(tmp_path / "a.dcm", "PALETTE COLOR", GREY.tobytes(), **palette)
    assert largest_difference(path, table[GREY]) == 0


@pytest.mark.parametrize(
    ("interpretation", "syntax", "kind", "options", "tolerance"),
    [
        ("YBR_FULL_422", JPEG, "JPEG", {"quality": 98, "subsampling": 1}, 12),
        ("YBR_FULL", JPEG, "JPEG", {"quality": 98, "subsampling": 0}, 6),
        ("YBR_RCT", JPEG_2000_LOSSLESS, "JPEG2000", {"no_jp2": True, "mct": 1}, 0),
        ("RGB", JPEG_2000_LOSSLESS, "JPEG2000", {"no_jp2": True, "mct": 0}, 0),
        ("YBR_ICT", JPEG_2000, "JPEG2000", {"no_jp2": True, "mct": 1, "irreversible": True}, 3),
        ("YBR_FULL", JPEG_2000_LOSSLESS, "JPEG2000", {"no_jp2": True, "mct": 1}, 0),  # as some exports declare it
    ],
)
def test_compressed_pixels(tmp_path, interpretation, syntax, kind, options, tolerance):
    data = encapsulate([encoded(kind, **options)])
    assert largest_difference(write_dicom(tmp_path / "a.dcm", interpretation, data, syntax), RGB) <= tolerance


def test_run_length_encoding_and_files_without_a_suffix(tmp_path):
    header = pydicom.dcmread(write_dicom(tmp_path / "a.dcm", "RGB", RGB.tobytes()))
    header.compress(RLE)
    header.save_as(tmp_path / "IM0001")
    assert largest_difference(tmp_path / "IM0001", RGB) == 0


def test_a_compression_without_a_decoder_names_the_packages(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", "RGB", encapsulate([b"\xff\x4f"]), HTJ2K)
    if pydicom.pixels.get_decoder(pydicom.uid.UID(HTJ2K)).is_available:
        pytest.skip("pylibjpeg-openjpeg is installed, which decodes HTJ2K")
    with pytest.raises(
        DataError, match=r"compressed as High-Throughput JPEG 2000.*: install pylibjpeg.*pylibjpeg-openj"
    ):
        read_rgb(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"NumberOfFrames": 2, "data": RGB.tobytes() * 2}, "has 2 frames; a photograph has one"),
        ({"BitsAllocated": 16, "BitsStored": 16, "HighBit": 15, "data": RGB.tobytes() * 2}, "has 16 bits a sample"),
        ({"PixelRepresentation": 1}, "has signed samples"),
        ({"interpretation": "HSV"}, "photometric interpretation 'HSV' is not one of MONOCHROME1"),
        ({"Rows": 10_000, "Columns": 9_000}, "9000 × 10000 pixels exceeds the limit of 80,000,000 pixels"),
        ({"data": RGB.tobytes()[:-100]}, "unreadable DICOM pixels"),
        ({"syntax": "1.2.840.10008.1.2.4.100", "data": encapsulate([b"x"])}, "MPEG2.*is not one of a photograph"),
    ],
)
def test_what_is_no_photograph_of_8_bits_is_refused(tmp_path, changes, message):
    values = {"interpretation": "RGB", "data": RGB.tobytes()} | changes
    path = write_dicom(tmp_path / "a.dcm", **values)
    with pytest.raises(DataError, match=message) as error:
        read_rgb(path)
    assert str(path) in str(error.value)


def test_damaged_files_and_reports_are_refused(tmp_path):
    path = write_dicom(tmp_path / "a.dcm", "RGB", RGB.tobytes())
    header = pydicom.dcmread(path)
    del header.PixelData, header.Rows
    header.save_as(path)
    with pytest.raises(DataError, match="no image: the attributes Rows, PixelData are missing"):
        read_rgb(path)
    (tmp_path / "b.dcm").write_bytes(b"no dicom" * 40)
    with pytest.raises(DataError, match=r"b\.dcm: not a DICOM file"):
        read_rgb(tmp_path / "b.dcm")
    with pytest.raises(DataError, match=r"b\.dcm: not a DICOM file"):
        patient_and_eye_in_dicom(tmp_path / "b.dcm")


def test_without_pydicom_the_message_says_how_to_install_it(tmp_path, monkeypatch):
    path = write_dicom(tmp_path / "a.dcm", "RGB", RGB.tobytes())
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(DataError, match=r'a\.dcm: pydicom.*pip install "f2vbench\[dicom\]"'):
        read_rgb(path)


def test_patients_and_eyes_are_taken_from_the_files_and_never_printed(tmp_path, capsys):
    for number, (patient, side) in enumerate((("MRN 4711", "R"), ("MRN 4711", "L"), ("MRN 12", ""), ("", "R"))):
        pixels = cv2.resize(photograph(number), RGB.shape[1::-1]).tobytes()
        place = tmp_path / ("healthy" if number < 2 else "ill")
        write_dicom(place / f"{number}.dcm", "RGB", pixels, PatientID=patient, ImageLaterality=side)
    save(tmp_path / "ill" / "7_left.png", photograph(9))
    task = load_card("retina").model_copy(update={"layout": "class_folders", "classes": [], "label_kind": None})
    found = survey(task, tmp_path, alike=1)
    rows = found.index.set_index("image")
    hashed = rows["patient"]["healthy_0"]
    assert rows["patient"]["healthy_1"] == hashed
    assert rows["patient"].nunique() == 4
    assert len(hashed) == 16
    assert int(hashed, 16)
    assert rows["eye"].to_dict() == {
        "healthy_0": "right",
        "healthy_1": "left",
        "ill_2": "",
        "ill_3": "",
        "ill_7_left": "left",
    }
    shown = " ".join(finding.detail for finding in found.findings) + "".join(capsys.readouterr())
    assert "4711" not in shown + "".join(rows["patient"])
    assert "Doe" not in shown
    assert any("patients of 3 DICOM files are read from the files" in finding.detail for finding in found.findings)


def test_a_table_that_names_the_patients_takes_the_eye_from_the_file(tmp_path):
    write_dicom(tmp_path / "x" / "1.dcm", "RGB", RGB.tobytes())
    write_table(tmp_path / "t.csv", [["image", "label", "patient"], ["1", "a", "p"]])
    index = build_index(load_card("table"), tmp_path)
    assert (index["patient"][0], index["eye"][0]) == ("p", "left")


def test_the_issuer_is_part_of_the_hash(tmp_path):
    first = write_dicom(tmp_path / "a.dcm", "RGB", RGB.tobytes())
    second = write_dicom(tmp_path / "b.dcm", "RGB", RGB.tobytes(), IssuerOfPatientID="north")
    padded = write_dicom(tmp_path / "c.dcm", "RGB", RGB.tobytes(), PatientID="MRN 4711  ")
    hashes = [patient_and_eye_in_dicom(path)[0] for path in (first, second, padded)]
    assert hashes[0] == hashes[2] != hashes[1]
    assert dicom.is_dicom(first, b"")
