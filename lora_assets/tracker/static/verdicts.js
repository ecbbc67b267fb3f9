// What the person says of crops: shown at once, kept in this browser until the server has it on disk, sent again when
// it could not be sent, and followed from other tabs. Which crops are on the screen is not here.

import { showNotice, showToast, speak } from "./messages.js";
import { KeptQueue, newId } from "./waiting.js";
import { word } from "./words.js";

const NOTHING = Object.freeze({ value: "", stars: null, note: "", overrules: false });
const FOLLOW_MS = 4000;
const LONGEST_PAUSE_MS = 30000;
const MARKS_PER_REQUEST = 1000;
// A dead connection would hold the lock that all tabs share.
const ANSWER_MS = 15_000;
const SLOW_MS = 1000;
const REASONS_TOLD = 3;
const TOO_LARGE = 413;
const HEADERS = { "Content-Type": "application/json", "X-Lora-Assets": "1" };
// Answers below 500 after which the same request may succeed: password asked, busy.
const WORTH_TRYING = new Set([401, 403, 408, 421, 425, 429]);
const opened = new Map();

const stateOf = ([value, stars, note, overrules]) => ({ value, stars, note, overrules });

function changed(state, mark) {
  if (mark.value === "cleared" && mark.stars === undefined && mark.note === undefined) return NOTHING;
  return {
    value: mark.value === undefined ? state.value : mark.value === "cleared" ? "" : mark.value,
    stars: mark.stars === undefined ? state.stars : mark.stars,
    note: mark.note === undefined ? state.note : mark.note,
    overrules: mark.value === undefined ? state.overrules : false,
  };
}

const cropsOf = (entries) => entries.flatMap((entry) => entry.marks ?? []).map((mark) => mark.crop);
const same = (a, b) => a.value === b.value && a.stars === b.stars && a.note === b.note;

export class Verdicts extends EventTarget {
  #url;
  #saved = new Map(); // crop -> state that the server told
  #pending = new Map(); // crop -> state with what waits to be saved
  #tracker;
  #waiting; // to be saved
  #refused; // not taken by the server: the person says whether they are sent again
  #seq = 0;
  #epoch = "";
  #sending = false;
  #holding = false; // the lock, so that no other tab sends
  #following = false;
  #followAgain = false; // something was said while an answer was under way
  #begun = new Set(); // ids of actions of which a part was sent
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
    this.#tracker = tracker;
    this.#waiting = new KeptQueue(`lora_assets.waiting.${tracker}.`);
    this.#refused = new KeptQueue(`lora_assets.refused.${tracker}.`);
    this.#layOver();
    this.#tellRefused();
    if ("BroadcastChannel" in window) {
      this.#channel = new BroadcastChannel(`lora_assets.verdicts.${tracker}`);
      this.#channel.addEventListener("message", () => this.follow());
    }
    document.addEventListener("visibilitychange", () => document.hidden || this.follow());
    window.addEventListener("online", () => this.send());
    window.addEventListener("beforeunload", (event) => {
      if ([this.#waiting, this.#refused].some((queue) => queue.all.length && !queue.kept)) event.preventDefault();
    });
    window.addEventListener("storage", (event) => {
      if (!this.#refused.holds(event.key)) return;
      this.#refused.read();
      this.#tellRefused();
    });
    setInterval(() => document.hidden || this.follow(), FOLLOW_MS);
    this.follow();
    this.send();
  }

  /**
   * What stands of a crop, with what waits to be saved: value ("", good, bad, exclude), stars, note, overrules; `pending`
   * is true until the server has it.
   */
  get(crop) {
    return this.#pending.get(crop) ?? this.#saved.get(crop) ?? NOTHING;
  }

  /** Lay what waits over what is saved. */
  #layOver() {
    this.#pending = new Map();
    for (const entry of this.#waiting.all) {
      for (const mark of entry.marks ?? []) {
        this.#pending.set(mark.crop, { ...changed(this.get(mark.crop), mark), pending: true });
      }
    }
  }

  /** The note of a crop that the server did not take; undefined when there is none. */
  refusedNote(crop) {
    const marks = this.#refused.all.flatMap((entry) => entry.marks);
    return marks.findLast((mark) => mark.crop === crop && mark.note !== undefined)?.note;
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
    const action = this.#waiting.all.filter((one) => one.id === last.id);
    if (last?.kind === "mark" && action.every((one) => !one.sent) && !this.#begun.has(last.id)) return this.#takeBack(action);
    this.#waiting.add({ kind: "undo", id: newId() });
    return this.send();
  }

  /** Take an action that this tab has not sent out of the queue that the tabs share. */
  async #takeBack(action) {
    const key = this.#waiting.newKey();
    const crops = cropsOf(action);
    for (const entry of action) this.#waiting.forget(entry);
    this.#tell(crops);
    this.#tellUndone(crops);
    let begun = false;
    const takeOut = () => {
      for (const entry of action) {
        const now = this.#waiting.now(entry);
        if (now && !now.sent) this.#waiting.remove(entry);
        else if (now) this.#waiting.add(entry, entry.key);
        begun ||= !now || now.sent;
      }
    };
    if (this.#holding) takeOut();
    else await this.#locked(takeOut);
    if (!begun) return;
    // Another tab was faster: the server takes it back.
    this.#waiting.add({ kind: "undo", id: newId() }, key);
    await this.send();
  }

  #tellUndone(crops) {
    showToast(word(crops.length === 1 ? "undone_one" : "undone", { count: crops.length }));
    this.dispatchEvent(new CustomEvent("undone", { detail: crops }));
  }

  /** Tabs share what waits: one sends at a time, where the browser can see to it. */
  #locked(work) {
    return navigator.locks ? navigator.locks.request(`lora_assets.verdicts.${this.#tracker}`, work) : work();
  }

  /** Send what waits, in order, until it is saved or the server does not take it now. */
  async send() {
    if (this.#sending || !this.#waiting.all.length) return;
    this.#sending = true;
    clearTimeout(this.#timer);
    const slow = setTimeout(() => this.#failures || this.#tellWaiting(word("slow")), SLOW_MS);
    let away = false;
    try {
      away = await this.#locked(async () => {
        this.#holding = true;
        try {
          return await this.#sendAll();
        } finally {
          this.#holding = false;
        }
      });
    } finally {
      clearTimeout(slow);
      this.#sending = false;
    }
    // Something may have been said while the lock was given back.
    if (!away) await this.send();
  }

  /** True when the server does not take it now. */
  async #sendAll() {
    while (this.#waiting.all.length) {
      const entry = this.#waiting.all[0];
      if (!this.#waiting.now(entry)) {
        this.#waiting.forget(entry);
        this.#tell(cropsOf([entry]));
        this.follow();
        continue;
      }
      entry.sent = true;
      this.#begun.add(entry.id);
      this.#waiting.write(entry);
      const [status, told] = await this.#post(entry);
      if (status === 200) {
        this.#park(entry, told.refused ?? {});
        this.#waiting.remove(entry);
        this.#settle(entry, told);
      } else if (status === TOO_LARGE && entry.marks?.length > 1) {
        this.#waiting.halve(entry);
      } else if (status >= 400 && status < 500 && !WORTH_TRYING.has(status)) {
        this.#refuse(entry, status, told);
      } else {
        this.#tryLater(told.error ?? (status ? `${status}` : word("away")));
        return true;
      }
    }
    this.#failures = 0;
    showNotice("waiting", "");
    return false;
  }

  #refuse(entry, status, told) {
    const reason = told.error ?? `${status}`;
    if (entry.marks) this.#park(entry, Object.fromEntries(entry.marks.map(({ crop }) => [crop, told.refused?.[crop] ?? reason])));
    this.#waiting.remove(entry);
    this.#tell(cropsOf([entry]));
    if (entry.marks) return;
    if (status === 409) showToast(word("nothing_to_undo"));
    else showToast(word("refused", { reason }), { warn: true });
  }

  /** Keep the marks that the server did not take, with its words, until the person says what becomes of them. */
  #park(entry, reasons) {
    const marks = (entry.marks ?? []).filter(({ crop }) => crop in reasons);
    if (!marks.length) return;
    this.#refused.add({ marks, reasons: [...new Set(marks.map(({ crop }) => reasons[crop]))] });
    this.#tellRefused();
  }

  #tellRefused() {
    const count = this.#refused.marks;
    const reasons = [...new Set(this.#refused.all.flatMap((entry) => entry.reasons))];
    const reason = reasons.slice(0, REASONS_TOLD).join("; ") + (reasons.length > REASONS_TOLD ? "; …" : "");
    const text = count ? word(this.#refused.kept ? "parked" : "parked_unkept", { count, reason }) : "";
    const actions = [
      [word("retry"), () => this.#release(true)],
      [word("drop"), () => this.#release(false)],
    ];
    showNotice("refused", text, { warn: true, actions });
  }

  /** Send the refused marks again, or drop them. */
  #release(again) {
    const entries = this.#refused.all;
    if (again) for (const { marks } of entries) this.#waiting.add({ kind: "mark", id: newId(), marks });
    for (const entry of entries) this.#refused.remove(entry);
    this.#tellRefused();
    this.#tell(cropsOf(entries));
    if (again) this.send();
  }

  async #post(entry) {
    const undo = entry.kind === "undo";
    const body = undo ? { request_id: entry.id } : { request_id: entry.id, marks: entry.marks };
    try {
      const answer = await fetch(undo ? `${this.#url}/undo` : this.#url, {
        method: "POST",
        headers: HEADERS,
        body: JSON.stringify(body),
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      return [answer.status, await answer.json().catch(() => ({}))];
    } catch {
      return [0, {}];
    }
  }

  #settle(entry, told) {
    const crops = this.#take(told.crops);
    // What another tab's news had told already is pending no more.
    this.#tell(cropsOf([entry]));
    this.#channel?.postMessage("changed");
    if (!crops.length) return;
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
    this.#tellWaiting(reason);
  }

  #tellWaiting(reason) {
    const where = this.#waiting.kept ? "waiting" : "waiting_unkept";
    showNotice("waiting", word(where, { count: this.#waiting.marks, reason }), {
      warn: true,
      actions: [[word("try_now"), () => this.send()]],
    });
  }

  /** Ask for what other tabs and commands have said since. */
  async follow() {
    if (this.#following) {
      this.#followAgain = true;
      return;
    }
    this.#following = true;
    this.#followAgain = false;
    try {
      const address = `${this.#url}?since=${this.#seq}&epoch=${this.#epoch}`;
      const answer = await fetch(address, { signal: AbortSignal.timeout(ANSWER_MS) });
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
    } finally {
      this.#following = false;
    }
    if (this.#followAgain) await this.follow();
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
  if (state.pending) {
    badge.classList.add("pending");
    badge.title = word("pending");
  }
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
