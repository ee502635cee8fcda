#!/usr/bin/env bash
# pydicom: a value in the units of the pixels that is added to a file that was read.
#
# Expected: SmallestImagePixelValue has the value representation US or SS, which PixelRepresentation decides. A data set
#           with PixelRepresentation 0 can be written after the assignment, whether it is new or was read from a file.
# Observed (pydicom 3.0.2): the new data set is written, as US. The same assignment to the data set after dcmread makes
#           save_as raise ValueError (explicit value representations, "Cannot write ambiguous VR") or TypeError (implicit
#           ones). It is the same for LargestImagePixelValue, PixelPaddingValue and the descriptors of look-up tables.
#           The representation is decided only when the encoding of the file changes. The error for explicit files says
#           what to set. pydicom.filewriter.correct_ambiguous_vr(data_set, True) before save_as works for both.
# Who meets it: whoever adds the padding value, the range of the pixels or a palette to images from a camera or an OCT
#           device. Code that was tested with new data sets fails with files.
#
# Exit status: 0 while this holds, 1 if the behaviour has changed, other values if the installation failed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/python" -m pip install --quiet --disable-pip-version-check "pydicom==3.0.2"
"$work/env/bin/python" - <<'PY'
import sys
from io import BytesIO

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import correct_ambiguous_vr
from pydicom.uid import (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    OphthalmicPhotography8BitImageStorage,
    generate_uid,
)

print(f"pydicom {pydicom.__version__}")


def new(syntax):
    data_set = Dataset()
    data_set.file_meta = FileMetaDataset()
    data_set.file_meta.TransferSyntaxUID = syntax
    data_set.SOPClassUID = OphthalmicPhotography8BitImageStorage
    data_set.SOPInstanceUID = generate_uid()
    data_set.PixelRepresentation = 0
    return data_set


def saved(data_set):
    buffer = BytesIO()
    data_set.save_as(buffer, enforce_file_format=True)
    buffer.seek(0)
    return buffer


def outcome(data_set, keyword, value, correct=False):
    """The value representation in the file that is written, or the error."""
    setattr(data_set, keyword, value)
    if correct:
        correct_ambiguous_vr(data_set, True)
    try:
        element = pydicom.dcmread(saved(data_set))[keyword]
    except (TypeError, ValueError) as error:
        return type(error).__name__
    return str(element.VR) if element.value == value else f"{element.VR}, {element.value}"


elements = {
    "SmallestImagePixelValue": 0,
    "LargestImagePixelValue": 255,
    "PixelPaddingValue": 0,
    "RedPaletteColorLookupTableDescriptor": [256, 0, 16],
}
as_observed = True
for syntax, error in ((ExplicitVRLittleEndian, "ValueError"), (ImplicitVRLittleEndian, "TypeError")):
    print(syntax.name)
    for keyword, value in elements.items():
        found = (
            outcome(new(syntax), keyword, value),
            outcome(pydicom.dcmread(saved(new(syntax))), keyword, value),
            outcome(pydicom.dcmread(saved(new(syntax))), keyword, value, correct=True),
        )
        print(f"    {keyword:<36} new: {found[0]:<4} read: {found[1]:<12} read, then corrected: {found[2]}")
        as_observed &= found == ("US", error, "US")
print("as observed" if as_observed else "the behaviour has changed")
sys.exit(0 if as_observed else 1)
PY
