"""Damaged, unusual and blank photographs, links, pointers and special files."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.hostile.inputs import Hostile, check_folder, command, eye, eyes, save

SUFFIXES = ["dcm", "svg", "heic", "nii", "raw", "npy", "mha", "crdownload"]


def _png() -> bytes:
    content = io.BytesIO()
    Image.fromarray(eye(0)[0]).save(content, "PNG")
    return content.getvalue()


def _jpeg() -> bytes:
    content = io.BytesIO()
    Image.fromarray(eye(0)[0]).save(content, "JPEG")
    return content.getvalue()


CONTENTS: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"not an image at all",
    "a web page": lambda: b"<!DOCTYPE html><html><body>404</body></html>",
    "a Git LFS pointer": lambda: b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n",
    "a git-annex pointer": lambda: b"/annex/objects/SHA256E-s9--00.png\n",
    "a PNG cut at half": lambda: _png()[: len(_png()) // 2],
    "a PNG of its header alone": lambda: _png()[:33],
    "a PNG with a changed byte": lambda: _png()[:100] + bytes([_png()[100] ^ 255]) + _png()[101:],
    "zeros": lambda: bytes(5000),
    "random bytes": lambda: np.random.default_rng(0).bytes(5000),
    "a zip file": lambda: b"PK\x03\x04" + bytes(500),
}


def _content(make: Callable[[], bytes], suffix: str, at: Path) -> int:
    eyes(at)
    (at / "images" / "a.png").unlink()
    (at / "images" / f"a.{suffix}").write_bytes(make())
    return check_folder()


def _blank(level: int, verb: str, at: Path) -> int:
    eyes(at)
    save(at / "images" / "a.png", np.full((96, 96, 3), level, np.uint8))
    if verb == "check":
        return check_folder()
    return command("generate", "images/a.png", "model=pix2pixhd:pix2pixhd-mini", "out=a.png")


def _link(target: str, at: Path) -> int:
    eyes(at)
    (at / "images" / "a.png").unlink()
    (at / "images" / "a.png").symlink_to(target)
    return check_folder()


def _beside(suffix: str, at: Path) -> int:
    eyes(at)
    (at / "images" / f"x.{suffix}").write_bytes(b"x" * 200)
    return check_folder()


def _special(kind: str, at: Path) -> int:
    eyes(at)
    path = at / "images" / "z.png"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        save(at / "images" / os.fsdecode(b"caf\xe9.png"), eye(9)[0])
    return check_folder()


def _format(suffix: str, at: Path) -> int:
    eyes(at)
    (at / "images" / "a.png").unlink()
    save(at / "images" / f"a.{suffix}", eye(0)[0], **({"format": "JPEG"} if suffix in ("jfif", "jpe") else {}))
    return check_folder()


def inputs() -> Iterator[Hostile]:
    """The inputs of this category."""
    for what, make in CONTENTS.items():
        for suffix in ("png", "jpg", "tif"):
            yield Hostile(f"a.{suffix}: {what}", partial(_content, make, suffix), rf"a\.{suffix}")
    for level in (0, 1, 128, 255):
        yield Hostile(f"a photograph of the level {level}", partial(_blank, level, "check"), "of one colour", (0, 2))
    for target in ("../cache/a.png", "a.png", "/nowhere/a.png", "../masks/nowhere"):
        yield Hostile(f"a link to {target}", partial(_link, target), "links lead to files that do not exist")
    for suffix in SUFFIXES:
        yield Hostile(f"a .{suffix} beside the images", partial(_beside, suffix), rf"passed over.*\.{suffix}", (0,))
    for kind, expected, code in (
        ("pipe", "special files", 0),
        ("folder", "folders", 0),
        ("name", "not valid UTF-8", 2),
    ):
        yield Hostile(f"a {kind} among the images", partial(_special, kind), expected, (code,))
    for suffix in ("webp", "jp2", "jfif", "jpe", "bmp", "gif", "tif", "ppm"):
        yield Hostile(f"a photograph as .{suffix}", partial(_format, suffix), "4 images.*no errors", (0,))
