import re

import numpy as np
import pytest

from heatflow.present.charts import COLOURS, interval_chart, line_chart

NAN = float("nan")


def test_charts_have_a_label_and_escape_names():
    chart = interval_chart([("<b>", 0.7, 0.6, 0.8), ("x", 0.5, None, NAN)], "AUC", 0.5, 'two "rows"')
    assert "<b>" not in chart
    assert 'aria-label="two &quot;rows&quot;"' in chart
    assert chart.count("<circle") == 2


def test_an_axis_has_round_ticks_around_all_values():
    chart = interval_chart([("a", 0.69, 0.63, 0.78)], "AUC", 0.5, "")
    assert [f">{tick}<" in chart for tick in (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8)] == [True] * 7
    assert interval_chart([("a", 0.5, None, None)], "AUC", 0.5, "").count('class="tick"') > 1  # all values are equal


def test_lines_leave_out_points_that_do_not_exist():
    chart = line_chart({"a": ([0, 1], [0, NAN]), "b": ([0, 1], [0, 1])}, "x", "y", "l")
    assert "nan" not in chart
    assert chart.count("<polyline") == 2
    assert "<circle" not in chart


def test_a_single_line_marks_its_points():
    assert line_chart({"a": ([0.5], [0.5])}, "x", "y", "l").count("<circle") == 1


def luminance(colour):
    """Relative luminance of a colour (WCAG 2.1)."""
    parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
    linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in parts]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


@pytest.mark.parametrize("paper", ["#ffffff", "#17191c"])
def test_lines_stand_out_on_light_and_dark(paper):
    for colour in COLOURS:
        low, high = sorted([luminance(colour), luminance(paper)])
        assert (high + 0.05) / (low + 0.05) >= 3, colour


def test_a_long_name_goes_into_two_lines_and_none_is_lost():
    name = "terrain and regional trend, linear"
    for chart in (
        interval_chart([(name, 0.5, None, None)], "AUC", 0.5, "label", 350, 128),
        line_chart({name: ([0, 1], [0, 1]), "b": ([0, 1], [0, 1])}, "x", "y", "label"),
    ):
        lines = [line for line in re.findall(r"<text[^>]*>([^<]+)</text>", chart) if line[0] in "trl"]
        assert " ".join(lines) == name
        assert len(lines) >= 2
