// The labels that scripts show, in the language of the page.

const words = JSON.parse(document.getElementById("words").dataset.words);

/** The text of a label `script.<name>`, with `{}` places filled by name. */
export function word(name, values = {}) {
  if (!(name in words)) throw new Error(`label script.${name} is missing`);
  const written = (value) => (typeof value === "number" ? value.toLocaleString("en") : String(value));
  return words[name].replace(/\{(\w+)\}/g, (_, key) => written(values[key]));
}
