// Keys, overlay toggles and the notice of new results. Every page works without this file.

const typing = (target) => target.closest("input, textarea, select, [contenteditable]") !== null;
const layerKey = (name) => `lora_assets.hide.${name}`;

function showLayer(name, shown) {
  for (const layer of document.querySelectorAll(`[data-layer="${name}"]`)) layer.classList.toggle("off", !shown);
  for (const button of document.querySelectorAll(`[data-toggle="${name}"]`)) {
    button.setAttribute("aria-pressed", String(shown));
  }
}

for (const button of document.querySelectorAll("[data-toggle]")) {
  const name = button.dataset.toggle;
  showLayer(name, sessionStorage.getItem(layerKey(name)) === null);
  button.addEventListener("click", () => {
    const shown = button.getAttribute("aria-pressed") !== "true";
    if (shown) sessionStorage.removeItem(layerKey(name));
    else sessionStorage.setItem(layerKey(name), "1");
    showLayer(name, shown);
  });
}

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

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || typing(event.target)) return;
  const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
  const grid = document.querySelector("[data-keys]");
  if (target) target.click();
  else if (!grid || !moveInGrid(grid, event.key)) return;
  event.preventDefault();
});


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
}
const anchored = location.hash.startsWith("#crop-") && document.getElementById(decodeURIComponent(location.hash.slice(1)));
if (anchored) anchored.querySelector("a").focus();
