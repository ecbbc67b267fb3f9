// Keys of a page: which handler a key has, when keys are left alone, and the help that `?` opens.

const handlers = new Map();

function leftAlone(event) {
  // keyCode 229: a key that an input method takes, in browsers that do not say isComposing yet.
  if (event.isComposing || event.keyCode === 229 || event.defaultPrevented) return true;
  const target = event.target instanceof Element ? event.target : null;
  if (target?.closest("textarea, select, [contenteditable=''], [contenteditable='true']")) return true;
  const input = target?.closest("input");
  return Boolean(input && !["checkbox", "radio", "button", "submit"].includes(input.type));
}

/**
 * Handlers by `event.key`; one that returns false lets the key pass. They are not called while somebody types, composes
 * with an input method, or holds ctrl, meta or alt. `ctrl+z` is the one name with a modifier.
 */
export function onKeys(table) {
  for (const [key, handler] of Object.entries(table)) handlers.set(key, handler);
}

document.addEventListener("keydown", (event) => {
  if (leftAlone(event) || event.altKey) return;
  const open = document.querySelector("dialog[open]");
  const modified = event.ctrlKey || event.metaKey;
  const key = modified ? `ctrl+${event.key.toLowerCase()}` : event.key;
  if (key === "?") toggleHelp();
  else if (open) return;
  else if (!handlers.has(key) || handlers.get(key)(event) === false) {
    const clicked = modified ? null : document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (!clicked) return;
    clicked.click();
  }
  event.preventDefault();
});

function toggleHelp() {
  const help = document.getElementById("key-help");
  if (help?.open) help.close();
  else help?.showModal();
}

document.addEventListener("click", (event) => {
  if (event.target.closest?.("[data-key-help]")) toggleHelp();
  // A click beside the sheet hits the dialog itself.
  else if (event.target instanceof HTMLDialogElement) event.target.close();
});
