// What the person says of crops: shown at once, kept in this browser until the server has it on disk, sent again when
// it could not be sent, and followed from other tabs. Which crops are on the screen is not here.

import { word } from "./words.js";
import { showNotice, showToast, speak } from "./messages.js";

const NOTHING = Object.freeze({ value: "", stars: null, note: "", overrules: false });
const FOLLOW_MS = 4000;
const LONGEST_PAUSE_MS = 30000;
const MARKS_PER_REQUEST = 1000;
const HEADERS = { "Content-Type": "application/json", "X-Lora-Assets": "1" };
// Answers after which the same request may succeed: password asked, busy, away, disk full.
const WORTH_TRYING = new Set([401, 403, 408, 421, 425, 429]);
const opened = new Map();

const stateOf = ([value, stars, note, overrules]) => ({ value, stars, note, overrules });

function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function changed(state, mark) {
  if (mark.value === "cleared" && mark.stars === undefined && mark.note === undefined) return NOTHING;
  return {
    value: mark.value === undefined ? state.value : mark.value === "cleared" ? "" : mark.value,
    stars: mark.stars === undefined ? state.stars : mark.stars,
    note: mark.note === undefined ? state.note : mark.note,
    overrules: mark.value === undefined ? state.overrules : false,
  };
}

const same = (a, b) => a.value === b.value && a.stars === b.stars && a.note === b.note;

/** What waits to be saved, oldest first, in localStorage so that a closed tab loses nothing. */
class Waiting {
  #prefix;
  #entries = [];
  #kept = true;

  constructor(tracker) {
    this.#prefix = `lora_assets.waiting.${tracker}.`;
    try {
      const keys = Object.keys(localStorage).filter((key) => key.startsWith(this.#prefix));
      this.#entries = keys.sort().map((key) => JSON.parse(localStorage.getItem(key)));
    } catch {
      this.#kept = false;
    }
  }

  get all() {
    return this.#entries;
  }

  /** False when this browser keeps nothing: then leaving the page would lose what waits. */
  get kept() {
    return this.#kept;
  }

  add(entry) {
    const made = String(Date.now()).padStart(15, "0");
    entry.key = `${this.#prefix}${made}.${String(this.#entries.length).padStart(4, "0")}.${newId().slice(0, 6)}`;
    this.#entries.push(entry);
    try {
      localStorage.setItem(entry.key, JSON.stringify({ ...entry, sent: true }));
    } catch {
      this.#kept = false;
    }
  }

  remove(entry) {
    this.#entries = this.#entries.filter((other) => other !== entry);
    try {
      localStorage.removeItem(entry.key);
    } catch {
      this.#kept = false;
    }
  }
}

export class Verdicts extends EventTarget {
  #url;
  #saved = new Map(); // crop -> state that the server told
  #pending = new Map(); // crop -> state with what waits to be saved
  #waiting;
  #seq = 0;
  #epoch = "";
  #sending = false;
  #failures = 0;
  #timer = 0;
  #channel = null;

  /** The verdicts of the tracker that an element with data-verdicts-url and data-tracker names; one object a page. */
  static of(element) {
    const { verdictsUrl, tracker } = element.dataset;
    if (!opened.has(tracker)) opened.set(tracker, new Verdicts(tracker, verdictsUrl));
    return opened.get(tracker);
  }

  constructor(tracker, url) {
    super();
    this.#url = url;
    this.#waiting = new Waiting(tracker);
    this.#layOver();
    if ("BroadcastChannel" in window) {
      this.#channel = new BroadcastChannel(`lora_assets.verdicts.${tracker}`);
      this.#channel.addEventListener("message", () => this.follow());
    }
    document.addEventListener("visibilitychange", () => document.hidden || this.follow());
    window.addEventListener("online", () => this.send());
    window.addEventListener("beforeunload", (event) => {
      if (this.#waiting.all.length && !this.#waiting.kept) event.preventDefault();
    });
    setInterval(() => document.hidden || this.follow(), FOLLOW_MS);
    this.follow();
    this.send();
  }

  /** What stands of a crop, with what waits to be saved: value ("", good, bad, exclude), stars, note, overrules. */
  get(crop) {
    return this.#pending.get(crop) ?? this.#saved.get(crop) ?? NOTHING;
  }

  /** Lay what waits over what is saved. */
  #layOver() {
    this.#pending = new Map();
    for (const entry of this.#waiting.all) {
      for (const mark of entry.marks ?? []) this.#pending.set(mark.crop, changed(this.get(mark.crop), mark));
    }
  }

  /** How many marks wait to be saved. */
  get waiting() {
    return this.#waiting.all.reduce((sum, entry) => sum + (entry.marks?.length ?? 1), 0);
  }

  /** Say something of crops: `value` (good, bad, exclude, cleared), `stars` (1..5 or null), `note`. One undo takes all back. */
  mark(crops, change) {
    const touched = [...new Set(crops)].filter((crop) => {
      const state = this.get(crop);
      return !same(state, changed(state, change));
    });
    if (!touched.length) return Promise.resolve();
    const id = newId();
    for (let start = 0; start < touched.length; start += MARKS_PER_REQUEST) {
      const marks = touched.slice(start, start + MARKS_PER_REQUEST).map((crop) => ({ crop, ...change }));
      this.#waiting.add({ kind: "mark", id, marks });
    }
    this.#tell(touched);
    return this.send();
  }

  /** Take back the person's last action on this tracker. */
  undo() {
    const last = this.#waiting.all.at(-1);
    if (last?.kind === "mark" && !last.sent) {
      const taken = this.#waiting.all.filter((one) => one.id === last.id && !one.sent);
      for (const entry of taken) this.#waiting.remove(entry);
      const crops = taken.flatMap((entry) => entry.marks.map((mark) => mark.crop));
      this.#tell(crops);
      this.#tellUndone(crops);
      return Promise.resolve();
    }
    this.#waiting.add({ kind: "undo", id: newId() });
    return this.send();
  }

  #tellUndone(crops) {
    showToast(word(crops.length === 1 ? "undone_one" : "undone", { count: crops.length }));
    this.dispatchEvent(new CustomEvent("undone", { detail: crops }));
  }

  /** Send what waits, in order, until it is saved or the server does not take it now. */
  async send() {
    if (this.#sending || !this.#waiting.all.length) return;
    this.#sending = true;
    clearTimeout(this.#timer);
    try {
      // Tabs share what waits: one sends at a time, where the browser can see to it.
      if (navigator.locks) await navigator.locks.request("lora_assets.verdicts", () => this.#sendAll());
      else await this.#sendAll();
    } finally {
      this.#sending = false;
    }
  }

  async #sendAll() {
    while (this.#waiting.all.length) {
      const entry = this.#waiting.all[0];
      entry.sent = true;
      const [status, told] = await this.#post(entry);
      if (status === 200) {
        this.#waiting.remove(entry);
        this.#settle(entry, told);
      } else if (status >= 400 && status < 500 && !WORTH_TRYING.has(status)) {
        this.#waiting.remove(entry);
        this.#tell(entry.marks?.map((mark) => mark.crop) ?? []);
        if (status === 409) showToast(word("nothing_to_undo"));
        else showToast(word("refused", { reason: told.error ?? status }), { warn: true });
      } else {
        this.#tryLater(told.error ?? (status ? `${status}` : word("away")));
        return;
      }
    }
    this.#failures = 0;
    showNotice("waiting", "");
  }

  async #post(entry) {
    const undo = entry.kind === "undo";
    const body = undo ? { request_id: entry.id } : { request_id: entry.id, marks: entry.marks };
    try {
      const answer = await fetch(undo ? `${this.#url}/undo` : this.#url, {
        method: "POST",
        headers: HEADERS,
        body: JSON.stringify(body),
      });
      return [answer.status, await answer.json().catch(() => ({}))];
    } catch {
      return [0, {}];
    }
  }

  #settle(entry, told) {
    const crops = this.#take(told.crops);
    this.#channel?.postMessage("changed");
    if (entry.kind === "undo") {
      this.#tellUndone(crops);
    } else if (crops.length === 1) {
      const { value } = this.get(crops[0]);
      speak(word(value ? `said_${value}` : "said_nothing"));
    } else {
      showToast(word("saved", { count: crops.length }));
    }
  }

  #tryLater(reason) {
    this.#failures += 1;
    const pause = Math.min(LONGEST_PAUSE_MS, 1000 * 2 ** (this.#failures - 1));
    this.#timer = setTimeout(() => this.send(), pause);
    const where = this.#waiting.kept ? "waiting" : "waiting_unkept";
    showNotice("waiting", word(where, { count: this.waiting, reason }), {
      warn: true,
      action: [word("try_now"), () => this.send()],
    });
  }

  /** Ask for what other tabs and commands have said since. */
  async follow() {
    try {
      const answer = await fetch(`${this.#url}?since=${this.#seq}&epoch=${this.#epoch}`);
      const told = await answer.json();
      showNotice("unreadable", answer.ok ? "" : word("unreadable", { reason: told.error }), { warn: true });
      if (!answer.ok) return;
      const gone = told.all ? [...this.#saved.keys()].filter((crop) => !(crop in told.crops)) : [];
      for (const crop of gone) this.#saved.delete(crop);
      this.#seq = told.seq;
      this.#epoch = told.epoch;
      if (gone.length) this.#tell(gone);
      this.#take(told.crops);
    } catch {
      // The server is being restarted: the next look tells.
    }
  }

  #take(crops) {
    const news = Object.entries(crops).filter(([crop, told]) => {
      const before = this.#saved.get(crop) ?? NOTHING;
      const state = stateOf(told);
      this.#saved.set(crop, state);
      return !same(before, state) || before.overrules !== state.overrules;
    });
    this.#tell(news.map(([crop]) => crop));
    return Object.keys(crops);
  }

  #tell(crops) {
    this.#layOver();
    if (crops.length) this.dispatchEvent(new CustomEvent("change", { detail: new Set(crops) }));
  }
}

/** The badge of a verdict, as the macro verdict_mark of parts.html draws it; null when nothing was said. */
export function verdictBadge(state) {
  if (!state.value && !state.stars && !state.note) return null;
  const badge = document.createElement("span");
  badge.className = `verdict verdict-${state.value || "none"}`;
  if (state.value) badge.append(word(`mark_${state.value}`));
  if (state.stars) {
    const stars = badge.appendChild(document.createElement("span"));
    stars.className = "stars";
    stars.append("★".repeat(state.stars));
    stars.setAttribute("role", "img");
    stars.setAttribute("aria-label", word("stars", { count: state.stars }));
  }
  if (state.note) {
    const note = badge.appendChild(document.createElement("span"));
    note.className = "has-note";
    note.append("✎");
    note.title = state.note;
  }
  if (state.overrules) {
    const overrules = badge.appendChild(document.createElement("span"));
    overrules.className = "overrules";
    overrules.append(word("overrules"));
  }
  return badge;
}
