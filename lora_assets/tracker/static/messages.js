// What scripts tell the person: lasting notices, toasts that go by themselves, and words for screen readers only.

const TOAST_MS = 5000;
const notices = new Map();
let toastTimer = 0;

function region(id, className, role) {
  let found = document.getElementById(id);
  if (!found) {
    found = document.body.appendChild(document.createElement("div"));
    found.id = id;
    found.className = className;
    found.setAttribute("role", role);
  }
  return found;
}

const board = () => region("messages", "messages", "status");

function messageLine(text, { warn = false, actions = [] } = {}) {
  const line = document.createElement("p");
  line.className = warn ? "message warn" : "message";
  line.append(document.createElement("bdi"));
  line.firstChild.append(text);
  for (const [label, act] of actions) {
    const button = line.appendChild(document.createElement("button"));
    button.type = "button";
    button.append(label);
    button.addEventListener("click", act);
  }
  return line;
}

/** A notice that stays under its name until it is told anew; an empty text takes it away. */
export function showNotice(name, text, options = {}) {
  if (notices.get(name)?.text === text || (!text && !notices.has(name))) return;
  notices.get(name)?.line.remove();
  notices.delete(name);
  if (!text) return;
  const line = messageLine(text, options);
  notices.set(name, { text, line });
  board().append(line);
}

/** A short word that goes by itself. */
export function showToast(text, options = {}) {
  clearTimeout(toastTimer);
  document.querySelector(".message.toast")?.remove();
  const line = messageLine(text, options);
  line.classList.add("toast");
  board().append(line);
  toastTimer = setTimeout(() => line.remove(), options.warn ? 3 * TOAST_MS : TOAST_MS);
}

/** Said to screen readers only. */
export function speak(text) {
  region("spoken", "unseen", "status").textContent = text;
}
