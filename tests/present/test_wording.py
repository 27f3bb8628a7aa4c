import numpy as np

from heatflow.present import wording

NAN = float("nan")


def test_numbers_that_do_not_exist_are_dashes():
    assert (wording.number(NAN), wording.percent(None), wording.signed(float("inf")), wording.chance(NAN)) == ("–",) * 4
    assert wording.number(np.float32("nan")) == "–"


def test_numbers_of_numpy_are_written_like_pythons():
    assert (wording.number(np.int64(1200)), wording.number(np.float32(0.5)), wording.number(567.209, 0)) == (
        "1,200", "0.500", "567",
    )  # fmt: skip


def test_no_probability_is_rounded_to_certainty():
    assert (wording.chance(0.9999), wording.chance(0.0), wording.chance(0.42)) == (">0.99", "<0.01", "0.42")


def test_an_interval_is_written_if_it_is_wider_than_the_rounding():
    assert wording.within({"a": 0.5, "a_low": 0.4, "a_high": 0.6}, "a") == "0.500 (0.400\u00a0to\u00a00.600)"
    for low, high in ((0.5, 0.5), (None, None), (0.4999, 0.5001)):
        assert wording.within({"a": 0.5, "a_low": low, "a_high": high}, "a") == "0.500"
    assert wording.within({"a": NAN, "a_low": NAN, "a_high": NAN}, "a") == "–"
    assert wording.within({}, "a") == "–"


def test_a_verdict_without_enough_blocks_is_no_comparison():
    assert [wording.compared(v) for v in ("above", "below", "within noise of", "not to be held against")] == [
        "better", "worse", "no clear difference", "too few blocks to tell",
    ]  # fmt: skip
