// The grid of a tracker's page: only the rows in sight are in the document, so that 15,000 crops scroll like 200.
// Without this file the page shows its crops 200 at a time. What a verdict is and how it is saved is in verdicts.js.

import { CropList } from "./crop_list.js";
import { onKeys } from "./keys.js";
import { showNotice, showToast, speak } from "./messages.js";
import { Tiles } from "./tiles.js";
import { Verdicts } from "./verdicts.js";
import { word } from "./words.js";

const PAGE_SIZE = 200;
const SPARE_ROWS = 2;
const JUDGE_MS = 1500;
const BETWEEN_LISTS_MS = 2000;
const AFTER_A_FAULT_MS = 3000;
const ANSWER_MS = 30_000;
const ADVANCE_KEY = "lora_assets.advance";

class Grid {
  #place; // the element that the server drew, replaced by #box
  #box;
  #list;
  #tiles;
  #verdicts;
  #rows = new Map(); // row of the grid -> its element
  #columns = 1;
  #pitch = 1; // height of a row with its gap, pixels
  #here = -1; // place of the current tile
  #anchor = -1; // where a selection by shift begins
  #selected = new Set(); // keys
  #drawing = 0;

  constructor(place, list, verdicts) {
    this.#place = place;
    this.#list = list;
    this.#verdicts = verdicts;
    this.#tiles = new Tiles(place, verdicts);
    this.#box = document.createElement("div");
    this.#box.className = "window";
    this.#box.setAttribute("role", "grid");
    this.#box.setAttribute("aria-multiselectable", "true");
    this.#box.setAttribute("aria-label", word("grid"));
    place.replaceWith(this.#box);
    for (const pager of document.querySelectorAll("[data-pager]")) pager.remove();
    this.#measure();
    this.#restore();
    this.#listen();
    this.#draw();
    this.#told();
    this.#tellCounts();
  }

  // --- drawing -------------------------------------------------------------------------------------------------------

  #measure() {
    const style = getComputedStyle(this.#box);
    const [gap, least] = [parseFloat(style.columnGap), parseFloat(style.getPropertyValue("--tile"))];
    this.#columns = Math.max(1, Math.floor((this.#box.clientWidth + gap) / (least + gap)));
    this.#box.style.setProperty("--columns", this.#columns);
    this.#clear();
    if (this.#list.shown.length) {
      const probe = this.#box.appendChild(this.#rowElement(0));
      this.#pitch = probe.getBoundingClientRect().height + parseFloat(style.rowGap);
      probe.remove();
    }
    this.#resize();
  }

  #resize() {
    const rows = Math.ceil(this.#list.shown.length / this.#columns);
    this.#box.style.height = `${Math.max(0, rows * this.#pitch)}px`;
    this.#box.setAttribute("aria-rowcount", rows);
    this.#box.setAttribute("aria-colcount", this.#columns);
  }

  #clear() {
    for (const row of [...this.#rows.keys()]) this.#remove(row);
  }

  #remove(row) {
    // A picture that left the document is loaded to its end otherwise, and those in sight wait for it.
    for (const picture of this.#rows.get(row).querySelectorAll("img")) {
      if (!picture.complete) picture.removeAttribute("src");
    }
    this.#rows.get(row).remove();
    this.#rows.delete(row);
  }

  #rowElement(number) {
    const row = document.createElement("div");
    row.className = "window-row";
    row.setAttribute("role", "row");
    row.setAttribute("aria-rowindex", number + 1);
    row.style.top = `${number * this.#pitch}px`;
    const start = number * this.#columns;
    this.#list.shown.slice(start, start + this.#columns).forEach((listed, column) => {
      const tile = this.#tiles.make(this.#list.tile(listed));
      tile.setAttribute("aria-colindex", column + 1);
      tile.dataset.place = start + column;
      this.#dress(tile);
      row.append(tile);
    });
    return row;
  }

  #dress(tile) {
    const current = Number(tile.dataset.place) === this.#here;
    const selected = this.#selected.has(tile.dataset.tile);
    tile.tabIndex = current ? 0 : -1;
    tile.classList.toggle("current", current);
    tile.setAttribute("aria-selected", String(selected));
    tile.querySelector("input").checked = selected;
  }

  /** Draw the rows in sight, and the row of the focused tile, so that the focus survives scrolling. */
  #draw(also = -1) {
    this.#drawing = 0;
    const top = -this.#box.getBoundingClientRect().top;
    const first = Math.max(0, Math.floor(top / this.#pitch) - SPARE_ROWS);
    const last = Math.ceil((top + innerHeight) / this.#pitch) + SPARE_ROWS;
    const rows = Math.ceil(this.#list.shown.length / this.#columns);
    const wanted = new Set();
    for (let row = first; row < Math.min(last, rows); row += 1) wanted.add(row);
    const focused = document.activeElement?.closest?.("[data-place]");
    const kept = focused ? Number(focused.dataset.place) : also;
    if (kept >= 0) wanted.add(Math.floor(kept / this.#columns));
    for (const row of [...this.#rows.keys()]) {
      if (!wanted.has(row)) this.#remove(row);
    }
    for (const row of [...wanted].sort((a, b) => a - b)) {
      if (this.#rows.has(row)) continue;
      const element = this.#rowElement(row);
      const after = [...this.#rows.keys()].filter((other) => other > row);
      this.#box.insertBefore(element, after.length ? this.#rows.get(Math.min(...after)) : null);
      this.#rows.set(row, element);
    }
    const entrance = this.#here < 0 && this.#box.querySelector("[data-place]");
    if (entrance) entrance.tabIndex = 0;
  }

  #drawSoon() {
    if (!this.#drawing) this.#drawing = requestAnimationFrame(() => this.#draw());
  }

  #tileAt(place) {
    return this.#box.querySelector(`[data-place="${place}"]`);
  }

  #dressAll() {
    for (const tile of this.#box.querySelectorAll("[data-place]")) this.#dress(tile);
    this.#told();
  }

  // --- where one is --------------------------------------------------------------------------------------------------

  #go(place, { focus = true, block = "nearest" } = {}) {
    const last = this.#list.shown.length - 1;
    if (last < 0) return false;
    this.#here = Math.min(Math.max(place, 0), last);
    this.#scrollTo(this.#here, block);
    this.#draw();
    for (const tile of this.#box.querySelectorAll("[data-place]")) this.#dress(tile);
    if (focus) this.#tileAt(this.#here).focus({ preventScroll: true });
    this.#told();
    return true;
  }

  #scrollTo(place, block) {
    const row = Math.floor(place / this.#columns);
    const box = this.#box.getBoundingClientRect();
    const above = document.querySelector(".top")?.getBoundingClientRect().bottom ?? 0;
    const below = document.querySelector("[data-actions]")?.offsetHeight ?? 0;
    const top = box.top + row * this.#pitch;
    if (block === "center") scrollBy(0, top - (innerHeight - this.#pitch) / 2);
    else if (top < above + 8) scrollBy(0, top - above - 8);
    else if (top + this.#pitch > innerHeight - below - 8) scrollBy(0, top + this.#pitch - innerHeight + below + 8);
  }

  #firstInSight() {
    const above = document.querySelector(".top")?.getBoundingClientRect().bottom ?? 0;
    const row = Math.max(0, Math.ceil((above - this.#box.getBoundingClientRect().top) / this.#pitch));
    return Math.min(row * this.#columns, this.#list.shown.length - 1);
  }

  #step(by, event) {
    if (this.#here < 0) return this.#go(this.#firstInSight());
    const from = this.#here;
    const to = from + by;
    if (to < 0 || to >= this.#list.shown.length) return false;
    this.#go(to);
    if (event?.shiftKey) this.#selectRange(this.#anchor < 0 ? (this.#anchor = from) : this.#anchor, to);
    else this.#anchor = -1;
    return true;
  }

  #nextUnmarked() {
    const shown = this.#list.shown;
    for (let step = 1; step <= shown.length; step += 1) {
      const place = (Math.max(this.#here, -1) + step) % shown.length;
      if (!this.#verdicts.get(this.#list.crops[shown[place]]).value) return this.#go(place, { block: "nearest" });
    }
    showToast(word("all_marked"));
    return true;
  }

  /** Where the page stood before it was left or loaded anew, else the crop or page that the address names. */
  #restore() {
    history.scrollRestoration = "manual";
    const [travel] = performance.getEntriesByType("navigation");
    const kept = JSON.parse(sessionStorage.getItem(this.#keptName()) ?? "null");
    const named = this.#list.place(decodeURIComponent(location.hash.replace("#crop-", "")));
    const start = (Number(new URLSearchParams(location.search).get("page") ?? 1) - 1) * PAGE_SIZE;
    if (kept && ["reload", "back_forward"].includes(travel?.type)) {
      const top = this.#list.place(kept.top);
      if (top >= 0) scrollTo(0, scrollY + this.#box.getBoundingClientRect().top + Math.floor(top / this.#columns) * this.#pitch - kept.offset);
      this.#here = this.#list.place(kept.here);
      if (this.#here >= 0) this.#go(this.#here);
    } else if (named >= 0) this.#go(named, { block: "center" });
    else if (start > 0) this.#go(start, { focus: false, block: "center" });
  }

  #keptName() {
    return `lora_assets.place.${location.pathname}${location.search}`;
  }

  #keep() {
    if (!this.#list.shown.length) return;
    const top = this.#firstInSight();
    const offset = this.#box.getBoundingClientRect().top + Math.floor(top / this.#columns) * this.#pitch;
    const here = this.#here >= 0 ? this.#list.key(this.#list.shown[this.#here]) : "";
    const kept = { top: this.#list.key(this.#list.shown[top]), offset, here };
    sessionStorage.setItem(this.#keptName(), JSON.stringify(kept));
  }

  /** Show another list (new results) with the same tile in the same place. */
  replace(list) {
    const here = this.#here >= 0 ? this.#list.key(this.#list.shown[this.#here]) : "";
    const top = this.#list.shown.length ? this.#list.key(this.#list.shown[this.#firstInSight()]) : "";
    const before = this.#box.getBoundingClientRect().top + Math.floor(this.#list.place(top) / this.#columns) * this.#pitch;
    const focused = this.#box.contains(document.activeElement);
    const stood = this.#here;
    this.#list = list;
    this.#here = list.place(here);
    // The focused crop may be in the choice no more: its neighbour takes the focus.
    if (focused && this.#here < 0) this.#here = Math.min(stood, list.shown.length - 1);
    this.#anchor = -1;
    this.#selected = new Set([...this.#selected].filter((key) => list.place(key) >= 0));
    this.#measure();
    const place = list.place(top);
    if (place >= 0) scrollBy(0, this.#box.getBoundingClientRect().top + Math.floor(place / this.#columns) * this.#pitch - before);
    this.#draw(focused ? this.#here : -1);
    if (focused) this.#tileAt(this.#here)?.focus({ preventScroll: true });
    this.#told();
    this.#tellCounts();
  }

  // --- selection -----------------------------------------------------------------------------------------------------

  #select(keys, selected = true) {
    for (const key of keys) {
      if (selected) this.#selected.add(key);
      else this.#selected.delete(key);
    }
    this.#dressAll();
  }

  #selectRange(from, to) {
    const [first, last] = from < to ? [from, to] : [to, from];
    this.#select(this.#list.shown.slice(first, last + 1).map((row) => this.#list.key(row)));
  }

  #toggle(place, event) {
    const key = this.#list.key(this.#list.shown[place]);
    if (event?.shiftKey && this.#anchor >= 0) this.#selectRange(this.#anchor, place);
    else this.#select([key], !this.#selected.has(key));
    this.#anchor = place;
    return true;
  }

  #selectAll() {
    this.#select(this.#list.shown.map((row) => this.#list.key(row)));
    speak(word("selected", { count: this.#selected.size }));
    return true;
  }

  #selectNone() {
    if (!this.#selected.size) return false;
    this.#selected.clear();
    this.#anchor = -1;
    this.#dressAll();
    return true;
  }

  /** The crops that an action is for: the selected ones, else the current one. */
  #targets() {
    const places = this.#selected.size ? [...this.#selected].map((key) => this.#list.place(key)) : [this.#here];
    return places.filter((place) => place >= 0).map((place) => this.#list.crops[this.#list.shown[place]]);
  }

  // --- verdicts ------------------------------------------------------------------------------------------------------

  #mark(change) {
    const targets = this.#targets();
    if (!targets.length) {
      showToast(word("press_again"));
      return this.#go(this.#firstInSight());
    }
    this.#verdicts.mark(targets, change);
    const advances = document.querySelector("[data-advance]")?.checked;
    if (change.value && change.value !== "cleared" && !this.#selected.size && advances) this.#step(1);
    else if (this.#selected.size) this.#selectNone();
    return true;
  }

  #listen() {
    addEventListener("scroll", () => this.#drawSoon(), { passive: true });
    addEventListener("pagehide", () => this.#keep());
    let width = this.#box.clientWidth;
    new ResizeObserver(() => {
      if (this.#box.clientWidth === width) return;
      width = this.#box.clientWidth;
      const place = this.#here >= 0 ? this.#here : this.#firstInSight();
      this.#measure();
      this.#scrollTo(place, "nearest");
      this.#draw();
    }).observe(this.#box);
    this.#verdicts.addEventListener("change", (event) => this.#refresh(event.detail));
    this.#verdicts.addEventListener("undone", (event) => this.#showUndone(event.detail));
    this.#box.addEventListener("click", (event) => this.#clicked(event));
    this.#box.addEventListener("focusin", (event) => {
      const tile = event.target.closest("[data-place]");
      if (!tile || Number(tile.dataset.place) === this.#here) return;
      this.#here = Number(tile.dataset.place);
      this.#dressAll();
    });
    this.#listenToActions();
    onKeys({
      g: () => this.#mark({ value: "good" }),
      b: () => this.#mark({ value: "bad" }),
      x: () => this.#mark({ value: "exclude" }),
      0: () => this.#mark({ value: "cleared" }),
      ...Object.fromEntries([1, 2, 3, 4, 5].map((stars) => [stars, () => this.#mark({ stars })])),
      u: () => this.#undo(),
      "ctrl+z": () => this.#undo(),
      n: () => this.#nextUnmarked(),
      a: () => this.#selectAll(),
      v: () => this.#unfold(),
      " ": (event) => !event.target.closest("button, input, summary") && this.#here >= 0 && this.#toggle(this.#here, event),
      Escape: () => this.#selectNone(),
      Enter: (event) => this.#open(event),
      j: (event) => this.#step(1, event),
      k: (event) => this.#step(-1, event),
      J: (event) => this.#step(1, event),
      K: (event) => this.#step(-1, event),
      ArrowRight: (event) => this.#step(1, event),
      ArrowLeft: (event) => this.#step(-1, event),
      // Before a tile is the current one, these scroll the page as usual.
      ArrowDown: (event) => this.#here >= 0 && this.#step(this.#columns, event),
      ArrowUp: (event) => this.#here >= 0 && this.#step(-this.#columns, event),
      Home: () => this.#inside() && this.#go(0),
      End: () => this.#inside() && this.#go(this.#list.shown.length - 1),
      PageDown: () => this.#inside() && this.#page(1),
      PageUp: () => this.#inside() && this.#page(-1),
    });
  }

  #listenToActions() {
    const bar = document.querySelector("[data-actions]");
    bar.hidden = false;
    bar.addEventListener("click", (event) => {
      const button = event.target.closest("[data-mark], [data-act]");
      if (!button) return;
      if (button.dataset.mark) this.#mark(JSON.parse(button.dataset.mark));
      else ({ undo: () => this.#undo(), all: () => this.#selectAll(), none: () => this.#selectNone() })[button.dataset.act]();
    });
    const advance = bar.querySelector("[data-advance]");
    advance.checked = localStorage.getItem(ADVANCE_KEY) !== "off";
    advance.addEventListener("change", () => localStorage.setItem(ADVANCE_KEY, advance.checked ? "on" : "off"));
  }

  #inside() {
    return this.#here >= 0 && this.#box.contains(document.activeElement);
  }

  #page(direction) {
    const rows = Math.max(1, Math.floor(innerHeight / this.#pitch) - 1);
    return this.#go(this.#here + direction * rows * this.#columns);
  }

  #undo() {
    this.#verdicts.undo();
    return true;
  }

  #open(event) {
    if (event.target.closest("a, button, summary") || this.#here < 0) return false;
    this.#tileAt(this.#here)?.querySelector("a").click();
    return true;
  }

  #unfold() {
    if (this.#here < 0) return false;
    const row = this.#list.shown[this.#here];
    const key = this.#list.key(row);
    if (!this.#list.toggleGroup(row)) return false;
    this.#clear();
    this.#resize();
    // Folded again, the tile that stood here may be gone: the one before it is the group's.
    const place = this.#list.place(key);
    return this.#go(place >= 0 ? place : this.#here - 1);
  }

  #clicked(event) {
    const tile = event.target.closest("[data-place]");
    if (!tile) return;
    const place = Number(tile.dataset.place);
    const button = event.target.closest("[data-mark]");
    if (button) {
      this.#here = place;
      this.#verdicts.mark([this.#list.crops[this.#list.shown[place]]], JSON.parse(button.dataset.mark));
    } else if (event.target.closest("[data-unfold]")) {
      this.#here = place;
      this.#unfold();
    } else if (event.target.matches("input")) this.#toggle(place, event);
    else if (event.shiftKey || event.ctrlKey || event.metaKey) {
      event.preventDefault();
      if (event.shiftKey && this.#anchor < 0) this.#anchor = Math.max(this.#here, 0);
      this.#here = place;
      this.#toggle(place, event);
      this.#tileAt(place).focus({ preventScroll: true });
    }
  }

  #refresh(crops) {
    for (const tile of this.#box.querySelectorAll("[data-place]")) {
      if (crops.has(tile.dataset.crop)) this.#tiles.showVerdict(tile);
    }
    this.#tellCounts();
  }

  #showUndone(crops) {
    const place = this.#list.shown.findIndex((row) => crops.includes(this.#list.crops[row]));
    if (place >= 0) this.#go(place);
  }

  /** Write the numbers that depend on where one is and on the selection. */
  #told() {
    const bar = document.querySelector("[data-actions]");
    const selected = this.#selected.size;
    const total = this.#list.shown.length;
    bar.querySelector("[data-told]").textContent = selected
      ? word("selected", { count: selected })
      : this.#here >= 0
        ? word("place", { place: this.#here + 1, count: total })
        : word("shown", { count: total });
    bar.querySelector("[data-act=none]").hidden = !selected;
    bar.querySelector("[data-act=all]").hidden = selected === total;
  }

  #tellCounts() {
    const chips = document.querySelectorAll("[data-verdict-count]");
    // The list of one verdict cannot tell how many crops have another one.
    if (!chips.length || new URLSearchParams(location.search).get("verdict")) return;
    const counts = { none: 0, good: 0, bad: 0, exclude: 0 };
    for (const crop of this.#list.crops) counts[this.#verdicts.get(crop).value || "none"] += 1;
    for (const chip of chips) {
      const count = counts[chip.dataset.verdictCount];
      chip.textContent = count.toLocaleString("en");
      chip.toggleAttribute("data-empty", count === 0);
    }
  }
}

async function readList(place, tag = "") {
  const headers = tag ? { "If-None-Match": `"${tag}"` } : {};
  const answer = await fetch(place.dataset.listUrl, { headers, signal: AbortSignal.timeout(ANSWER_MS) });
  if (answer.status === 304) return null;
  if (!answer.ok) throw new Error(`${answer.status}`);
  return new CropList(await answer.json(), place.dataset.folds === "true");
}

/** Read the list anew while the judge is still asked, and when results come of a run that goes on. */
function keepFresh(place, grid, list) {
  let timer = 0;
  let reading = false;
  let changed = false;
  const later = (pause) => {
    clearTimeout(timer);
    timer = setTimeout(renew, pause);
  };
  const plan = (pause) => {
    if (changed || list.judgeComing) later(pause);
    if (!document.querySelector("[data-judge-fault]")) {
      showNotice("judge", list.judgeFault && word("judge_fault", { reason: list.judgeFault }), { warn: true });
    }
  };
  const renew = async () => {
    reading = true;
    changed = false;
    try {
      const fresh = await readList(place, list.tag);
      if (fresh) grid.replace((list = fresh));
      plan(changed ? BETWEEN_LISTS_MS : JUDGE_MS);
    } catch {
      // The server is being restarted.
      later(AFTER_A_FAULT_MS);
    } finally {
      reading = false;
    }
  };
  document.addEventListener("tracker:changed", (event) => {
    event.preventDefault();
    changed = true;
    if (!reading) later(0);
  });
  plan(JUDGE_MS);
}

const place = document.querySelector("[data-list-url]");
if (place) {
  const verdicts = Verdicts.of(document.querySelector("[data-verdicts-url]"));
  try {
    const list = await readList(place);
    keepFresh(place, new Grid(place, list, verdicts), list);
  } catch (error) {
    // The pages of 200 that the server drew stay as they are.
    showToast(word("list_failed", { reason: error.message }), { warn: true });
  }
}
