"""containers/constraints.txt fixes a version of every requirement, inside its range."""

from __future__ import annotations

from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


def constraints() -> dict[str, Requirement]:
    lines = (ROOT / "containers" / "constraints.txt").read_text().splitlines()
    found = [Requirement(line) for line in lines]
    return {canonicalize_name(each.name): each for each in found}


def requirements() -> list[Requirement]:
    """Those of the package and of its extras for users."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    extras = [extra for extra in config["options.extras_require"] if extra not in {"test", "docs", "dev"}]
    texts = [config["options"]["install_requires"], *(config["options.extras_require"][extra] for extra in extras)]
    found = [Requirement(line) for text in texts for line in text.split("\n") if line]
    return [each for each in found if each.name != "f2vbench"]


@pytest.mark.parametrize("requirement", requirements(), ids=lambda requirement: requirement.name)
def test_a_requirement_has_a_version_in_its_range(requirement: Requirement) -> None:
    specifiers = list(constraints()[canonicalize_name(requirement.name)].specifier)
    assert [each.operator for each in specifiers] == ["=="]
    assert requirement.specifier.contains(specifiers[0].version, prereleases=True)


def test_versions_have_no_local_part() -> None:
    """Such as 2.13.0+cpu, which other registries do not have."""
    assert not [name for name, each in constraints().items() if "+" in str(each.specifier)]
