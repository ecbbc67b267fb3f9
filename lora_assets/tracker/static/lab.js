// Adopting a preset, and the keys of the mask lab. Without this file everything but adopting works.

import { onKeys } from "./keys.js";
import { showNotice } from "./messages.js";
import { word } from "./words.js";

const table = document.querySelector("[data-adopt-url]");
const sheet = document.querySelector("[data-adopt-sheet]");

async function adopt(preset, as) {
  const answer = await fetch(table.dataset.adoptUrl, {
    method: "POST",
    headers: { "Content-Type": "application/json", "X-Lora-Assets": "1" },
    body: JSON.stringify({ preset, as }),
  });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(told.error ?? String(answer.status));
  return told;
}

if (table && sheet) {
  const form = sheet.querySelector("[data-adopt-form]");
  const fault = sheet.querySelector("[data-adopt-fault]");
  let chosen = "";
  for (const button of table.querySelectorAll("[data-adopt]")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      chosen = button.dataset.adopt;
      sheet.querySelector("[data-adopt-name]").textContent = chosen;
      form.elements.as.value = "sealed" in table.dataset ? button.dataset.copy : "";
      form.elements.as.placeholder = button.dataset.copy;
      fault.textContent = "";
      sheet.showModal();
    });
  }
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const send = form.querySelector("button");
    send.disabled = true;
    try {
      const told = await adopt(chosen, form.elements.as.value.trim());
      sheet.close();
      const open = [word("lab_open", told), () => location.assign(told.url)];
      showNotice("adopted", word(told.is_new ? "lab_copied" : "lab_adopted", told), { actions: [open] });
    } catch (error) {
      fault.textContent = word("lab_not_adopted", { reason: error.message });
    } finally {
      send.disabled = false;
    }
  });
}

const show = (number) => () => {
  const link = document.querySelector(`[data-kind="${number}"]`);
  if (!link) return false;
  link.click();
  return true;
};
onKeys({ 1: show(1), 2: show(2), 3: show(3), 4: show(4), 5: show(5) });
