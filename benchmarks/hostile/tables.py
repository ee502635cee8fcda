"""Damaged, ragged and ambiguous tables."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from benchmarks.hostile.inputs import Hostile, check_folder, eyes

HEAD = "image,patient\n"
ROWS = "a.png,1\nb.png,2\nc.png,3\nd.png,4\n"
TEXTS: dict[str, tuple[bytes, str]] = {
    "one field more": (b"image,patient\na,1,OD\nb,2,OS\nc,3,OD\nd,4,OS\n", "no heading for 'OD'"),
    "one field less": (b"image,patient,eye\na,1\nb,2\nc,3\nd,4\n", "2 fields for 3 headings"),
    "last row cut": ((HEAD + ROWS).encode()[:-3], "1 fields for 2 headings"),
    "no rows": (HEAD.encode(), "images without a row"),
    "empty file": (b"", "no headings"),
    "blank lines only": (b"\n\n \n", "no headings"),
    "one column": (b"image\na\nb\nc\nd\n", "column patient not found"),
    "no header": (ROWS.encode(), "column image and patient not found"),
    "heading twice": (b"image,patient,patient\na,1,2\nb,2,3\nc,3,4\nd,4,5\n", "heading 'patient'"),
    "image twice": ((HEAD + ROWS + "a.png,9\n").encode(), "listed twice"),
    "unknown image": ((HEAD + ROWS + "z.png,9\n").encode(), "'z.png' not found"),
    "image missing": ((HEAD + ROWS[:-8]).encode(), "images without a row"),
    "no patient": ((HEAD + ROWS.replace("a.png,1", "a.png,")).encode(), "has no patient"),
    "unclosed quotation mark": ((HEAD + '"' + ROWS).encode(), "quotation marks"),
    "quotation mark inside": ((HEAD + ROWS.replace("b.png", '"b"x')).encode(), "quotation marks"),
    "UTF-16": ((HEAD + ROWS).encode("utf-16"), "not UTF-8"),
    "UTF-16 without mark": ((HEAD + ROWS).encode("utf-16-le"), "zero bytes"),
    "Latin-1": ((HEAD + ROWS.replace(",1", ",Zoë")).encode("latin-1"), "not UTF-8"),
    "binary": (bytes(range(256)) * 20, "not UTF-8"),
    "zero bytes": ((HEAD + ROWS).encode() + b"\0" * 100, "zero bytes"),
    "a field of a megabyte": ((HEAD + "x" * 1_000_000 + ",1\n").encode(), "field larger"),
    "unknown split": (
        b"image,patient,split\na,1,training\nb,2,test\nc,3,test\nd,4,test\n",
        "must be train, test or empty",
    ),
    "several headings empty, filled": (b"image,,patient\na,x,1\nb,y,2\nc,z,3\nd,w,4\n", "no heading for 'x'"),
}
READ: dict[str, bytes] = {
    "semicolons": (HEAD + ROWS).replace(",", ";").encode(),
    "tabs": (HEAD + ROWS).replace(",", "\t").encode(),
    "bars": (HEAD + ROWS).replace(",", "|").encode(),
    "Excel's sep=": ("sep=;\n" + (HEAD + ROWS).replace(",", ";")).encode(),
    "byte-order mark": (HEAD + ROWS).encode("utf-8-sig"),
    "Windows line ends": (HEAD + ROWS).replace("\n", "\r\n").encode(),
    "old Mac line ends": (HEAD + ROWS).replace("\n", "\r").encode(),
    "empty fields at the end": (HEAD.strip() + ",,\n" + ROWS.replace("\n", ",,\n")).encode(),
    "empty rows": (HEAD + "\n,\n" + ROWS + ",\n\n").encode(),
    "spaces and capitals": (" Image , PATIENT \n" + ROWS.replace(",", " , ")).encode(),
    "other columns": b"image,patient,note\n" + b"".join(b'%c.png,%d,"x, y"\n' % (97 + n, n) for n in range(4)),
}


def _patients(content: bytes, at: Path) -> int:
    eyes(at)
    (at / "patients.csv").write_bytes(content)
    return check_folder()


def _special(kind: str, at: Path) -> int:
    eyes(at)
    if kind == "folder":
        (at / "patients.csv").mkdir()
    else:
        (at / "patients.csv").symlink_to("nowhere.csv")
    return check_folder()


def inputs() -> Iterator[Hostile]:
    """The inputs of this category."""
    for name, (content, expected) in TEXTS.items():
        yield Hostile(name, partial(_patients, content), expected)
    for name, content in READ.items():
        yield Hostile(name, partial(_patients, content), "4 images, 4 patients.*no errors", (0,))
    yield Hostile("a folder named patients.csv", partial(_special, "folder"), "unreadable|directory")
    yield Hostile("a link to nowhere", partial(_special, "link"), "links? lead|unreadable|no such file")
