// Queues of what the person said, kept in this browser so that a closed tab loses nothing, and shared by its tabs.

export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Entries in the order in which they were made. Another tab may send or take back what this one has read. */
export class KeptQueue {
  #prefix;
  #entries = [];
  #kept = true;

  constructor(prefix) {
    this.#prefix = prefix;
    this.read();
  }

  /** Read anew what the tabs of this browser have kept. */
  read() {
    try {
      const keys = Object.keys(localStorage).filter((key) => key.startsWith(this.#prefix));
      this.#entries = keys.sort().map((key) => {
        // Whether parts of an earlier page's action were sent is not known: only the server can take it back.
        return { ...JSON.parse(localStorage.getItem(key)), key, stored: true, sent: true };
      });
    } catch {
      this.#kept = false;
    }
  }

  get all() {
    return this.#entries;
  }

  /** False when this browser keeps nothing: then leaving the page would lose what is here. */
  get kept() {
    return this.#kept;
  }

  get marks() {
    return this.#entries.reduce((sum, entry) => sum + (entry.marks?.length ?? 1), 0);
  }

  holds(key) {
    return key === null || key.startsWith(this.#prefix);
  }

  newKey() {
    const made = String(Date.now()).padStart(15, "0");
    return `${this.#prefix}${made}.${String(this.#entries.length).padStart(4, "0")}.${newId().slice(0, 6)}`;
  }

  /** Put an entry at the place of its key, which is the end for a new one. */
  add(entry, key = this.newKey()) {
    entry.key = key;
    this.#entries = [...this.#entries, entry].sort((a, b) => (a.key < b.key ? -1 : 1));
    this.write(entry);
  }

  write(entry) {
    try {
      localStorage.setItem(entry.key, JSON.stringify(entry));
      entry.stored = true;
    } catch {
      this.#kept = false;
    }
  }

  /** Leave an entry to the other tabs. */
  forget(entry) {
    this.#entries = this.#entries.filter((other) => other !== entry);
  }

  remove(entry) {
    this.forget(entry);
    try {
      localStorage.removeItem(entry.key);
    } catch {
      this.#kept = false;
    }
  }

  /** Two entries of half the marks in place of one; their keys sort where the whole one was. */
  halve(entry) {
    const middle = Math.ceil(entry.marks.length / 2);
    this.add({ ...entry, marks: entry.marks.slice(0, middle) }, `${entry.key}a`);
    this.add({ ...entry, marks: entry.marks.slice(middle) }, `${entry.key}b`);
    this.remove(entry);
  }

  /** What the tabs have kept of an entry now; null when one of them has sent it or taken it back. */
  now(entry) {
    if (!entry.stored) return entry;
    try {
      return JSON.parse(localStorage.getItem(entry.key));
    } catch {
      return entry;
    }
  }
}
