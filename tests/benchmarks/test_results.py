"""RESULTS.md: a section that is measured again replaces its own and leaves the others."""

from benchmarks import __main__ as bench

TITLES = ["first", "second", "third"]


def test_sections_are_replaced_one_by_one_and_keep_their_order(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "RESULTS.md")
    for title, section in (("third", "\nc"), ("first", "\na"), ("third", "\nc again\n\n| with | a table |")):
        bench.keep("# Head", TITLES, title, section)
    text = (tmp_path / "RESULTS.md").read_text()
    assert text == "# Head\n\n## first\n\na\n\n## third\n\nc again\n\n| with | a table |\n"


def test_a_section_that_is_no_longer_measured_goes(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "RESULTS.md")
    bench.keep("# Head", [*TITLES, "old"], "old", "\nx")
    bench.keep("# Head", TITLES, "second", "\nb")
    assert "old" not in (tmp_path / "RESULTS.md").read_text()
