// The crops of a tracker's page as data: columns from the server, and which of them are shown once alike crops are folded.

/** One list as `/api/tracker/<ID>/crops` gives it. Rows are numbers; `shown` holds the rows on the page, in order. */
export class CropList {
  #columns;
  #unfolded = new Set();
  #numbers = new Map();
  #places = new Map();

  constructor(columns, folds) {
    this.#columns = columns;
    this.folds = folds && columns.group !== null;
    for (const group of columns.group ?? []) this.#numbers.set(group, (this.#numbers.get(group) ?? 0) + 1);
    this.#show();
  }

  get tag() {
    return this.#columns.tag;
  }

  /** True while the server is still asking the judge; the list is then to be read again. */
  get judgeComing() {
    return this.#columns.judge_coming;
  }

  /** Every crop's id, by row. */
  get crops() {
    return this.#columns.crop;
  }

  /** Why the judge's words are not shown; empty when nothing is wrong. */
  get judgeFault() {
    return this.#columns.judge_fault ?? "";
  }

  #show() {
    const seen = new Set();
    this.shown = [];
    this.#columns.crop.forEach((_, row) => {
      const group = this.#columns.group?.[row] ?? -1;
      if (this.folds && group >= 0 && !this.#unfolded.has(group)) {
        if (seen.has(group)) return;
        seen.add(group);
      }
      this.shown.push(row);
    });
    this.#places = new Map(this.shown.map((row, place) => [this.key(row), place]));
  }

  /** A name of the row that stays when the list is made anew: dataset and box. */
  key(row) {
    return `${this.#columns.datasets[this.#columns.dataset[row]]}-${this.#columns.box[row]}`;
  }

  /** The place on the page of a key, or -1. */
  place(key) {
    return this.#places.get(key) ?? -1;
  }

  /** How many crops the tile of a row stands for. */
  alike(row) {
    const group = this.#columns.group?.[row] ?? -1;
    return this.folds && group >= 0 && !this.#unfolded.has(group) ? this.#numbers.get(group) : 1;
  }

  /** Unfold the group of a row, or fold it again; false when the row is alone. */
  toggleGroup(row) {
    const group = this.#columns.group?.[row] ?? -1;
    if (!this.folds || group < 0) return false;
    if (!this.#unfolded.delete(group)) this.#unfolded.add(group);
    this.#show();
    return true;
  }

  /** True when the row belongs to a group that was unfolded by hand. */
  isUnfolded(row) {
    return this.folds && this.#unfolded.has(this.#columns.group?.[row]);
  }

  tile(row) {
    const columns = this.#columns;
    return {
      row,
      key: this.key(row),
      crop: columns.crop[row],
      box: columns.box[row],
      dataset: columns.datasets[columns.dataset[row]],
      tier: columns.tiers[columns.tier[row]],
      score: columns.score[row] / 1000,
      flags: columns.flags[row].map((place) => columns.flag_names[place]),
      path: columns.path[row],
      pGood: columns.p_good && columns.p_good[row] >= 0 ? columns.p_good[row] / 1000 : null,
      abstained: Boolean(columns.abstained?.[row]),
      alike: this.alike(row),
      unfolded: this.isUnfolded(row),
    };
  }
}
