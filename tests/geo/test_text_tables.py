"""Text tables: separators, headers, decimal signs and encodings as people write them."""

import gzip
import zipfile

import pytest

from heatflow.config.schema import Wells
from heatflow.errors import InputError
from heatflow.geo.text_tables import MAX_COLUMNS, MAX_ROWS
from heatflow.geo.well_tables import read_wells
from heatflow.geo.wells import place_wells


def test_release_of_the_global_heat_flow_database(tmp_path):
    """Comments and lines of codes above the header, tabs, stray quotes, and not UTF-8."""
    text = (
        "# Citation: Global Heat Flow Data Assessment Group\n#\n"
        "P1\tP4\tP5\tC1\tX\nM\tM\tM\tM\tO\nmW/m2\tdeg\tdeg\t-\t-\n"
        "q\tlat_NS\tlong_EW\tname\tQuality_Code_Child\n"
        '80.5\t64.1\t-21.9\tB\u00farfell "2\tU1.M1.p\n'
        "0\t64.2\t-21.8\tx\tU2.M1.p\n"
    )
    (tmp_path / "IHFC.txt").write_bytes(text.encode("cp1252"))
    wells = read_wells(str(tmp_path / "IHFC.txt"))
    assert wells["heat_flow"].tolist() == [80.5, 0.0]
    assert wells["name"][0] == 'B\u00farfell "2'
    assert wells["quality"].tolist() == ["U1.M1.p", "U2.M1.p"]
    assert wells.geometry.y.tolist() == [64.1, 64.2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("x,y,residual\n500100,4399900,-9999\n500300,4399900,1\n", [None, 41.84]),
        ("x;y;residual\n500100;4399900;80,5\n500300;4399900;70\n", [3368.12, 2928.8]),
        ('x,y,residual\n500100,4399900,"1,250"\n500300,4399900,70\n', [52300, 2928.8]),
        ("id,x,y,residual\na,500100,4399900,1,\nb,500300,4399900,2,\n", [41.84, 83.68]),
        ('"x"\t"y"\t"residual"\n"1"\t500100\t4399900\t"1"\n"2"\t500300\t4399900\t2\n', [41.84, 83.68]),
        ("x,y,residual,residual \n500100,4399900,1,9\n500300,4399900,2,9\n", [41.84, 83.68]),
        ("P1,P2,P3\n#x,y,residual\n500100,4399900,1\n500300,4399900,2\n", [41.84, 83.68]),
    ],
    ids=["missing", "decimal comma", "thousands", "trailing comma", "row names", "twin headers", "late header"],
)
def test_numbers_as_people_write_them(tmp_path, grid, text, expected):
    path = tmp_path / "wells.csv"
    path.write_text(text)
    placed = place_wells(read_wells(str(path), Wells(crs=32611, unit="HFU")), grid)
    residual = [None if why else value for value, why in zip(placed["residual"], placed["reason"], strict=True)]
    assert residual == [None if e is None else pytest.approx(e) for e in expected]
    assert expected[0] is not None or placed["reason"][0] == "no residual"


def test_codes_and_names_stay_the_text_that_they_are(tmp_path, grid):
    path = tmp_path / "wells.csv"
    rows = "500100,4399900,5,01,04012345678901\n500300,4399900,5,,NA\n500500,4399900,5,2,80.50\n"
    path.write_text("x,y,residual,quality,api\n" + rows)
    wells = read_wells(str(path), Wells(crs=32611))
    assert wells["quality"].tolist() == ["01", "", "2"]
    assert wells["name"].tolist() == ["04012345678901", "NA", "80.50"]
    assert place_wells(wells, grid, Wells(quality=["01"]))["reason"].tolist() == ["", "quality code", "quality code"]


def test_damaged_and_encrypted_files_are_refused(tmp_path):
    whole = gzip.compress(b"x,y,residual\n500100,4399900,5\n" * 200)
    for name, content in (("cut.csv.gz", whole[:40]), ("broken.csv.gz", whole[:20] + b"zz" + whole[22:])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="not a CSV, damaged or encrypted"):
            read_wells(str(tmp_path / name), Wells(crs=32611))


@pytest.mark.parametrize(("at", "value"), [(6, 1), (8, 99)], ids=["encrypted", "unknown compression"])
def test_archives_that_cannot_be_unpacked_are_refused(tmp_path, at, value):
    path = tmp_path / "wells.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("wells.csv", "x,y,residual\n500100,4399900,5\n")
    raw = bytearray(path.read_bytes())
    for head, shift in ((b"PK\x03\x04", 0), (b"PK\x01\x02", 2)):  # both headers of the member say how it is packed
        raw[raw.index(head) + at + shift] = value
    path.write_bytes(raw)
    with pytest.raises(InputError, match="damaged or encrypted"):
        read_wells(str(path), Wells(crs=32611))


def test_too_many_rows_are_refused_before_they_are_split(tmp_path):
    (tmp_path / "w.csv").write_bytes(b"longitude,latitude,residual\n" + b"\n" * MAX_ROWS)
    with pytest.raises(InputError, match="more than 2,000,000 rows"):
        read_wells(str(tmp_path / "w.csv"))


def test_header_without_end_and_too_many_columns_are_refused(tmp_path):
    path = tmp_path / "w.csv"
    path.write_bytes(b"longitude,latitude,residual," + b"x," * 1_000_000)
    with pytest.raises(InputError, match="first line is longer"):
        read_wells(str(path))
    path.write_text(",".join(f"c{k}" for k in range(MAX_COLUMNS + 1)) + "\n")
    with pytest.raises(InputError, match="columns"):
        read_wells(str(path))


def test_table_in_an_archive_is_not_unpacked_beyond_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr("heatflow.geo.text_tables.MAX_TEXT", 10_000_000)
    with zipfile.ZipFile(tmp_path / "w.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("w.csv", b"1,2\n" * 2_600_000)
    with pytest.raises(InputError, match="more than 10,000,000 bytes"):
        read_wells(str(tmp_path / "w.zip"))
