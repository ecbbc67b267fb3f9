// Keys of the page of two trackers side by side: from pair to pair, to a crop, to its cause. It works without this file.

import { onKeys } from "./keys.js";

const pairs = [...document.querySelectorAll("[data-pairs] > li")];
let here = -1;

function current() {
  const focused = pairs.findIndex((pair) => pair.contains(document.activeElement));
  return focused === -1 ? here : focused;
}

function go(step) {
  const next = Math.min(Math.max(current() + step, 0), pairs.length - 1);
  if (!pairs[next]) return false;
  here = next;
  pairs[next].focus({ preventScroll: true });
  pairs[next].scrollIntoView({ block: "nearest" });
  return true;
}

/** Follow the first of these links of the current pair that there is. */
function follow(...selectors) {
  const pair = pairs[current()];
  const link = pair && selectors.map((selector) => pair.querySelector(selector)).find(Boolean);
  if (!link) return false;
  link.click();
  return true;
}

const BEFORE = ".halves > a.half:first-child";
const AFTER = ".halves > a.half:last-child";

onKeys({
  j: () => go(1),
  k: () => go(-1),
  ArrowRight: () => go(1),
  ArrowLeft: () => go(-1),
  // A link that has the focus is followed by the browser itself.
  Enter: () => document.activeElement?.closest("a, button, summary") === null && follow(AFTER, BEFORE),
  b: () => follow(BEFORE),
  c: () => follow(".pair-cause"),
});

for (const button of document.querySelectorAll("[data-key-help]")) button.hidden = false;
