"""Small pictures for the tests of the measures, drawn in letters."""

import numpy as np
import pytest


def read_picture(text: str) -> np.ndarray:
    """Return an (H, W) bool image from rows of `.` (cell) and `#` (membrane)."""
    return np.array([[letter == "." for letter in row] for row in text.split()])


@pytest.fixture
def picture():
    return read_picture
