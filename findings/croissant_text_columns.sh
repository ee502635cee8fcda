#!/usr/bin/env bash
# mlcroissant: text columns of a CSV file that look like numbers or missing values.
#
# Expected: a field with the data type sc:Text gives the text of the file: "00123" stays "00123", and "None" and "NA",
#           which are answers in the file, stay words.
# Observed (mlcroissant 1.1.1, pandas 3.1.1): the column is read as numbers where it looks like numbers, and is turned
#           back into text afterwards. "00123" becomes b"123", and "0123" and "123" are one patient. A code "1E5" becomes
#           b"100000.0". "NA" and "None" become None. A grade "2" in a column with an "NA" becomes b"2.0", and a
#           17-digit identifier in a column with an "NA" loses its last digit, which makes two images one. There is no
#           warning.
# Who meets it: whoever reads a table of patients, grades or eyes through its Croissant description and joins it with
#           file names or another table, or counts patients.
#
# Exit status: 0 while this holds, 1 if the behaviour has changed, other values if the installation failed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/env"
"$work/env/bin/python" -m pip install --quiet --disable-pip-version-check \
    "mlcroissant==1.1.1" "pandas==3.1.1" "numpy>=2,<3"
"$work/env/bin/python" - "$work" <<'PY'
import hashlib
import json
import logging
import sys
from importlib.metadata import version
from pathlib import Path

import mlcroissant as mlc
import pandas

logging.disable(logging.WARNING)  # recommended properties of the description that are absent
print(f"mlcroissant {version('mlcroissant')}, pandas {pandas.__version__}")
columns = {
    "patient": ["00123", "0123", "00124"],
    "code": ["1E5", "2E3", "7E1"],
    "grade": ["2", "NA", "0"],
    "drops": ["None", "tropicamide", "none"],
    "image": ["20260131123456789", "20260131123456787", "NA"],
}
table = Path(sys.argv[1], "table.csv")
table.write_text("\n".join(map(",".join, [tuple(columns), *zip(*columns.values())])) + "\n")
fields = [
    mlc.Field(
        id=f"table/{name}",
        name=name,
        data_types=mlc.DataType.TEXT,
        source=mlc.Source(file_object="table.csv", extract=mlc.Extract(column=name)),
    )
    for name in columns
]
description = mlc.Metadata(
    name="table",
    description="A table.",
    url="https://example.org",
    license="https://opensource.org/license/mit",
    distribution=[
        mlc.FileObject(
            id="table.csv",
            name="table.csv",
            content_url="table.csv",
            encoding_formats=["text/csv"],
            sha256=hashlib.sha256(table.read_bytes()).hexdigest(),
        )
    ],
    record_sets=[mlc.RecordSet(id="table", name="table", fields=fields)],
)
croissant = Path(sys.argv[1], "croissant.json")
croissant.write_text(json.dumps(description.to_json(), default=str))
records = list(mlc.Dataset(str(croissant)).records("table"))
read = {name: [record[f"table/{name}"] for record in records] for name in columns}
for name, texts in columns.items():
    print(f"{name:<8} in the file {texts}\n{'':<8} read as     {read[name]}")

expected = {
    "patient": [b"123", b"123", b"124"],
    "code": [b"100000.0", b"2000.0", b"70.0"],
    "grade": [b"2.0", None, b"0.0"],
    "drops": [None, b"tropicamide", b"none"],
}
same = all(read[name] == values for name, values in expected.items())
same = same and read["image"][0] != columns["image"][0].encode() and read["image"][0] == read["image"][1]
print("as observed" if same else "the behaviour has changed")
sys.exit(0 if same else 1)
PY
