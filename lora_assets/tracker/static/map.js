// The map of objects on a canvas: pointing, keys, zoom, filters. Without this file the page's lists still work.

import { onKeys } from "./keys.js";
import { word } from "./words.js";

// Okabe and Ito's colours, told apart with any colour vision; of each a lighter one for dark pages.
const COLOURS = {
  light: ["#0072b2", "#c27c00", "#009e73", "#b8588f", "#2f8fc4", "#d55e00", "#7a6c00"],
  dark: ["#4fa8dc", "#f0b429", "#34c79a", "#e08dbb", "#8fd0f2", "#ff8a3c", "#d8c63a"],
};
const dark = matchMedia("(prefers-color-scheme: dark)");
const NEAR = 14;

class ObjectMap {
  constructor(section, data) {
    this.section = section;
    this.data = data;
    this.base = section.dataset.trackerUrl;
    this.canvas = section.querySelector("canvas");
    this.count = data.id.length;
    this.zoom = 1;
    this.middle = { x: 0.5, y: 0.5 };
    this.show = "all";
    this.colour = "cluster";
    this.search = "";
    this.cluster = null;
    this.chosen = -1;
    this.shown = [];
    this.drag = null;
    this.listen();
    this.filter();
    this.tell();
  }

  listen() {
    const { canvas, section } = this;
    new ResizeObserver(() => this.draw()).observe(canvas);
    dark.addEventListener("change", () => this.draw());
    section.querySelector("[data-map-show]").addEventListener("change", (event) => {
      this.show = event.target.value;
      this.filter();
    });
    section.querySelector("[data-map-colour]").addEventListener("change", (event) => {
      this.colour = event.target.value;
      this.draw();
    });
    section.querySelector("[data-map-search]").addEventListener("input", (event) => {
      this.search = event.target.value.trim().toLowerCase();
      this.filter();
    });
    for (const button of section.querySelectorAll("[data-map-zoom]")) {
      button.addEventListener("click", () => this.zoomBy({ in: 1.5, out: 1 / 1.5, reset: 0 }[button.dataset.mapZoom]));
    }
    for (const button of section.querySelectorAll("[data-map-cluster]")) {
      button.addEventListener("click", () => {
        const number = Number(button.dataset.mapCluster);
        this.cluster = this.cluster === number ? null : number;
        for (const other of section.querySelectorAll("[data-map-cluster]")) {
          other.setAttribute("aria-pressed", String(Number(other.dataset.mapCluster) === this.cluster));
        }
        this.filter();
      });
    }
    document.addEventListener("click", (event) => {
      const tile = event.target.closest?.("a[data-object]");
      const found = tile ? this.data.id.indexOf(tile.dataset.object) : -1;
      if (found < 0 || this.data.crop[found] || !this.data.frame[found] || event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.showFrame(found);
    });
    canvas.addEventListener("pointermove", (event) => this.point(event));
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.drag = { x: event.offsetX, y: event.offsetY, middle: { ...this.middle }, moved: false };
    });
    canvas.addEventListener("pointerup", (event) => {
      const clicked = this.drag && !this.drag.moved;
      this.drag = null;
      if (!clicked) return;
      const found = this.nearest(event.offsetX, event.offsetY);
      // A finger has no pointer that hovers: the first touch chooses, the second opens.
      const again = found === this.chosen;
      this.choose(found);
      if (found >= 0 && (again || event.pointerType === "mouse")) this.open();
    });
    canvas.addEventListener("pointercancel", () => {
      this.drag = null;
    });
    canvas.addEventListener(
      "wheel",
      (event) => {
        event.preventDefault();
        this.zoomBy(event.deltaY < 0 ? 1.2 : 1 / 1.2, event.offsetX, event.offsetY);
      },
      { passive: false },
    );
    const here = () => document.activeElement === canvas;
    const step = (x, y) => () => (here() ? this.go(x, y) : false);
    onKeys({
      ArrowLeft: step(-1, 0),
      ArrowRight: step(1, 0),
      ArrowUp: step(0, -1),
      ArrowDown: step(0, 1),
      Enter: () => (here() && this.chosen >= 0 ? this.open() : false),
      Escape: () => (here() ? this.choose(-1) : false),
      n: () => this.goKept(1),
      p: () => this.goKept(-1),
      "+": () => this.zoomBy(1.5),
      "-": () => this.zoomBy(1 / 1.5),
      0: () => this.zoomBy(0),
    });
  }

  // --- which objects are shown ---

  fits(i) {
    const { data } = this;
    if (this.show === "kept" && !data.kept[i]) return false;
    if (this.show === "target" && !data.target[i]) return false;
    if (this.show === "new" && !(data.new[i] || (data.novelty[i] ?? 0) >= 0.99)) return false;
    if (this.cluster !== null && data.cluster[i] !== this.cluster) return false;
    if (!this.search) return true;
    return `${data.labels[data.label[i]]} ${data.caption[i]}`.toLowerCase().includes(this.search);
  }

  filter() {
    this.shown = [...Array(this.count).keys()].filter((i) => this.fits(i));
    const told = word("map_shown", { shown: this.shown.length.toLocaleString(), count: this.count.toLocaleString() });
    this.section.querySelector("[data-map-count]").textContent = told;
    if (this.chosen >= 0 && !this.fits(this.chosen)) this.choose(-1);
    this.draw();
  }

  // --- places ---

  place(i) {
    const { width, height } = this.size;
    const side = Math.min(width, height) * 0.92 * this.zoom;
    const wide = Math.min(width * 0.92 * this.zoom, side * 1.6);
    return {
      x: width / 2 + (this.data.x[i] - this.middle.x) * wide,
      y: height / 2 - (this.data.y[i] - this.middle.y) * side,
      wide,
      side,
    };
  }

  get size() {
    return { width: this.canvas.clientWidth, height: this.canvas.clientHeight };
  }

  nearest(x, y) {
    let found = -1;
    let least = NEAR * NEAR;
    for (const i of this.shown) {
      const at = this.place(i);
      const far = (at.x - x) ** 2 + (at.y - y) ** 2;
      if (far < least || (far === least && this.data.kept[i])) [found, least] = [i, far];
    }
    return found;
  }

  point(event) {
    if (this.drag) {
      const { wide, side } = this.place(0);
      const [x, y] = [event.offsetX - this.drag.x, event.offsetY - this.drag.y];
      if (Math.hypot(x, y) < 4 && !this.drag.moved) return;
      this.drag.moved = true;
      this.middle = { x: this.drag.middle.x - x / wide, y: this.drag.middle.y + y / side };
      this.draw();
      return;
    }
    const found = this.nearest(event.offsetX, event.offsetY);
    this.canvas.classList.toggle("over", found >= 0);
    if (found >= 0) this.choose(found);
  }

  zoomBy(factor, x = this.size.width / 2, y = this.size.height / 2) {
    if (!factor) {
      this.zoom = 1;
      this.middle = { x: 0.5, y: 0.5 };
    } else if (this.count) {
      const before = this.place(0);
      this.zoom = Math.min(40, Math.max(0.5, this.zoom * factor));
      const after = this.place(0);
      const { width, height } = this.size;
      // What lies under the pointer stays there.
      this.middle.x += (x - width / 2) / before.wide - (x - width / 2) / after.wide;
      this.middle.y -= (y - height / 2) / before.side - (y - height / 2) / after.side;
    }
    this.draw();
  }

  // --- choosing ---

  go(x, y) {
    if (!this.shown.length) return;
    if (this.chosen < 0) {
      this.choose(this.shown.find((i) => this.data.kept[i]) ?? this.shown[0]);
      return;
    }
    const from = this.place(this.chosen);
    let [found, least] = [-1, Infinity];
    for (const i of this.shown) {
      const at = this.place(i);
      const along = (at.x - from.x) * x + (at.y - from.y) * y;
      const across = Math.abs((at.x - from.x) * y) + Math.abs((at.y - from.y) * x);
      // Within 60 degrees of the direction; what lies aside counts twice.
      if (i === this.chosen || along <= 0 || across > along * 1.8) continue;
      if (along + 2 * across < least) [found, least] = [i, along + 2 * across];
    }
    if (found >= 0) this.choose(found);
  }

  goKept(by) {
    const kept = this.shown.filter((i) => this.data.kept[i]);
    if (!kept.length) return;
    const here = kept.indexOf(this.chosen);
    this.choose(kept[here < 0 ? (by > 0 ? 0 : kept.length - 1) : (here + by + kept.length) % kept.length]);
  }

  choose(i) {
    if (i === this.chosen) return;
    this.chosen = i;
    this.bringIntoView();
    this.draw();
    this.tell();
  }

  bringIntoView() {
    if (this.chosen < 0 || this.drag) return;
    const at = this.place(this.chosen);
    const { width, height } = this.size;
    if (at.x < 0 || at.y < 0 || at.x > width || at.y > height) {
      this.middle = { x: this.data.x[this.chosen], y: this.data.y[this.chosen] };
    }
  }

  address() {
    const { data, chosen } = this;
    if (data.crop[chosen]) return `${this.base}/crop/${data.crop[chosen]}`;
    return data.frame[chosen] ? `${this.base}/frame/${data.frame[chosen]}.jpg` : "";
  }

  /** The page of the crop; of an object that is no crop, its frame with the box on it. */
  open() {
    const { data, chosen } = this;
    if (data.crop[chosen]) location.assign(this.address());
    else if (data.frame[chosen]) this.showFrame(chosen);
  }

  showFrame(i) {
    const { data } = this;
    const dialog = document.querySelector("[data-map-frame]");
    const [svg, picture, box] = ["svg", "image", "rect"].map((name) => dialog.querySelector(name));
    const [left, top, right, bottom] = data.box[i];
    const whole = new Image();
    whole.addEventListener("load", () => {
      svg.setAttribute("viewBox", `0 0 ${whole.naturalWidth} ${whole.naturalHeight}`);
      put(picture, { href: whole.src, width: whole.naturalWidth, height: whole.naturalHeight });
    });
    whole.src = `${this.base}/whole/${data.frame[i]}.jpg`;
    put(box, { x: left, y: top, width: right - left, height: bottom - top });
    svg.setAttribute("aria-label", word("map_frame", { name: data.path[i] }));
    dialog.querySelector("h2").textContent = `${data.caption[i]} · ${data.path[i]}`;
    dialog.showModal();
  }

  tell() {
    const { data, chosen } = this;
    const box = this.section.querySelector("[data-map-object]");
    if (chosen < 0) {
      box.replaceChildren(element("p", word("map_pick")));
      return;
    }
    const picture = document.createElement("img");
    picture.alt = "";
    picture.src = `${this.base}/object/${data.id[chosen]}.webp`;
    const lines = [
      word("map_class", { label: data.labels[data.label[chosen]], confidence: data.confidence[chosen].toFixed(2) }),
      data.cluster[chosen] >= 0 ? data.clusters[data.cluster[chosen]] : word("map_no_cluster"),
      data.spoken[chosen] ? "" : word("map_class_name"),
      figure("map_forest", data.forest[chosen]),
      figure("map_lof", data.lof[chosen]),
      figure("map_novelty", data.novelty[chosen]),
      data.new[chosen] ? word("map_new_class") : "",
      data.datasets[data.dataset[chosen]],
      data.path[chosen],
    ];
    const list = document.createElement("ul");
    for (const [bit, name] of data.reason_names.entries()) {
      if (data.reasons[chosen] & (1 << bit)) list.append(element("li", word(`why_${name}`), "why"));
    }
    if (data.target[chosen]) list.append(element("li", word("map_target"), "why"));
    for (const line of lines) if (line) list.append(element("li", line));
    box.replaceChildren(picture, element("h3", data.caption[chosen]), list);
    const address = this.address();
    if (address) {
      const link = element("a", word(data.crop[chosen] ? "map_open_crop" : "map_open_frame"));
      link.href = address;
      link.dataset.object = data.id[chosen];
      box.append(link);
    }
  }

  // --- drawing ---

  paint(i, colours, soft) {
    const { data } = this;
    if (this.colour === "cluster") return data.cluster[i] < 0 ? soft : colours[data.cluster[i] % colours.length];
    if (this.colour === "label") return colours[data.label[i] % colours.length];
    if (this.colour === "dataset") return colours[data.dataset[i] % colours.length];
    const value = data[this.colour][i];
    if (value === null) return soft;
    // Oddness lies between 0.35 and 0.75 in practice; novelty is a share.
    const share = this.colour === "novelty" ? value : Math.min(1, Math.max(0, (value - 0.35) / 0.4));
    return `hsl(${230 - 220 * share} 75% ${dark.matches ? 62 : 42}%)`;
  }

  draw() {
    const { canvas } = this;
    const { width, height } = this.size;
    if (!width || !height) return;
    const ratio = devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    const style = getComputedStyle(document.documentElement);
    const [ink, soft, panel] = ["--ink", "--soft", "--panel"].map((name) => style.getPropertyValue(name).trim());
    const colours = dark.matches ? COLOURS.dark : COLOURS.light;
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const small = this.count > 1500 ? 2.5 : 4;
    for (const kept of [0, 1]) {
      for (const i of this.shown) {
        if (this.data.kept[i] !== kept) continue;
        const at = this.place(i);
        if (at.x < -9 || at.y < -9 || at.x > width + 9 || at.y > height + 9) continue;
        pen.globalAlpha = kept ? 0.95 : 0.5;
        pen.fillStyle = this.paint(i, colours, soft);
        pen.beginPath();
        pen.arc(at.x, at.y, kept ? small + 2.5 : small, 0, 7);
        pen.fill();
        if (kept) {
          pen.strokeStyle = ink;
          pen.lineWidth = 1.2;
          pen.stroke();
        }
      }
    }
    pen.globalAlpha = 1;
    if (this.colour === "cluster") this.drawNames(pen, ink, panel);
    if (this.chosen >= 0) {
      const at = this.place(this.chosen);
      pen.strokeStyle = style.getPropertyValue("--accent").trim();
      pen.lineWidth = 3;
      pen.beginPath();
      pen.arc(at.x, at.y, small + 7, 0, 7);
      pen.stroke();
    }
    for (const mark of this.section.querySelectorAll("[data-mark]")) {
      mark.style.background = colours[Number(mark.dataset.mark) % colours.length];
    }
  }

  drawNames(pen, ink, panel) {
    const places = new Map();
    for (const i of this.shown) {
      const number = this.data.cluster[i];
      if (number < 0) continue;
      const at = this.place(i);
      if (!places.has(number)) places.set(number, { x: [], y: [] });
      places.get(number).x.push(at.x);
      places.get(number).y.push(at.y);
    }
    pen.font = `600 13px ${getComputedStyle(document.body).fontFamily}`;
    pen.textAlign = "center";
    pen.textBaseline = "middle";
    pen.lineWidth = 4;
    pen.lineJoin = "round";
    const taken = [];
    // Large clusters first; a name that would lie on another is left to the list below.
    for (const [number, at] of [...places].sort((a, b) => b[1].x.length - a[1].x.length)) {
      const name = this.data.clusters[number];
      const [x, y, wide] = [median(at.x), median(at.y), pen.measureText(name).width];
      if (taken.some((other) => Math.abs(other.x - x) < (other.wide + wide) / 2 && Math.abs(other.y - y) < 18)) continue;
      taken.push({ x, y, wide });
      pen.strokeStyle = panel;
      pen.strokeText(name, x, y);
      pen.fillStyle = ink;
      pen.fillText(name, x, y);
    }
  }
}

function put(made, attributes) {
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
}

function figure(name, value) {
  return value === null ? "" : word(name, { value: value.toFixed(2) });
}

function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

function element(name, text, kind = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

const section = document.querySelector("[data-map-url]");
if (section) {
  section.hidden = false;
  try {
    const answer = await fetch(section.dataset.mapUrl);
    if (!answer.ok) throw new Error(String(answer.status));
    new ObjectMap(section, await answer.json());
  } catch (error) {
    const fault = section.querySelector("[data-map-fault]");
    fault.textContent = word("map_away", { reason: error.message });
    fault.hidden = false;
  }
}
