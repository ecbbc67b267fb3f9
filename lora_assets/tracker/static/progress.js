// A tracker that is being made: its bars move, and finished crops are announced. The page works without this file.

import { word } from "./words.js";

const OFTEN_MS = 1000;
const SELDOM_MS = 10_000;
const AFTER_A_FAULT_MS = 5000;
const ANSWER_MS = 15_000;

const shape = (cells) => JSON.stringify(cells.map((cell) => [cell.dataset, cell.error, cell.stopped, cell.stages.map((one) => one.stage)]));
let shown = "";

function fill(section, told) {
  for (const cell of told.cells) {
    const block = section.querySelector(`[data-dataset="${CSS.escape(cell.dataset)}"]`);
    for (const stage of cell.stages) {
      const line = block.querySelector(`[data-stage-bar="${CSS.escape(stage.stage)}"]`);
      line.dataset.status = stage.status;
      line.querySelector(".fill").setAttribute("width", stage.percent);
      line.querySelector(".stage-text").textContent = stage.text;
    }
  }
}

/** Draw parts of the page anew as the server has them now. */
async function redraw(...selectors) {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, signal: AbortSignal.timeout(ANSWER_MS) });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const selector of selectors) {
    const [before, after] = [document, page].map((where) => where.querySelector(selector));
    if (!before || !after || before.contains(document.activeElement)) continue;
    before.replaceChildren(...after.cloneNode(true).childNodes);
    before.hidden = after.hidden;
  }
}

/** New crops: the grid takes them in and keeps its place; a page without it offers to be loaded anew. */
async function announce(section, told) {
  const notice = document.querySelector("[data-state-url]");
  if (!notice || told.state === section.dataset.state) return;
  if (!document.dispatchEvent(new CustomEvent("tracker:changed", { cancelable: true }))) {
    section.dataset.state = notice.dataset.state = told.state;
    section.dataset.crops = told.crops;
    notice.hidden = true;
    await redraw(".overview", ".tabs");
    return;
  }
  const count = told.crops - Number(section.dataset.crops);
  if (count > 0) notice.firstChild.textContent = `${word("progress_new", { count })} `;
  notice.hidden = false;
}

async function look() {
  const section = document.getElementById("progress");
  let pause = AFTER_A_FAULT_MS;
  try {
    const answer = document.hidden ? null : await fetch(section.dataset.progressUrl, { signal: AbortSignal.timeout(ANSWER_MS) });
    if (answer?.ok) {
      const told = await answer.json();
      const now = shape(told.cells);
      if (now !== shown && (shown || told.cells.length !== section.querySelectorAll("[data-dataset]").length)) await redraw("#progress");
      shown = now;
      fill(section, told);
      await announce(section, told);
      pause = told.under_way ? OFTEN_MS : SELDOM_MS;
    }
  } catch {
    // The server is being restarted, or the lines are drawn anew: the next look tells.
  }
  setTimeout(look, pause);
}

if (document.getElementById("progress")) look();
