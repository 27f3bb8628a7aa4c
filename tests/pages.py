"""A report page held to the rules of HTML, and used in a browser."""

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

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
  const choose = (id, value) => {
    document.getElementById(id).value = value;
    document.getElementById(id).dispatchEvent(new Event("change"));
  };
  choose("colour", "predicted");
  choose("overlay", "probability");
  found.layers = [...map.querySelectorAll("image[data-layer]")].map((i) => i.getAttribute("visibility")).join(" ");
  const legend = document.getElementById("legend"), over = legend.querySelector(".ramp").textContent;
  found.overlay = [document.getElementById("colour").value, over.length > 0];
  choose("overlay", "");
  found.back = [document.getElementById("colour").value, legend.querySelector(".ramp")];
  document.getElementById("places").click();
  const ranks = [...map.querySelectorAll("g[visibility=visible] text")].map((e) => Number(e.textContent));
  found.places = ranks.join() === tile.places.map(([, , rank]) => rank).join();
  for (let k = 0; k < 9; k++) key("+");
  const near = getComputedStyle(map).touchAction;
  key("ArrowRight"); key("ArrowLeft");
  const inside = (e) => { const [a, b] = [e.getBoundingClientRect(), map.getBoundingClientRect()];
    return a.left < b.right && a.right > b.left && a.top < b.bottom && a.bottom > b.top; };
  const [chosen, bar] = [map.querySelector("rect[stroke='#000']"), map.querySelector("g[aria-hidden] rect")];
  found.followed = inside(chosen) && inside(bar);
  const dot = map.querySelector("circle"), size = () => dot.getBoundingClientRect().width;
  const small = size();
  key("0");
  found.kept = Math.abs(size() / small - 1) < 0.2;
  found.touch = [near, getComputedStyle(map).touchAction];
  found.scrolls = document.documentElement.scrollWidth > innerWidth;
  found.paper = getComputedStyle(document.body).backgroundColor;
  for (const rule of document.styleSheets[0].cssRules)
    if (rule.media?.mediaText === "print") rule.media.mediaText = "all";
  const seen = (query) => [...document.querySelectorAll(query)].filter((e) => e.getClientRects().length).length;
  found.printed = ["#map", "#legend", "nav, .controls, .panel, .hint"].map(seen);
  found.faults = faults;
  parent.postMessage(JSON.stringify(found), "*");
});</script>"""
AROUND = """<!DOCTYPE html><pre id="outcome"></pre>
<iframe src="{page}" style="width:{width}px;height:900px;border:0"></iframe>
<script>addEventListener("message", (e) => {{ document.getElementById("outcome").textContent = e.data; }});</script>"""


class Reader(HTMLParser):
    """Collects what a page loads, its headings, and elements left open."""

    VOID = frozenset(["meta", "link", "img", "input", "br", "image", "line", "circle", "polyline", "rect"])

    def __init__(self):
        super().__init__()
        self.sources, self.headings, self.open, self.ids, self.unnamed, self.links = [], [], [], [], [], []
        self.regions = []

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.sources += [attrs[k] for k in ("src", "href") if k in attrs and tag != "a"]
        self.ids += [attrs["id"]] if "id" in attrs else []
        self.links += [attrs["href"]] if tag == "a" else []
        self.regions += [attrs.get("aria-label")] if attrs.get("role") == "region" else []
        needed = ["alt"] if tag == "img" else ["aria-label", "tabindex"] if attrs.get("class") == "scroll" else []
        self.unnamed += [attrs] if any(name not in attrs for name in needed) else []
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
    assert len(reader.regions) == len(set(reader.regions))  # a screen reader lists them by name
    assert reader.headings[0] == 1
    assert all(b <= a + 1 for a, b in zip(reader.headings, reader.headings[1:], strict=False))
    assert "default-src 'none'" in text
    assert len(text) < 15e6
    assert all(link.removeprefix("#") in reader.ids for link in reader.links)
    assert not re.search(r">\s*nan\b|\bnan\s*<|<th[^>]*>\s*</th>", text)


def in_browser(text, folder, width, dark=False):
    """What a page does in headless Chromium when it is used; in a frame, for windows are never as narrow as phones."""
    page, around = folder / f"{width}.html", folder / f"around_{width}.html"
    page.write_text(
        text.replace("<title>", WATCH + "<title>", 1).replace("</body>", USE + "</body>", 1), encoding="utf-8"
    )
    around.write_text(AROUND.format(page=page.name, width=width), encoding="utf-8")
    command = [
        BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--blink-settings=preferredColorScheme={0 if dark else 1}", f"--window-size={max(width, 500)},1000",
        f"--user-data-dir={folder}/profile", "--virtual-time-budget=5000", "--dump-dom", around.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    outcome = re.findall(r'<pre id="outcome">(\{.*?)</pre>', done.stdout, re.S)
    assert outcome, done.stderr[-2000:]
    found = json.loads(html.unescape(outcome[-1]))
    assert found.pop("overlay") == ["none", True]
    assert found.pop("back") == ["predicted", None]
    assert found.pop("places")
    assert found.pop("followed")
    assert found.pop("kept")
    assert found.pop("touch") == ["none", "pan-y"]
    assert found.pop("paper") == ("rgb(23, 25, 28)" if dark else "rgb(255, 255, 255)")
    assert found.pop("printed") == [1, 1, 0]
    return found
