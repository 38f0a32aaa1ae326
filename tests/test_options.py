"""The doors for settings: a name among those there are, a plain value of Python."""

import numpy as np
import pytest

from unet_paper.options import check_choice, check_scalar


def test_a_choice_that_there_is_not_is_named_with_those_there_are():
    assert check_choice("b", ("a", "b"), name="letter") == "b"
    with pytest.raises(ValueError, match="letter is 'c'; choose one of 'a', 'b'"):
        check_choice("c", ("a", "b"), name="letter")


@pytest.mark.parametrize("value", [np.int64(3), np.uint8(3), 3])
def test_scalars_of_numpy_become_pythons(value):
    assert type(check_scalar(value, int, name="n")) is int
    assert check_scalar(value, float, name="n") == 3


@pytest.mark.parametrize(
    ("value", "kind"), [(True, int), (True, float), (1, bool), (2.0, int), ("3", int), (None, float)]
)
def test_other_types_are_refused(value, kind):
    with pytest.raises(TypeError, match=rf"^n is {value!r} \({type(value).__name__}\); pass "):
        check_scalar(value, kind, name="n")
