"""The report: honest words, nothing from outside, nothing from data that could run."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

import numpy as np
import pandas as pd

from heatflow.present import report
from heatflow.present.charts import interval_chart, line_chart


def evaluation(auc, low, high, against="above", best="within noise of"):
    scores = {
        "accuracy": 0.45,
        "auc_high": 0.5,
        "auc_high_low": 0.5,
        "auc_high_high": 0.5,
        "quadratic_kappa": 0.0,
        "loss": 1.2,
    }
    skill = {"auc_high": auc - 0.5, "auc_high_low": low - 0.5, "auc_high_high": high - 0.5}
    return {
        "tiles": 222, "accuracy": 0.46, "accuracy_low": 0.4, "accuracy_high": 0.52,
        "auc_high": auc, "auc_high_low": low, "auc_high_high": high,
        "baseline": {"constant": scores, "count": scores | {"auc_high": 0.8}},
        "skill": {"constant": skill | {"verdict": against}, "count": skill | {"verdict": best}},
    }  # fmt: skip


def test_words_follow_the_numbers():
    none = " ".join(report.headline(evaluation(0.51, 0.45, 0.58, "within noise of", "below"), ["a", "b"], "above 50"))
    assert "not surely above the 0.5 of a guess: no skill can be told from guessing" in none
    assert "the network is below it" in none
    some = " ".join(report.headline(evaluation(0.7, 0.62, 0.78), ["a", "b"], "above 50"))
    assert "0.700 (0.620 to 0.780), above the 0.5 of a guess" in some
    assert "number of wells does best, with 0.800: the network is within noise of it" in some
    assert "46.0 % (40.0 % to 52.0 %)" in some
    assert "45.0 %" in some


def test_one_side_of_the_edge_alone_is_said_and_not_charted():
    one_sided = evaluation(0.5, 0.5, 0.5) | {"auc_high": None, "auc_high_low": None, "auc_high_high": None}
    assert "All tiles are on one side" in " ".join(report.headline(one_sided, ["a", "b"], "above 50"))
    charts = report.skill_charts(one_sided, pd.DataFrame(), pd.DataFrame(), "above 50")
    assert not any(charts.values())


def test_numbers_that_do_not_exist_are_dashes_and_nothing_is_certain():
    assert (report.number(float("nan")), report.percent(None), report.signed(float("inf"))) == ("–", "–", "–")
    assert report.within({"a": 0.5, "a_low": 0.5, "a_high": 0.5}, "a") == "0.500"
    assert report.within({"a": 0.5, "a_low": None, "a_high": None}, "a") == "0.500"
    assert (report.chance(0.9999), report.chance(0.0), report.chance(0.42)) == (">0.99", "<0.01", "0.42")


def test_json_of_a_script_cannot_end_it():
    text = report.script_json({"name": "</script><script>alert(1)</script>&"})
    assert "<" not in text
    assert json.loads(text)["name"] == "</script><script>alert(1)</script>&"


def test_charts_say_what_they_show_and_escape_names():
    chart = interval_chart([("<b>", 0.7, 0.6, 0.8), ("x", 0.5, None, float("nan"))], "AUC", 0.5, 'two "rows"')
    assert "<b>" not in chart
    assert 'aria-label="two &quot;rows&quot;"' in chart
    assert chart.count("<circle") == 2
    lines = line_chart({"a": ([0, 1], [0, float("nan")]), "b": ([0, 1], [0, 1])}, "x", "y", "l")
    assert "nan" not in lines
    assert lines.count("<polyline") == 2


def test_thumbnails_stop_where_the_page_would_be_too_large():
    tile = np.random.default_rng(0).normal(size=(40, 40)).cumsum(axis=0)
    few = report.thumbnails([tile] * 5, [tile] * 5, 200.0)
    assert few is not None
    assert few["columns"] == 3
    assert report.thumbnails([tile] * (report.MOST_THUMBNAILS + 1), [tile], 200.0) is None
    noise = [np.random.default_rng(k).normal(size=(72, 72)) * 100 for k in range(report.MOST_THUMBNAILS)]
    many = report.thumbnails(noise, noise, 200.0)
    assert many is not None
    assert len(many["terrain"]) + len(many["saliency"]) < 10e6  # noise is the worst that terrain can do


def test_map_data_are_whole_numbers_and_few_wells():
    table = pd.DataFrame(
        {"x": [0.0], "y": [40.0], "tile": [7], "label": [1], "predicted": [0], "fold": [2], "n_wells": [3],
         "residual": [61.26], "p0": [0.75], "p1": [0.25]}
    )  # fmt: skip
    wells = pd.DataFrame({"x": np.arange(9000) / 10, "y": 1.0, "label": 1})
    found = json.loads(report.map_data(table, wells, 40.0, ["<=50", ">50"], None, "largest residual"))
    assert found["tiles"] == [
        {"x": 0, "y": 40, "id": 7, "label": 1, "called": 0, "fold": 2, "wells": 3, "residual": 61.26, "p": [0.75, 0.25]}
    ]
    assert len(found["wells"]) == report.MOST_WELLS
    assert not json.loads(report.map_data(table, wells[:0], 40.0, ["<=50", ">50"], None, "largest residual"))["wells"]


class Reader(HTMLParser):
    """Collects what a page loads, its headings, and elements left open."""

    VOID = frozenset(["meta", "link", "img", "input", "br", "image", "line", "circle", "polyline", "rect"])

    def __init__(self):
        super().__init__()
        self.sources, self.headings, self.open, self.ids, self.unnamed = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.sources += [attrs[k] for k in ("src", "href") if k in attrs and tag != "a"]
        self.ids += [attrs["id"]] if "id" in attrs else []
        if tag == "img" and "alt" not in attrs:
            self.unnamed.append(attrs)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag


def check_page(text):
    reader = Reader()
    reader.feed(text)
    assert not reader.open
    assert all(source.startswith("data:") for source in reader.sources)
    assert not reader.unnamed
    assert len(reader.ids) == len(set(reader.ids))
    assert reader.headings[0] == 1
    assert all(b <= a + 1 for a, b in zip(reader.headings, reader.headings[1:], strict=False))
    assert "default-src 'none'" in text
    assert len(text) < 15e6
    assert ">nan<" not in text


BROWSER = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
WATCH = """<script>window.faults = [];
addEventListener("error", (e) => faults.push(String(e.message)), true);
addEventListener("securitypolicyviolation", (e) => faults.push("blocked " + e.blockedURI));
const say = console.error; console.error = (...a) => { faults.push(a.join(" ")); say(...a); };</script>"""
USE = """<script>addEventListener("load", () => {
  const map = document.getElementById("map"), panel = document.getElementById("tile"), found = {};
  const key = (name) => map.dispatchEvent(new KeyboardEvent("keydown", {key: name, bubbles: true, cancelable: true}));
  found.images = [...document.images].filter((i) => !i.complete || i.naturalWidth === 0).length;
  found.first = panel.querySelector("h3").textContent;
  const box = map.getBoundingClientRect(), tile = JSON.parse(document.getElementById("map-data").textContent);
  const [, , wide, high] = map.getAttribute("viewBox").split(" ").map(Number), t = tile.tiles[0];
  const x = box.left + (t.x + tile.size / 2) / wide * box.width;
  const y = box.top + (t.y + tile.size / 2) / high * box.height;
  map.setPointerCapture = () => {};
  for (const name of ["pointerdown", "pointerup"])
    map.dispatchEvent(new PointerEvent(name, {clientX: x, clientY: y, pointerId: 1, bubbles: true}));
  found.clicked = panel.querySelector("h3").textContent === `Tile ${t.id}`;
  key("+"); found.zoomed = Number(map.getAttribute("viewBox").split(" ")[2]) < wide;
  key("0"); found.whole = Number(map.getAttribute("viewBox").split(" ")[2]) === wide;
  key("ArrowRight"); key("ArrowDown"); found.moved = panel.querySelector("h3").textContent !== `Tile ${t.id}`;
  const over = document.getElementById("overlay");
  over.value = "probability"; over.dispatchEvent(new Event("change"));
  found.layers = [...map.querySelectorAll("image[data-layer]")].map((i) => i.getAttribute("visibility")).join(" ");
  found.scrolls = document.documentElement.scrollWidth > innerWidth;
  found.faults = faults;
  document.body.insertAdjacentHTML("beforeend", `<pre id="outcome"></pre>`);
  document.getElementById("outcome").textContent = JSON.stringify(found);
});</script>"""


def in_browser(text, folder, width):
    """What a page does in headless Chromium when it is used."""
    page = folder / f"{width}.html"
    page.write_text(
        text.replace("<title>", WATCH + "<title>", 1).replace("</body>", USE + "</body>", 1), encoding="utf-8"
    )
    command = [
        BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", f"--window-size={width},900",
        f"--user-data-dir={folder}/profile",        "--virtual-time-budget=5000", "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    outcome = re.findall(r'<pre id="outcome">(\{.*?)</pre>', done.stdout, re.S)
    assert outcome, done.stderr[-2000:]
    return json.loads(html.unescape(outcome[-1]))
