// Clicking a mask: points, boxes and candidates on a frame that can be zoomed and moved, and what is accepted of it.
// How a mask is drawn is in segment_mask.js, what is sent and withdrawn in corrections.js.

import { refreshCorrections, send, sendCorrection } from "./corrections.js";
import { onKeys } from "./keys.js";
import { showToast, speak } from "./messages.js";
import { drawMask } from "./segment_mask.js";
import { word } from "./words.js";

const one = (selector, root = document) => root.querySelector(selector);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];
const SVG = "http://www.w3.org/2000/svg";
const CLICK_REACH = 6;
const ZOOM_STEP = 1.25;
const DEEPEST = 32;
const OPACITY = "lora_assets.segment.opacity";
const SET = "lora_assets.segment.set";

const root = one("#segment");
const stage = one("[data-stage]");
const sheet = one("[data-sheet]");
const canvas = one("[data-mask]");
const width = Number(root.dataset.width);
const height = Number(root.dataset.height);
const api = root.dataset.api;
const mostPoints = Number(root.dataset.mostPoints);
const subjects = new Map(JSON.parse(root.dataset.subjects).map((subject) => [subject.id, subject.box]));

const EMPTY = { points: [], labels: [], box: null, answer: 0, candidates: [], chosen: 0 };
let steps = [EMPTY];
let model = "";
let mode = "wanted";
let asking = null;
let again = false;
let spaceHeld = false;

const now = () => steps.at(-1);
const candidate = () => now().candidates[now().chosen];
const isAsked = (step) => step.points.some((_, n) => step.labels[n] === 1) || Boolean(step.box);

function tell(text, warn = false) {
  const told = one("[data-told]");
  told.textContent = text;
  told.classList.toggle("warn-text", warn);
}

// --- asking ----------------------------------------------------------------------------------------------------------

/** A new step of what is asked; it is answered once the step before is. */
function push(change) {
  steps = [...steps, { ...now(), ...change, answer: 0, candidates: [], chosen: 0 }];
  show();
  ask();
}

/** One request at a time; what was clicked meanwhile is asked together afterwards. */
async function ask() {
  if (asking) {
    again = true;
    return;
  }
  const step = now();
  if (!isAsked(step)) return show();
  const before = steps.findLast((each) => each !== step && each.candidates.length && !hasOtherBox(each, step));
  const after = before && step.points.length > before.points.length ? [before.answer, before.chosen] : null;
  const begun = performance.now();
  asking = step;
  stage.classList.add("waiting");
  try {
    const { points, labels, box } = step;
    const told = await send(`${api}/ask`, { points, labels, box, after });
    const answered = performance.now();
    Object.assign(step, { answer: told.answer, candidates: told.candidates, chosen: 0 });
    model = told.model;
    if (step === now()) show();
    const drawn = performance.now();
    const ms = Math.round(drawn - begun);
    root.dataset.lastParts = JSON.stringify({ model: told.ms, way: answered - begun - told.ms, drawing: drawn - answered });
    root.dataset.lastMs = String(ms);
    if (step === now()) tell(word("segment_answered", { ms, model, percent: Math.round(100 * told.candidates[0].score) }));
  } catch (error) {
    tell(error.message, true);
    speak(error.message);
  }
  asking = null;
  stage.classList.remove("waiting");
  show();
  const more = again;
  again = false;
  if (more && !now().candidates.length) ask();
}

const hasOtherBox = (a, b) => JSON.stringify(a.box) !== JSON.stringify(b.box);

function undo() {
  if (steps.length < 2) return;
  steps = steps.slice(0, -1);
  show();
  if (isAsked(now()) && !now().candidates.length) ask();
}

function clear() {
  if (now() === EMPTY) return;
  steps = [EMPTY];
  show();
}

function choose(place) {
  if (!now().candidates[place]?.window) return;
  now().chosen = place;
  show();
  speak(word("segment_candidate", { n: place + 1 }));
}

// --- showing ---------------------------------------------------------------------------------------------------------

let view = { x: 0, y: 0, scale: 1 };

function fitted() {
  const scale = Math.min(stage.clientWidth / width, stage.clientHeight / height);
  return { scale, x: (stage.clientWidth - width * scale) / 2, y: (stage.clientHeight - height * scale) / 2 };
}

function showView() {
  sheet.style.width = `${width}px`;
  sheet.style.height = `${height}px`;
  sheet.style.transform = `translate(${view.x}px, ${view.y}px) scale(${view.scale})`;
  sheet.classList.toggle("near", view.scale >= 3);
  one("[data-zoom-shown]").textContent = `${Math.round(100 * view.scale)} %`;
  for (const point of all("[data-points] > g")) {
    const [x, y] = JSON.parse(point.dataset.at);
    point.setAttribute("transform", `translate(${x} ${y}) scale(${1 / view.scale})`);
  }
}

/** Zoom about a place of the stage (CSS pixels), which stays where it is. */
function zoomAt(x, y, factor) {
  const least = Math.min(fitted().scale, 1) / 2;
  const scale = Math.min(DEEPEST, Math.max(least, view.scale * factor));
  const grown = scale / view.scale;
  view = { scale, x: x - (x - view.x) * grown, y: y - (y - view.y) * grown };
  showView();
}

function zoom(how) {
  if (how === "fit") {
    view = fitted();
    showView();
  } else zoomAt(stage.clientWidth / 2, stage.clientHeight / 2, how === "in" ? ZOOM_STEP : 1 / ZOOM_STEP);
}

function opacity() {
  return Number(one("[data-opacity]").value) / 100;
}

function show() {
  const step = now();
  // The last answer stays in sight while the next is on its way.
  const shown = step.candidates.length || !isAsked(step) ? step : steps.findLast((each) => each.candidates.length) ?? step;
  drawMask(canvas, width, height, shown.candidates[shown.chosen], opacity());
  showBox(step.box);
  showPoints(step);
  all("[data-candidate]").forEach((button, place) => {
    const told = step.candidates[place];
    button.disabled = !told?.window;
    button.setAttribute("aria-checked", String(Boolean(told?.window) && place === step.chosen));
    one("[data-score]", button).textContent = told?.window ? `${Math.round(100 * told.score)} %` : "–";
  });
  one("[data-undo]").disabled = one("[data-clear]").disabled = steps.length < 2;
  for (const button of all("[data-accept]")) button.disabled = accepting || !candidate()?.window;
  showView();
}

function showBox(box) {
  const drawn = one("[data-drawn-box]");
  drawn.toggleAttribute("hidden", !box);
  if (!box) return;
  const [x1, y1, x2, y2] = box;
  for (const [name, value] of Object.entries({ x: x1, y: y1, width: x2 - x1, height: y2 - y1 })) drawn.setAttribute(name, value);
}

function showPoints({ points, labels }) {
  one("[data-points]").replaceChildren(
    ...points.map((at, n) => {
      const group = document.createElementNS(SVG, "g");
      group.dataset.at = JSON.stringify(at);
      const dot = group.appendChild(document.createElementNS(SVG, "circle"));
      dot.setAttribute("r", "7");
      dot.setAttribute("class", labels[n] ? "point wanted" : "point unwanted");
      const sign = group.appendChild(document.createElementNS(SVG, "path"));
      sign.setAttribute("d", labels[n] ? "M-3.5 0h7M0 -3.5v7" : "M-3.5 0h7");
      sign.setAttribute("class", "point-sign");
      return group;
    }),
  );
}

function setMode(name) {
  mode = name;
  for (const button of all("[data-mode]")) button.setAttribute("aria-checked", String(button.dataset.mode === name));
  stage.dataset.doing = spaceHeld ? "move" : name;
}

// --- pointers --------------------------------------------------------------------------------------------------------

const pointers = new Map();
let gesture = null;

const placeOf = (event) => {
  const { left, top } = stage.getBoundingClientRect();
  return [event.clientX - left - stage.clientLeft, event.clientY - top - stage.clientTop];
};
const inFrame = ([x, y]) => [(x - view.x) / view.scale, (y - view.y) / view.scale];
const clamped = ([x, y]) => [Math.min(width, Math.max(0, x)), Math.min(height, Math.max(0, y))].map((n) => Math.round(100 * n) / 100);
const isInside = ([x, y]) => x >= 0 && y >= 0 && x <= width && y <= height;

stage.addEventListener("pointerdown", (event) => {
  if (event.button > 1) return;
  stage.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, placeOf(event));
  if (pointers.size === 2) {
    gesture = { kind: "pinch", ...spread() };
  } else if (pointers.size === 1) {
    const moves = mode === "move" || spaceHeld || event.button === 1;
    gesture = { kind: moves ? "move" : "press", from: placeOf(event), negative: event.shiftKey || mode === "unwanted", moved: false };
    stage.classList.toggle("dragging", moves);
  }
  stage.focus({ preventScroll: true });
  event.preventDefault();
});

function spread() {
  const [a, b] = [...pointers.values()];
  return { middle: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2], apart: Math.max(1, Math.hypot(a[0] - b[0], a[1] - b[1])) };
}

stage.addEventListener("pointermove", (event) => {
  if (!pointers.has(event.pointerId) || !gesture) return;
  const [before, place] = [pointers.get(event.pointerId), placeOf(event)];
  pointers.set(event.pointerId, place);
  if (gesture.kind === "pinch") {
    const { middle, apart } = spread();
    view = { ...view, x: view.x + middle[0] - gesture.middle[0], y: view.y + middle[1] - gesture.middle[1] };
    zoomAt(...middle, apart / gesture.apart);
    Object.assign(gesture, { middle, apart });
  } else if (gesture.kind === "move") {
    view = { ...view, x: view.x + place[0] - before[0], y: view.y + place[1] - before[1] };
    showView();
  } else {
    gesture.moved ||= Math.hypot(place[0] - gesture.from[0], place[1] - gesture.from[1]) > CLICK_REACH;
    if (gesture.moved) showBox(boxBetween(gesture.from, place));
  }
});

function boxBetween(from, to) {
  const [[ax, ay], [bx, by]] = [from, to].map((place) => clamped(inFrame(place)));
  return [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)];
}

function endPointer(event) {
  if (!pointers.has(event.pointerId)) return;
  const place = placeOf(event);
  pointers.delete(event.pointerId);
  const done = gesture;
  if (done?.kind === "pinch") {
    // The finger that is left does nothing any more.
    if (!pointers.size) gesture = null;
    return;
  }
  gesture = null;
  stage.classList.remove("dragging");
  if (event.type === "pointercancel" || done?.kind !== "press") return show();
  if (done.moved) {
    const box = boxBetween(done.from, place);
    if (box[2] - box[0] < 2 || box[3] - box[1] < 2) return show();
    return push({ box });
  }
  const at = inFrame(done.from);
  if (!isInside(at) || mode === "box") return show();
  addPoint(clamped(at), done.negative ? 0 : 1);
}
for (const name of ["pointerup", "pointercancel"]) stage.addEventListener(name, endPointer);

function addPoint(at, label) {
  const step = now();
  if (step.points.length >= mostPoints) return showToast(word("segment_most_points", { count: mostPoints }), { warn: true });
  if (!label && !isAsked(step)) return tell(word("segment_first_wanted"), true);
  push({ points: [...step.points, at], labels: [...step.labels, label] });
}

stage.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoomAt(...placeOf(event), Math.exp(-event.deltaY * (event.ctrlKey ? 0.01 : 0.0015)));
}, { passive: false });
stage.addEventListener("contextmenu", (event) => event.preventDefault());

// --- accepting -------------------------------------------------------------------------------------------------------

let accepting = false;

/** The candidates and boxes for which the person said that they are meant so. */
const meant = new WeakMap();

/** Send a correction; of one that is unlike its crop the person is asked, once. Null when it was not meant so. */
async function sendOrAsk(chosen, said) {
  const url = `${api}/correction`;
  const sure = meant.get(chosen)?.has(said.detection);
  try {
    return await sendCorrection(url, chosen, sure ? { ...said, sure } : said);
  } catch (error) {
    if (!error.unlike) throw error;
    if (!(await isMeant(error.unlike))) return null;
    meant.set(chosen, (meant.get(chosen) ?? new Set()).add(said.detection));
    return sendCorrection(url, chosen, { ...said, sure: true });
  }
}

function isMeant({ inside, iou }) {
  const sheet = one("[data-unlike-sheet]");
  const percent = (share) => Math.round(100 * share);
  const words = [word("segment_unlike_inside", { inside: percent(inside) })];
  if (iou !== null) words.push(word("segment_unlike_iou", { iou: percent(iou) }));
  one("[data-unlike-told]", sheet).textContent = words.join(" ");
  sheet.returnValue = "";
  sheet.showModal();
  return new Promise((done) => sheet.addEventListener("close", () => done(sheet.returnValue === "sure"), { once: true }));
}

async function accept(kind) {
  const chosen = candidate();
  if (accepting || !chosen?.window) return;
  accepting = true;
  const { window: place, runs } = chosen;
  for (const button of all("[data-accept]")) button.disabled = true;
  try {
    if (kind === "correction") {
      const detection = one("[data-subject]").value;
      const told = await sendOrAsk(chosen, { detection, category: "character", model });
      if (!told) return;
      const taken = told.sealed ? "segment_accepted_sealed" : "segment_accepted";
      const said = word(told.applies ? taken : "segment_unplaced");
      showToast(said, { warn: !told.applies });
      speak(said);
      await refreshCorrections();
    } else {
      const [set, category] = [one("[data-set]"), one("[data-category]")].map((field) => field.value.trim());
      const told = await send(`${api}/annotation`, { window: place, runs, set, category });
      localStorage.setItem(SET, JSON.stringify({ set, category }));
      showToast(word("segment_annotated", { set: told.set, n: told.annotation }));
    }
  } catch (error) {
    showToast(error.message, { warn: true });
  } finally {
    accepting = false;
    show();
  }
}

function useBox() {
  const box = subjects.get(one("[data-subject]").value);
  if (!box) return;
  steps = [EMPTY];
  push({ box: [...clamped(box.slice(0, 2)), ...clamped(box.slice(2))] });
}

function showSubject() {
  for (const box of all("[data-subject-box]")) box.classList.toggle("chosen", box.dataset.subjectBox === one("[data-subject]").value);
}

// --- wiring ----------------------------------------------------------------------------------------------------------

document.addEventListener("click", (event) => {
  const at = (selector) => event.target.closest?.(selector);
  if (at("[data-mode]")) setMode(at("[data-mode]").dataset.mode);
  else if (at("[data-candidate]")) choose(Number(at("[data-candidate]").dataset.candidate));
  else if (at("[data-undo]")) undo();
  else if (at("[data-clear]")) clear();
  else if (at("[data-zoom]")) zoom(at("[data-zoom]").dataset.zoom);
  else if (at("[data-use-box]")) useBox();
  else if (at("[data-accept]")) accept(at("[data-accept]").dataset.accept);
});
one("[data-opacity]").addEventListener("input", () => {
  localStorage.setItem(OPACITY, one("[data-opacity]").value);
  show();
});
one("[data-subject]").addEventListener("change", showSubject);
document.addEventListener("keyup", (event) => {
  if (event.key !== " " || !spaceHeld) return;
  spaceHeld = false;
  setMode(mode);
});
onKeys({
  " ": (event) => {
    if (event.target.closest?.("button, a, input, select")) return false;
    spaceHeld = true;
    setMode(mode);
  },
  "=": () => zoom("in"),
  "ctrl+z": () => undo(),
  Backspace: () => clear(),
  b: () => useBox(),
  a: (event) => void (event.repeat || accept("annotation")),
  Enter: (event) => {
    if (event.target.closest?.("button, a, input, select, summary")) return false;
    if (!event.repeat) accept("correction");
  },
});
new ResizeObserver(() => zoom("fit")).observe(stage);

const keptOpacity = localStorage.getItem(OPACITY);
if (keptOpacity !== null) one("[data-opacity]").value = keptOpacity;
const keptSet = JSON.parse(localStorage.getItem(SET) ?? "null");
if (keptSet) [one("[data-set]").value, one("[data-category]").value] = [keptSet.set, keptSet.category];
stage.style.aspectRatio = `${width} / ${height}`;
setMode("wanted");
zoom("fit");
show();
send(`${api}/open`).then(
  (told) => {
    model = told.model;
    root.dataset.opened = "true";
    if (!now().candidates.length) tell(word("segment_ready", { model, seconds: (told.ms / 1000).toFixed(1) }));
  },
  (error) => tell(error.message, true),
);
