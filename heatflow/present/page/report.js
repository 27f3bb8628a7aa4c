"use strict";
(() => {
  const data = JSON.parse(document.getElementById("map-data").textContent);
  const svg = document.getElementById("map");
  if (!svg || !data.tiles) return;
  const space = "http://www.w3.org/2000/svg";
  const [, , wide, high] = svg.getAttribute("viewBox").split(" ").map(Number);
  let view = { x: 0, y: 0, w: wide, h: high };
  let chosen = -1;
  const make = (name, attributes, parent) => {
    const node = document.createElementNS(space, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    parent.append(node);
    return node;
  };
  const tiles = make("g", {}, svg);
  const wells = make("g", {}, svg);
  const mark = make("rect", { fill: "none", stroke: "#000", "stroke-width": 3, "vector-effect": "non-scaling-stroke",
    visibility: "hidden", width: data.size, height: data.size }, svg);
  const halo = make("rect", { fill: "none", stroke: "#fff", "stroke-width": 1.5, "vector-effect": "non-scaling-stroke",
    visibility: "hidden", width: data.size, height: data.size }, svg);
  for (const tile of data.tiles) {
    tile.node = make("rect", { x: tile.x, y: tile.y, width: data.size, height: data.size, stroke: "#fff", "stroke-width": 0.7,
      "vector-effect": "non-scaling-stroke" }, tiles);
  }
  for (const [x, y, label] of data.wells) {
    make("circle", { cx: x, cy: y, fill: data.colours[label], stroke: "#fff", "stroke-width": 0.5,
      "vector-effect": "non-scaling-stroke" }, wells);
  }

  const places = make("g", { "pointer-events": "none", visibility: "hidden" }, svg);
  for (const [x, y, rank] of data.places) {
    make("rect", { x, y, width: data.size, height: data.size, fill: "none", stroke: "#e6001e", "stroke-width": 2,
      "vector-effect": "non-scaling-stroke" }, places);
    make("text", { x: x + data.size / 2, y: y + data.size / 2, "text-anchor": "middle", "dominant-baseline": "central",
      "font-weight": 700, fill: "#000", stroke: "#fff", "paint-order": "stroke" }, places).textContent = rank;
  }

  const foot = make("g", { "aria-hidden": "true", "pointer-events": "none" }, svg);
  const scale = () => { // what keeps its place and size on the screen whatever the zoom
    const { x, y, w, h } = view;
    const px = w / (svg.clientWidth || 800); // km in a pixel of the screen
    const bar = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000].filter((km) => km <= w / 4).pop() || w / 4;
    foot.replaceChildren();
    make("rect", { x: x + 10 * px, y: y + h - 14 * px, width: bar, height: 5 * px, fill: "#000", stroke: "#fff",
      "stroke-width": 1, "vector-effect": "non-scaling-stroke" }, foot);
    make("text", { x: x + 10 * px, y: y + h - 20 * px, "font-size": 13 * px, fill: "#000",
      stroke: "#fff", "stroke-width": 3 * px, "paint-order": "stroke" }, foot).textContent = `${bar} km`;
    for (const dot of wells.children) dot.setAttribute("r", 2 * px);
    for (const text of places.querySelectorAll("text")) {
      text.setAttribute("font-size", 13 * px);
      text.setAttribute("stroke-width", 3 * px);
    }
    svg.classList.toggle("near", w < wide);
  };
  const legend = document.getElementById("legend");
  const classes = data.classes.map((c, k) => [data.colours[k], c + " mW/m²"]);
  const ways = {
    none: { fill: () => "transparent", entries: [] },
    label: { fill: (t) => data.colours[t.label], entries: classes },
    predicted: { fill: (t) => data.colours[t.predicted], entries: classes },
    correct: { fill: (t) => (t.predicted === t.label ? "#0072B2" : "#E69F00"),
      entries: [["#0072B2", "correct"], ["#E69F00", "incorrect"]] },
  };
  const colours = document.getElementById("colour");
  const overlay = document.getElementById("overlay");
  const drawn = document.getElementById("wells");
  const colour = () => {
    const way = ways[colours.value];
    for (const tile of data.tiles) {
      tile.node.setAttribute("fill", way.fill(tile));
      tile.node.setAttribute("fill-opacity", colours.value === "none" ? 0 : 0.6);
    }
    const { ramp, ends } = overlay.selectedOptions[0].dataset;
    const entries = ramp ? [...way.entries, [ramp, ends, ramp.startsWith("#") ? "" : "ramp"]] : [...way.entries];
    if (drawn.checked && way.entries !== classes) entries.push(...classes.map(([shade, text]) => [shade, `well: ${text}`, "dot"]));
    legend.replaceChildren(...entries.map(([shade, text, kind]) => {
      const entry = document.createElement("span");
      entry.className = kind || "";
      entry.style.setProperty("--swatch", shade);
      entry.textContent = text;
      return entry;
    }));
  };
  let before = "label"; // what tiles are coloured by while no overlay is shown
  colours.addEventListener("change", () => {
    if (!overlay.value) before = colours.value;
    colour();
  });
  overlay.addEventListener("change", () => {
    for (const image of svg.querySelectorAll("image[data-layer]")) {
      image.setAttribute("visibility", image.dataset.layer === overlay.value ? "visible" : "hidden");
    }
    colours.value = overlay.value ? "none" : before; // tiles would hide what is under them
    colour();
  });
  drawn.addEventListener("change", () => {
    wells.setAttribute("visibility", drawn.checked ? "visible" : "hidden");
    colour();
  });

  const ranked = document.getElementById("places");
  ranked.addEventListener("change", () => places.setAttribute("visibility", ranked.checked ? "visible" : "hidden"));

  const show = () => {
    view.w = Math.min(wide, Math.max(wide / 40, view.w));
    view.h = (view.w * high) / wide;
    view.x = Math.min(wide - view.w, Math.max(0, view.x));
    view.y = Math.min(high - view.h, Math.max(0, view.y));
    svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.w} ${view.h}`);
    scale();
  };
  const at = (event) => {
    const box = svg.getBoundingClientRect();
    return [view.x + ((event.clientX - box.left) / box.width) * view.w, view.y + ((event.clientY - box.top) / box.height) * view.h];
  };
  const zoom = (factor, [x, y] = [view.x + view.w / 2, view.y + view.h / 2]) => {
    const w = Math.min(wide, Math.max(wide / 40, view.w * factor));
    view = { x: x - ((x - view.x) * w) / view.w, y: y - ((y - view.y) * w) / view.w, w, h: (w * high) / wide };
    show();
  };

  const panel = document.getElementById("tile");
  const line = (list, name, value) => {
    const term = document.createElement("dt");
    const text = document.createElement("dd");
    term.textContent = name;
    text.textContent = value;
    list.append(term, text);
  };
  const picture = (sheet, name, index) => {
    const box = document.createElement("div");
    const shown = 112;
    const { columns } = data.sheet;
    box.className = "picture";
    box.setAttribute("role", "img");
    box.setAttribute("aria-label", name);
    box.style.backgroundImage = `url(${sheet})`;
    box.style.backgroundSize = `${columns * shown}px auto`;
    box.style.backgroundPosition = `-${(index % columns) * shown}px -${Math.floor(index / columns) * shown}px`;
    return box;
  };
  const choose = (index) => {
    chosen = index;
    const tile = data.tiles[index];
    for (const box of [mark, halo]) {
      box.setAttribute("x", tile.x);
      box.setAttribute("y", tile.y);
      box.setAttribute("visibility", "visible");
    }
    const [cx, cy] = [tile.x + data.size / 2, tile.y + data.size / 2];
    if (cx < view.x || cx > view.x + view.w || cy < view.y || cy > view.y + view.h) { // follow it
      view.x = cx - view.w / 2;
      view.y = cy - view.h / 2;
      show();
    }
    const title = document.createElement("h3");
    title.textContent = `Tile ${tile.id}`;
    const list = document.createElement("dl");
    line(list, `${data.statistic}, mW/m²`, Math.round(tile.residual));
    line(list, "class, mW/m²", data.classes[tile.label]);
    line(list, "predicted class", data.classes[tile.predicted]);
    tile.p.forEach((p, k) => line(list, `p(${data.classes[k]})`, p > 0.99 ? ">0.99" : p < 0.01 ? "<0.01" : p.toFixed(2)));
    line(list, "wells", tile.wells);
    line(list, "test fold", tile.fold);
    const parts = [title, list];
    if (data.sheet) {
      const row = document.createElement("div");
      row.className = "pictures";
      row.append(picture(document.getElementById("sheet-terrain").src, "terrain of the tile", index),
        picture(document.getElementById("sheet-saliency").src, "saliency over the terrain of the tile", index));
      parts.push(row);
    }
    panel.replaceChildren(...parts);
  };
  const nearest = (x, y, ahead = () => true) => {
    let best = -1;
    let least = Infinity;
    data.tiles.forEach((tile, k) => {
      const away = Math.hypot(tile.x + data.size / 2 - x, tile.y + data.size / 2 - y);
      if (away < least && ahead(tile)) [best, least] = [k, away];
    });
    return best;
  };

  const pointers = new Map();
  let moved = 0;
  svg.addEventListener("pointerdown", (event) => {
    svg.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
    if (pointers.size === 1) moved = 0;
  });
  svg.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const box = svg.getBoundingClientRect();
    if (pointers.size === 1) {
      moved += Math.hypot(event.clientX - before.clientX, event.clientY - before.clientY);
      view.x -= ((event.clientX - before.clientX) / box.width) * view.w;
      view.y -= ((event.clientY - before.clientY) / box.height) * view.h;
      show();
    } else {
      const [other] = [...pointers.values()].filter((p) => p.pointerId !== event.pointerId);
      const apart = (p) => Math.hypot(p.clientX - other.clientX, p.clientY - other.clientY) || 1;
      moved = 99;
      zoom(apart(before) / apart(event), at(other));
    }
    pointers.set(event.pointerId, event);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    svg.addEventListener(name, (event) => {
      pointers.delete(event.pointerId);
      if (name === "pointercancel" || moved > 6) return;
      const [x, y] = at(event);
      const index = data.tiles.findIndex((t) => x >= t.x && x < t.x + data.size && y >= t.y && y < t.y + data.size);
      if (index >= 0) choose(index);
    });
  }
  svg.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && document.activeElement !== svg) return; // the page must stay scrollable
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.2 : 1 / 1.2, at(event));
  }, { passive: false });
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  svg.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (event.key === "+" || event.key === "=") zoom(1 / 1.4);
    else if (event.key === "-") zoom(1.4);
    else if (event.key === "0") zoom(99);
    else if (step && event.shiftKey) {
      view.x += (step[0] * view.w) / 8;
      view.y += (step[1] * view.h) / 8;
      show();
    } else if (step) {
      const now = data.tiles[chosen];
      const from = now ? [now.x + data.size / 2, now.y + data.size / 2] : [view.x + view.w / 2, view.y + view.h / 2];
      const next = nearest(from[0] + step[0] * data.size, from[1] + step[1] * data.size, (tile) => !now
        || (tile.x - now.x) * step[0] + (tile.y - now.y) * step[1] > 1e-6);
      if (next >= 0) choose(next);
    } else return;
    event.preventDefault();
  });
  document.getElementById("nearer").addEventListener("click", () => zoom(1 / 1.5));
  document.getElementById("further").addEventListener("click", () => zoom(1.5));
  document.getElementById("whole").addEventListener("click", () => zoom(99));
  colour();
  show();
  new ResizeObserver(scale).observe(svg);
  if (data.tiles.length) {
    choose(data.tiles.reduce((best, tile, k) => (tile.p.at(-1) > data.tiles[best].p.at(-1) ? k : best), 0));
  }
})();
