// A mask on a canvas: run lengths, as the server tells them, become pixels with a bright rim.

const COLOUR = [255, 46, 138];
const RIM = [255, 226, 240];
const LONGEST_CANVAS = 4096;

/** Bytes (row by row, 1 inside) of run lengths that go column by column. */
export function pixelsOf({ window: [, , width, height], runs }) {
  const pixels = new Uint8Array(width * height);
  let at = 0;
  runs.forEach((count, turn) => {
    if (turn % 2) for (let n = at; n < at + count; n += 1) pixels[(n % height) * width + Math.floor(n / height)] = 1;
    at += count;
  });
  return pixels;
}

/** Draw a candidate over a frame of `width` x `height`; without one the canvas is emptied. `opacity` from 0 to 1. */
export function drawMask(canvas, width, height, candidate, opacity) {
  const scale = Math.min(1, LONGEST_CANVAS / Math.max(width, height));
  const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, wide, high);
  if (!candidate?.window) return;
  const [x, y, w, h] = candidate.window;
  const inside = pixelsOf(candidate);
  const shown = new ImageData(w, h);
  const alpha = Math.round(255 * opacity);
  for (let row = 0; row < h; row += 1) {
    for (let column = 0; column < w; column += 1) {
      const n = row * w + column;
      if (!inside[n]) continue;
      const rim = !(column && inside[n - 1] && column < w - 1 && inside[n + 1] && row && inside[n - w] && row < h - 1 && inside[n + w]);
      shown.data.set([...(rim ? RIM : COLOUR), rim ? 255 : alpha], 4 * n);
    }
  }
  const part = new OffscreenCanvas(w, h);
  part.getContext("2d").putImageData(shown, 0, 0);
  pen.drawImage(part, x * scale, y * scale, w * scale, h * scale);
}
