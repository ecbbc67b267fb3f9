// Bringing verdicts back from a file: sent as it is, taken all or not at all.

import { showNotice } from "./messages.js";
import { word } from "./words.js";

const input = document.querySelector("[data-import-url]");

async function send(file) {
  showNotice("import", word("importing", { name: file.name }));
  try {
    const headers = { "Content-Type": "application/x-ndjson", "X-Lora-Assets": "1" };
    const answer = await fetch(input.dataset.importUrl, { method: "POST", headers, body: file });
    const told = await answer.json().catch(() => ({}));
    if (answer.ok) showNotice("import", word("imported", told));
    else showNotice("import", word("not_imported", { reason: told.error ?? answer.status }), { warn: true });
  } catch {
    showNotice("import", word("not_imported", { reason: word("away") }), { warn: true });
  }
  input.value = "";
}

if (input) {
  document.querySelector("[data-import]").hidden = false;
  input.addEventListener("change", () => input.files.length && send(input.files[0]));
}
