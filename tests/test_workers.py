"""Which tests go to the same of two workers."""

from __future__ import annotations

from tests.workers import execution_of

CHAPTER = "tests/chapters/test_training.py"


def test_tests_of_one_chapter_stay_together_and_apart_from_another():
    assert execution_of(f"{CHAPTER}::test_a") == execution_of(f"{CHAPTER}::test_b[2-x]")
    assert execution_of(f"{CHAPTER}::test_a") != execution_of("tests/chapters/test_measures.py::test_a")


def test_what_looks_at_the_quick_run_of_a_chapter_goes_with_its_tests():
    compared = "test_printed_numbers_are_those_of_the_quick_run_on_any_data[training]"
    elsewhere = f"tests/chapters/test_notebooks.py::{compared}"
    assert execution_of(f"{CHAPTER}::test_a") == execution_of(elsewhere)


def test_tests_of_the_whole_book_stay_together_wherever_they_stand():
    in_chapter = execution_of(f"{CHAPTER}::test_in_the_full_run_a_loss_falls")
    assert in_chapter == execution_of("tests/chapters/test_book_as_built.py::test_every_link")
    assert in_chapter != execution_of(f"{CHAPTER}::test_a")


def test_other_tests_are_handed_out_one_by_one():
    for file in ("tests/test_loss.py", "tests/chapters/test_notebooks.py"):
        alone = {execution_of(f"{file}::{test}") for test in ("test_a", "test_b[1]", "test_b[2]")}
        assert len(alone) == 3
