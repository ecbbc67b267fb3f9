// One crop as a tile of the grid: made from a row of the list by the template that the server drew.

import { verdictBadge } from "./verdicts.js";
import { word } from "./words.js";

// Cut off, not rounded: 0.499 is low, and 0.50 would look like medium.
const written = (score) => (Math.floor(score * 100 + 1e-6) / 100).toFixed(2);

export class Tiles {
  #template;
  #tracker;
  #query;
  #words;
  #verdicts;

  /** `place` is the server's grid: it names the tracker, the query of its links, and the words of tiers and flags. */
  constructor(place, verdicts) {
    this.#template = document.getElementById("tile-template").content.firstElementChild;
    this.#tracker = place.dataset.trackerUrl;
    this.#query = place.dataset.query;
    this.#words = JSON.parse(place.dataset.names);
    this.#verdicts = verdicts;
  }

  /** The element of a tile, as CropList.tile tells it. */
  make(told) {
    const tile = this.#template.cloneNode(true);
    const part = (name) => tile.querySelector(`[data-part=${name}]`);
    tile.dataset.tile = told.key;
    tile.dataset.crop = told.crop;
    tile.id = `crop-${told.key}`;
    tile.classList.add(`edge-${told.tier}`);
    tile.title = told.path;
    const query = new URLSearchParams(this.#query);
    query.set("in", told.dataset);
    query.set("box", told.box);
    part("link").href = `${this.#tracker}/crop/${told.crop}?${query}`;
    part("picture").alt = told.path;
    part("picture").src = `${this.#tracker}/thumb/${told.crop}.webp`;
    part("tier").textContent = this.#words.tier[told.tier];
    part("tier").className = `tier tier-${told.tier}`;
    part("score").textContent = written(told.score);
    this.#showJudge(part("judge"), told);
    this.#showFlags(part("flags"), told.flags);
    this.#showAlike(part("alike"), told);
    this.showVerdict(tile);
    return tile;
  }

  #showJudge(element, { pGood, abstained }) {
    if (pGood === null) {
      element.remove();
      return;
    }
    element.textContent = `${Math.round(100 * pGood)} %`;
    element.title = word(abstained ? "judge_unsure" : "judge");
    element.classList.toggle("unsure", abstained);
  }

  /** The word of a flag; its own name for one that came after the page was made. */
  #flag(name) {
    return this.#words.flag[name] ?? name.replaceAll("_", " ");
  }

  #showFlags(element, flags) {
    for (const flag of flags) {
      const chip = element.appendChild(document.createElement("span"));
      chip.className = "flag";
      chip.append(this.#flag(flag));
    }
    element.title = flags.map((flag) => this.#flag(flag)).join(", ");
    if (flags.length) return;
    const none = element.appendChild(document.createElement("span"));
    none.className = "none";
    none.append(word("no_flags"));
  }

  #showAlike(element, { alike, unfolded }) {
    if (alike < 2 && !unfolded) {
      element.remove();
      return;
    }
    element.textContent = unfolded ? "−" : `+${alike - 1}`;
    element.title = word(unfolded ? "fold" : "unfold", { count: alike - 1 });
    element.setAttribute("aria-label", element.title);
  }

  /** Draw the verdict of a tile as it stands now. */
  showVerdict(tile) {
    const state = this.#verdicts.get(tile.dataset.crop);
    const badge = verdictBadge(state);
    tile.querySelector("[data-part=verdict]").replaceChildren(...(badge ? [badge] : []));
    tile.dataset.verdict = state.value;
  }
}
