// A mask on a canvas: run lengths, as the server tells them, become pixels with a bright rim.

const COLOUR = [255, 46, 138];
const RIM = [255, 226, 240];
const LONGEST_CANVAS = 4096;

/** What each canvas shows, so that a mask is drawn once however often the page is shown anew. */
const drawn = new WeakMap();

/** A colour as one number, in the byte order of this machine. */
const packed = (colour, alpha) => new Uint32Array(new Uint8ClampedArray([...colour, alpha]).buffer)[0];

/** Bytes (row by row, 1 inside) of run lengths that go column by column. */
export function pixelsOf({ window: [, , width, height], runs }) {
  const pixels = new Uint8Array(width * height);
  let at = 0;
  runs.forEach((count, turn) => {
    if (turn % 2) {
      let row = at % height;
      let place = row * width + Math.floor(at / height);
      for (let left = count; left > 0; left -= 1) {
        pixels[place] = 1;
        place += width;
        row += 1;
        if (row < height) continue;
        row = 0;
        place += 1 - width * height;
      }
    }
    at += count;
  });
  return pixels;
}

/** Draw a candidate over a frame of `width` x `height`; without one the canvas is emptied. `opacity` from 0 to 1. */
export function drawMask(canvas, width, height, candidate, opacity) {
  const shown = drawn.get(canvas);
  if (shown && shown.candidate === candidate && (!candidate || shown.opacity === opacity)) return;
  drawn.set(canvas, { candidate, opacity });
  const scale = Math.min(1, LONGEST_CANVAS / Math.max(width, height));
  const [wide, high] = [Math.round(width * scale), Math.round(height * scale)];
  if (canvas.width !== wide || canvas.height !== high) Object.assign(canvas, { width: wide, height: high });
  const pen = canvas.getContext("2d");
  pen.clearRect(0, 0, wide, high);
  if (!candidate?.window) return;
  const [x, y, w, h] = candidate.window;
  const part = new OffscreenCanvas(w, h);
  part.getContext("2d").putImageData(painted(pixelsOf(candidate), w, h, opacity), 0, 0);
  pen.drawImage(part, x * scale, y * scale, w * scale, h * scale);
}

/** The pixels in colour, those next to the outside as a rim that stays whole whatever the opacity. */
function painted(inside, w, h, opacity) {
  const picture = new ImageData(w, h);
  const colours = new Uint32Array(picture.data.buffer);
  const [fill, rim] = [packed(COLOUR, Math.round(255 * opacity)), packed(RIM, 255)];
  for (let row = 0, n = 0; row < h; row += 1) {
    for (let column = 0; column < w; column += 1, n += 1) {
      if (!inside[n]) continue;
      const within = column && column < w - 1 && row && row < h - 1;
      colours[n] = within && inside[n - 1] && inside[n + 1] && inside[n - w] && inside[n + w] ? fill : rim;
    }
  }
  return picture;
}
