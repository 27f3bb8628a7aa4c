"""JSON, CSV and YAML: the same bytes for the same values, no formulas, plain data alone."""

import numpy as np
import pandas as pd
import pytest

from heatflow.errors import InputError
from heatflow.io.text import parse_yaml, read_csv, read_json, write_csv, write_json


def test_json_is_rounded_and_has_no_number_that_json_lacks(tmp_path):
    path = tmp_path / "a.json"
    write_json(
        path, {"x": np.float32(1 / 3), "n": np.int64(3), "nan": np.nan, "zero": -1e-9, 5: [1.23456, (True, None)]}
    )
    assert read_json(path, ("x", "5")) == {"x": 0.3333, "n": 3, "nan": None, "zero": 0.0, "5": [1.2346, [True, None]]}
    with pytest.raises(InputError, match=r"a\.json: damaged.*lacks y"):
        read_json(path, ("y",))
    path.write_text("{")
    with pytest.raises(InputError, match=r"a\.json: damaged"):
        read_json(path)


def test_csv_cut_short_or_without_a_column_is_damaged(tmp_path):
    write_csv(tmp_path / "t.csv", pd.DataFrame({"residual": [1.0, 2.5]}))
    assert read_csv(tmp_path / "t.csv", ["residual"])["residual"].tolist() == [1.0, 2.5]
    with pytest.raises(InputError, match="lacks label"):
        read_csv(tmp_path / "t.csv", ["label"])
    (tmp_path / "t.csv").write_bytes((tmp_path / "t.csv").read_bytes()[:-2])
    with pytest.raises(InputError, match=r"t\.csv: damaged"):
        read_csv(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"), ("@x", "'@x"), ("a;=b", "a;'=b"), ("a\n@b", '"a\n\'@b"'),
        ("\uff1db", "'\uff1db"), ("a|  +b", "a|'  +b"), ("\tb", "'\tb"), ("a-b", "a-b"), ("-1.5", "-1.5"),
        ("Smith, John", '"Smith, John"'),
    ],
)  # fmt: skip
def test_no_cell_of_a_csv_is_a_formula_whatever_separates(tmp_path, text, written):
    write_csv(tmp_path / "t.csv", pd.DataFrame({"name": [text, "x"], "n": [-1, 2]}))
    assert (tmp_path / "t.csv").read_bytes().decode() == f"name,n\n{written},-1\nx,2\n"


@pytest.mark.parametrize(
    "text",
    [
        "a: 2001-13-45",
        "a: " + "[" * 600,
        "a: !!python/object:os.system {}",
        "? [a]\n: 1",
        "a: [",
        "\t: x",
    ],
)
def test_yaml_that_is_not_plain_data_is_refused(text):
    with pytest.raises(ValueError, match="not valid YAML"):
        parse_yaml(text)


def test_nodes_of_yaml_know_their_lines():
    content, node = parse_yaml("# c\na: 1\nb: {c: 2}\n")
    assert content == {"a": 1, "b": {"c": 2}}
    assert [key.start_mark.line for key, _ in node.value] == [1, 2]
    assert parse_yaml("") == (None, None)
