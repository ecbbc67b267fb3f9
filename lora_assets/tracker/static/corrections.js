// Sending a correction and withdrawing one, on the page of a frame and on the list; the part of the page that tells of them is read anew.

import { showToast, speak } from "./messages.js";
import { word } from "./words.js";

const HEADERS = { "Content-Type": "application/json", "X-Lora-Assets": "1" };

/** Send a JSON object to this server; the answer as an object, or an error with the server's words. */
export async function send(url, told = {}) {
  let answer;
  try {
    answer = await fetch(url, { method: "POST", headers: HEADERS, body: JSON.stringify(told) });
  } catch {
    throw new Error(word("segment_offline"));
  }
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw Object.assign(new Error(found.error ?? `${answer.status}`), { unlike: found.unlike });
  return found;
}

const requestId = () => [...crypto.getRandomValues(new Uint8Array(12))].map((byte) => byte.toString(16).padStart(2, "0")).join("");

/** The ids under which a candidate was sent, by what was said of it: sent twice as the same, it counts once. */
const requestIds = new WeakMap();

/** Send a candidate as a correction; `said` is its detection, category and model, and `sure` where the person was asked.
    One that is unlike its crop is thrown back with `unlike`. */
export async function sendCorrection(url, candidate, said) {
  const ids = requestIds.get(candidate) ?? new Map();
  requestIds.set(candidate, ids);
  const key = JSON.stringify(said);
  if (!ids.has(key)) ids.set(key, requestId());
  const told = await send(url, { request_id: ids.get(key), window: candidate.window, runs: candidate.runs, ...said });
  if (!told.withdrawn_at) return told;
  // Accepted before and withdrawn since: now it is wanted again, as a new one.
  ids.delete(key);
  return sendCorrection(url, candidate, said);
}

/** Show the corrections as they are now. */
export async function refreshCorrections() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const selector of ["#corrections", ".heading .range:not(.path)"]) {
    const fresh = page.querySelector(selector);
    if (fresh) document.querySelector(selector)?.replaceWith(fresh);
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("[data-withdraw]");
  if (!button) return;
  button.disabled = true;
  try {
    await send(document.querySelector("[data-withdraw-url]").dataset.withdrawUrl, { id: button.dataset.withdraw });
    showToast(word("segment_withdrawn"));
    speak(word("segment_withdrawn"));
  } catch (error) {
    showToast(error.message, { warn: true });
  }
  await refreshCorrections().catch(() => location.reload());
});
