// One crop large: judging by key, stepping without reloading (the next pages and pictures are fetched ahead), overlays,
// grounds, before and after, zoom and full screen. How verdicts are kept and sent is in verdicts.js.

import { onKeys } from "./keys.js";
import { showToast, speak } from "./messages.js";
import { Verdicts, verdictBadge } from "./verdicts.js";
import { word } from "./words.js";

const GROUNDS = ["checker", "white", "black"];
const PAGES_AHEAD = 3;
const PAGES_KEPT = 12;
const PICTURES_KEPT = 60;
const FRESH_MS = 120_000;
const LOOKS_FOR_UNMARKED = 200;
const ADVANCE_KEY = "lora_assets.advance";

const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const kept = (name, usual) => localStorage.getItem(`lora_assets.view.${name}`) ?? usual;
const keep = (name, value) => localStorage.setItem(`lora_assets.view.${name}`, value);

const verdicts = Verdicts.of(one("[data-verdicts-url]"));
const crop = () => one("#crop");
const cropId = () => crop().dataset.crop;

// --- pages ahead -----------------------------------------------------------------------------------------------------

class Pages {
  #known = new Map();
  // The elements themselves: a browser forgets the picture of an element that nothing holds.
  #pictures = new Map();

  /** The page at an address as a document; fetched once and kept for a while. */
  get(url) {
    const found = this.#known.get(url);
    if (found && performance.now() - found.at < FRESH_MS) return found.page;
    const page = this.#fetch(url);
    this.#known.set(url, { page, at: performance.now() });
    page.catch(() => this.#known.delete(url));
    for (const old of [...this.#known.keys()].slice(0, -PAGES_KEPT)) this.#known.delete(old);
    return page;
  }

  forget(url) {
    this.#known.delete(url);
  }

  async #fetch(url) {
    const answer = await fetch(url, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(`${answer.status}`);
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  }

  /** Fetch a page and what its viewer shows, so that stepping onto it shows it at once. */
  async ahead(url, steps) {
    if (!url || steps <= 0) return;
    try {
      const page = await this.get(url);
      for (const picture of all("#viewer [data-picture], #viewer image", page)) {
        this.#picture(picture.getAttribute("src") ?? picture.getAttribute("href"));
      }
      await this.ahead(one("#crop", page)?.dataset.next, steps - 1);
    } catch {
      // Stepping there fetches it again and tells what is wrong.
    }
  }

  #picture(url) {
    if (!url || this.#pictures.has(url)) return;
    const picture = new Image();
    this.#pictures.set(url, picture);
    picture.src = url;
    picture.decode().catch(() => this.#pictures.delete(url));
    for (const old of [...this.#pictures.keys()].slice(0, -PICTURES_KEPT)) this.#pictures.delete(old);
  }
}

const pages = new Pages();
const trail = [];
const urlOf = new Map();
let going = 0;

/** Show the crop at an address in place of this one. `how`: push, replace, or none when the browser went there. */
async function go(url, how = "push") {
  const turn = ++going;
  let page;
  try {
    page = await pages.get(url);
  } catch {
    location.assign(url);
    return;
  }
  if (turn !== going || !one("#crop", page)) {
    if (turn === going) location.assign(url);
    return;
  }
  for (const selector of [".crumbs", ".languages", "#content"]) {
    const fresh = one(selector, page).cloneNode(true);
    // The element itself stays: it may be what is shown on the full screen.
    one(selector).replaceChildren(...fresh.childNodes);
  }
  document.title = page.title;
  if (how === "push") history.pushState({ crop: true }, "", url);
  if (how === "replace") history.replaceState({ crop: true }, "", url);
  document.dispatchEvent(new CustomEvent("page:swapped"));
  start();
  speak(one("h1").textContent);
}

function step(name) {
  // Back along the way that one came: a marked crop may be in the choice no more.
  const url = (name === "previous" && trail.pop()) || crop().dataset[name];
  if (!url) return showToast(word(name === "next" ? "last_crop" : "first_crop"));
  if (name === "next") trail.push(location.href);
  go(url);
}

async function stepToUnmarked() {
  let { unmarked, unmarkedCrop } = crop().dataset;
  for (let tries = 0; tries < LOOKS_FOR_UNMARKED && unmarked; tries += 1) {
    if (!verdicts.get(unmarkedCrop).value) {
      trail.push(location.href);
      return go(unmarked);
    }
    // Marked since that page was made: look from there on.
    ({ unmarked, unmarkedCrop } = one("#crop", await pages.get(unmarked)).dataset);
  }
  showToast(word("none_unmarked"));
}

window.addEventListener("popstate", () => {
  if (trail.at(-1) === location.href) trail.pop();
  if (location.pathname.includes("/crop/")) go(location.href, "none");
  else location.reload();
});

// --- judging ---------------------------------------------------------------------------------------------------------

const advances = () => localStorage.getItem(ADVANCE_KEY) !== "off";

function mark(change) {
  const id = cropId();
  urlOf.set(id, location.href);
  verdicts.mark([id], change);
  const goesOn = change.value && change.value !== "cleared" && advances();
  if (goesOn && crop().dataset.next) step("next");
}

function toggleValue(value) {
  const said = verdicts.get(cropId());
  // Cleared alone would take stars and note away too.
  mark(said.value === value ? { value: "cleared", stars: said.stars } : { value });
}

function giveStars(count) {
  mark({ stars: verdicts.get(cropId()).stars === count ? null : count });
}

const draftName = () => `lora_assets.note.${one("[data-verdicts-url]").dataset.tracker}.${cropId()}`;

/** Tell what is not saved of a note, and keep it over steps of the browser. */
function showDraft(field) {
  const limit = Number(field.dataset.limit);
  const count = [...field.value.trim()].length;
  const unsaved = field.value.trim() !== verdicts.get(cropId()).note;
  if (unsaved) sessionStorage.setItem(draftName(), field.value);
  else sessionStorage.removeItem(draftName());
  field.classList.toggle("unsaved", unsaved);
  field.setAttribute("aria-invalid", String(count > limit));
  const told = one("[data-note-count]");
  told.hidden = count <= limit;
  told.textContent = count > limit ? word("note_long", { count, limit }) : "";
  return unsaved && count <= limit;
}

function saveNote(field) {
  // A field that a step has taken away keeps its words as a draft of its own crop.
  if (!field.isConnected || !showDraft(field)) return;
  sessionStorage.removeItem(draftName());
  verdicts.mark([cropId()], { note: field.value.trim() });
  showDraft(field);
  showToast(word("note_saved"));
}

function showSaid() {
  const said = verdicts.get(cropId());
  one("[data-verdict-here]").replaceChildren(...[verdictBadge(said)].filter(Boolean));
  for (const button of all(".judging [data-mark]")) {
    button.setAttribute("aria-pressed", String(JSON.parse(button.dataset.mark).value === said.value));
  }
  for (const button of all("[data-star]")) {
    button.setAttribute("aria-pressed", String(Number(button.dataset.star) <= (said.stars ?? 0)));
  }
  const field = one("[data-note]");
  if (document.activeElement === field) return;
  field.value = sessionStorage.getItem(draftName()) ?? verdicts.refusedNote(cropId()) ?? said.note;
  showDraft(field);
}

let refreshing = 0;
/** What the server tells of this crop may have changed with its verdict. */
function refreshSoon() {
  clearTimeout(refreshing);
  refreshing = setTimeout(async () => {
    const url = location.href;
    pages.forget(url);
    try {
      const page = await pages.get(url);
      if (url !== location.href) return;
      for (const part of all("[data-refreshed]")) part.replaceWith(one(`#${part.id}`, page).cloneNode(true));
    } catch {
      // It is told when the page is opened again.
    }
  }, 400);
}

verdicts.addEventListener("change", (event) => {
  if (!event.detail.has(cropId())) return;
  showSaid();
  refreshSoon();
});
verdicts.addEventListener("undone", (event) => {
  const [id] = event.detail;
  if (event.detail.length !== 1 || id === cropId() || !urlOf.has(id)) return;
  const url = urlOf.get(id);
  if (trail.includes(url)) trail.splice(trail.lastIndexOf(url));
  go(url);
});

// --- looking ---------------------------------------------------------------------------------------------------------

function showView() {
  const viewer = one("#viewer");
  viewer.dataset.ground = kept("ground", "checker");
  for (const button of all("[data-show]")) {
    const shown = kept(button.dataset.show, "on") === "on";
    button.setAttribute("aria-pressed", String(shown));
    viewer.classList.toggle(`hide-${button.dataset.show}`, !shown);
  }
  showZoom(kept("zoom", "off") === "on");
}

function nextGround() {
  const ground = GROUNDS[(GROUNDS.indexOf(kept("ground", "checker")) + 1) % GROUNDS.length];
  keep("ground", ground);
  showView();
  showToast(word(`ground_${ground}`));
}

function toggleLayer(name) {
  keep(name, kept(name, "on") === "on" ? "off" : "on");
  showView();
}

/** Show the mask before refinement, or the bare frame, instead of the crop. */
function showBefore(on) {
  const picture = one("[data-before-picture]");
  if (!picture) return false;
  const viewer = one("#viewer");
  if (viewer.classList.contains("showing-before") === on) return true;
  picture.loading = "eager";
  picture.hidden = !on;
  viewer.classList.toggle("showing-before", on);
  const button = one("[data-before]");
  button.setAttribute("aria-pressed", String(on));
  one("[data-stage=cutout]").dataset.beforeWord = button.firstChild.textContent.trim();
  return true;
}

function showZoom(on) {
  const viewer = one("#viewer");
  viewer.classList.toggle("zoomed", on);
  for (const stage of all("[data-stage]")) stage.tabIndex = on ? 0 : -1;
  one("[data-zoom]")?.setAttribute("aria-pressed", String(on));
  for (const picture of all("[data-stage=cutout] img, .overlay")) {
    const width = Number(picture.dataset.width ?? picture.getAttribute("width"));
    const height = Number(picture.dataset.height ?? picture.getAttribute("height"));
    if (!width) continue;
    picture.style.setProperty("--shown-width", `${width / devicePixelRatio}px`);
    picture.style.setProperty("--shown-height", `${height / devicePixelRatio}px`);
  }
  if (!on) return;
  const frame = one("[data-frame][data-whole]");
  if (frame) frame.setAttribute("href", frame.dataset.whole);
  for (const stage of all("[data-stage]")) centre(stage);
}

function centre(stage) {
  const overlay = one(".overlay", stage);
  const [x, y] = overlay ? overlay.dataset.at.split(",").map((n) => n / devicePixelRatio) : [stage.scrollWidth / 2, stage.scrollHeight / 2];
  stage.scrollTo(x - stage.clientWidth / 2, y - stage.clientHeight / 2);
}

/** True when arrows move a zoomed picture, which the browser does by itself. */
const pans = (event) => one("#viewer").classList.contains("zoomed") && event.target.matches("[data-stage]");

function toggleZoom() {
  const on = kept("zoom", "off") !== "on";
  keep("zoom", on ? "on" : "off");
  showZoom(on);
}

function toggleFullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else one("#content").requestFullscreen?.();
}

function dragToMove(stage) {
  let from = null;
  stage.addEventListener("pointerdown", (event) => {
    if (!one("#viewer").classList.contains("zoomed") || event.button !== 0 || event.pointerType === "touch") return;
    from = [event.clientX + stage.scrollLeft, event.clientY + stage.scrollTop];
    stage.setPointerCapture(event.pointerId);
    stage.classList.add("dragging");
    event.preventDefault();
  });
  stage.addEventListener("pointermove", (event) => {
    if (from) stage.scrollTo(from[0] - event.clientX, from[1] - event.clientY);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    stage.addEventListener(end, () => {
      from = null;
      stage.classList.remove("dragging");
    });
  }
}

// --- wiring ----------------------------------------------------------------------------------------------------------

function start() {
  for (const part of all("[data-judging], [data-scripted]")) part.hidden = false;
  urlOf.set(cropId(), location.href);
  one("[data-advance]").checked = advances();
  showView();
  showSaid();
  all("[data-stage]").forEach(dragToMove);
  pages.ahead(crop().dataset.next, PAGES_AHEAD);
  pages.ahead(crop().dataset.previous, 1);
}

document.addEventListener("click", (event) => {
  const at = (selector) => event.target.closest?.(selector);
  const link = at("[data-step]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey) {
    event.preventDefault();
    if (link.dataset.step === "next" || link.dataset.step === "previous") step(link.dataset.step);
    else go(link.href);
  } else if (at("[data-mark]")) toggleValue(JSON.parse(at("[data-mark]").dataset.mark).value);
  else if (at("[data-star]")) giveStars(Number(at("[data-star]").dataset.star));
  else if (at("[data-undo]")) verdicts.undo();
  else if (at("button[data-ground]")) nextGround();
  else if (at("[data-show]")) toggleLayer(at("[data-show]").dataset.show);
  else if (at("[data-zoom]")) toggleZoom();
  else if (at("[data-fullscreen]")) toggleFullScreen();
});
document.addEventListener("change", (event) => {
  if (event.target.matches?.("[data-advance]")) localStorage.setItem(ADVANCE_KEY, event.target.checked ? "on" : "off");
});
document.addEventListener("input", (event) => event.target.matches?.("[data-note]") && showDraft(event.target));
document.addEventListener("focusout", (event) => event.target.matches?.("[data-note]") && saveNote(event.target));
document.addEventListener("keydown", (event) => {
  if (!event.target.matches?.("[data-note]") || event.isComposing || event.keyCode === 229) return;
  if (event.key === "Enter" && !event.shiftKey) {
    event.preventDefault();
    event.target.blur();
  } else if (event.key === "Escape") {
    event.target.value = verdicts.get(cropId()).note;
    event.target.blur();
  } else return;
  event.stopPropagation();
});
for (const [name, on] of [["pointerdown", true], ["pointerup", false], ["pointercancel", false]]) {
  document.addEventListener(name, (event) => {
    if (!on || event.target.closest?.("[data-before]")) showBefore(on);
  });
}
document.addEventListener("keyup", (event) => {
  if (event.key === "\\" || event.key === "|") showBefore(false);
});
window.addEventListener("blur", () => showBefore(false));
window.addEventListener("resize", () => showView());

onKeys({
  g: () => toggleValue("good"),
  b: () => toggleValue("bad"),
  x: () => toggleValue("exclude"),
  0: () => mark({ value: "cleared" }),
  u: () => void verdicts.undo(),
  ...Object.fromEntries([1, 2, 3, 4, 5].map((count) => [String(count), () => giveStars(count)])),
  j: () => step("next"),
  ArrowRight: (event) => !pans(event) && step("next"),
  k: () => step("previous"),
  ArrowLeft: (event) => !pans(event) && step("previous"),
  n: () => void stepToUnmarked(),
  t: () => one("[data-note]").focus(),
  a: () => {
    one("[data-advance]").click();
    showToast(word(advances() ? "advance_on" : "advance_off"));
  },
  v: nextGround,
  m: () => toggleLayer("mask"),
  o: () => toggleLayer("box"),
  z: toggleZoom,
  f: toggleFullScreen,
  "\\": () => showBefore(true),
});

history.replaceState({ crop: true }, "");
start();
