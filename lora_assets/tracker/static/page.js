// Keys and the notice of new results. Every page works without this file.

import { onKeys } from "./keys.js";

function moveInGrid(grid, key) {
  const tiles = [...grid.querySelectorAll("a.tile")];
  if (!tiles.length) return false;
  const here = tiles.indexOf(document.activeElement);
  const top = tiles[0].offsetTop;
  const found = tiles.findIndex((tile) => tile.offsetTop > top);
  const columns = found === -1 ? tiles.length : found;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
  if (step === undefined || (here === -1 && step < 0)) return false;
  if (here === -1 && Math.abs(step) > 1) return false;
  const next = here === -1 ? 0 : here + step;
  if (next < 0 || next >= tiles.length) return false;
  tiles[next].focus();
  tiles[next].scrollIntoView({ block: "nearest" });
  return true;
}

const grid = document.querySelector("ul[data-keys]");
if (grid) {
  const move = (event) => grid.isConnected && moveInGrid(grid, event.key);
  onKeys({ ArrowLeft: move, ArrowRight: move, ArrowUp: move, ArrowDown: move });
}

const notice = document.querySelector("[data-state-url]");
if (notice) {
  const look = async () => {
    if (document.hidden || !notice.hidden) return;
    try {
      const answer = await fetch(notice.dataset.stateUrl);
      if (answer.ok) notice.hidden = (await answer.json()).state === notice.dataset.state;
    } catch {
      // The server is being restarted: the next look tells.
    }
  };
  setInterval(look, 15000);
  // The grid keeps its place over a reload, not over a link.
  notice.querySelector("a").addEventListener("click", (event) => {
    event.preventDefault();
    location.reload();
  });
}
const anchored = location.hash.startsWith("#crop-") && document.getElementById(decodeURIComponent(location.hash.slice(1)));
if (anchored) anchored.querySelector("a").focus();
