"""Format of numbers in reports."""

from __future__ import annotations

import pytest

from f2vbench.report.text.wording import number
from f2vbench.utils.text import p_value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.12345, "0.1235"),
        (-0.5, "−0.5000"),
        (-0.00001, "0.0000"),
        (12.3456, "12.35"),
        (1503.21, "1503.2"),
        (None, "–"),
    ],
)
def test_numbers_have_about_four_significant_digits(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("p", "text", "equation"),
    [
        (0.03124, "0.0312", "p = 0.0312"),
        (0.00009, "<0.0001", "p < 0.0001"),
        (1.0, "1.0000", "p = 1.0000"),
        (None, "–", "–"),
        (float("nan"), "–", "–"),
    ],
)
def test_p_values_have_four_decimals(p, text, equation):
    assert p_value(p) == text
    assert p_value(p, equation=True) == equation
