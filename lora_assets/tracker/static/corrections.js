// Withdrawing a correction, on the page of a frame and on the list; the part of the page that tells of them is read anew.

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
  if (!answer.ok) throw new Error(found.error ?? `${answer.status}`);
  return found;
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
