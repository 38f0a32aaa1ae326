/* The network of Fig. 1, layer by layer, and the tiles of Fig. 2, on TensorFlow.js and its WebAssembly backend.

Read it beside the figure: `unet` walks down the left side, across, and up the right side. Shapes are (1, H, W, C), as
TensorFlow.js has them. It is the same network as unet_paper/model.py, and tests compare the scores of both. */

(function (page) {
  "use strict";

  const DEPTH = 4; // 2x2 max-poolings
  const STRIDE = 2 ** DEPTH; // input pixels per pixel of the deepest map
  const BORDER = 92; // pixels that the output lacks on every side of the input
  const MARGIN = 60; // a legal input side is a multiple of the stride plus this

  /* Raw scores (1, H - 184, W - 184, 2) of a tile (1, H, W, 1) with legal sides; `layers` in the order of their use. */
  function unet(tile, layers) {
    const remaining = layers.values();
    const next = () => remaining.next().value;

    function twice(x) { // two 3x3 convolutions without padding, each followed by a ReLU: blue arrows
      for (let i = 0; i < 2; i++) {
        const { weight, bias } = next();
        x = tf.fused.conv2d({ x, filter: weight, strides: 1, pad: "valid", bias, activation: "relu" });
      }
      return x;
    }
    function upsample(x) { // 2x2 "up-convolution" that halves the channels: green arrows
      const { weight, bias } = next();
      const [, h, w, c] = x.shape;
      return tf.add(tf.conv2dTranspose(x, weight, [1, 2 * h, 2 * w, c / 2], 2, "valid"), bias);
    }
    function cropped(x, [, h, w]) { // the centre, as large as the other map: grey arrows
      return tf.slice(x, [0, (x.shape[1] - h) / 2, (x.shape[2] - w) / 2, 0], [1, h, w, -1]);
    }

    const skips = [];
    let x = twice(tile); // 64 channels in the paper, 16 in these networks
    for (let level = 0; level < DEPTH; level++) {
      skips.push(x);
      x = twice(tf.maxPool(x, 2, 2, "valid")); // red arrows: half the size, and twice as many channels
    }
    for (let level = 0; level < DEPTH; level++) {
      x = upsample(x);
      x = twice(tf.concat([x, cropped(skips.pop(), x.shape)], 3)); // upsampled channels first
    }
    const { weight, bias } = next();
    return tf.add(tf.conv2d(x, weight, 1, "valid"), bias); // the 1x1 convolution at the end
  }

  /* How an axis of `n` px is cut: the fewest equal tiles of at most `tile` px, outputs starting on the pooling's grid. */
  function tileGrid(n, tile = 572) {
    const count = Math.ceil(n / (Math.floor((tile - 2 * BORDER) / STRIDE) * STRIDE));
    const step = Math.ceil(n / (count * STRIDE)) * STRIDE;
    const starts = [];
    for (let start = 0; start < n; start += step) starts.push(start);
    return { starts, step, size: STRIDE * Math.ceil((step + 2 * BORDER - MARGIN) / STRIDE) + MARGIN };
  }

  /* Which pixel stands at a position of an axis mirrored for ever; the edge pixel is not repeated. */
  function mirrored(position, n) {
    if (n === 1) return 0;
    const period = 2 * (n - 1);
    const inside = ((position % period) + period) % period;
    return Math.min(inside, period - inside);
  }

  /* A window of an image {values, height, width} that continues as its own mirror image on all sides. */
  function mirrorCrop(image, top, left, height, width) {
    const window = new Float32Array(height * width);
    const columns = Int32Array.from({ length: width }, (_, x) => mirrored(left + x, image.width));
    for (let y = 0; y < height; y++) {
      const row = mirrored(top + y, image.height) * image.width;
      for (let x = 0; x < width; x++) window[y * width + x] = image.values[row + columns[x]];
    }
    return window;
  }

  /* Raw scores of a whole image, tile by tile: Float32Array (H, W, 2). `onTile(done, all)` may be slow, and may throw
  to stop the work. */
  async function scores(image, layers, { tile = 572, onTile = async () => {} } = {}) {
    const [rows, columns] = [tileGrid(image.height, tile), tileGrid(image.width, tile)];
    const all = rows.starts.length * columns.starts.length;
    const found = new Float32Array(image.height * image.width * 2);
    let done = 0;
    for (const top of rows.starts) {
      for (const left of columns.starts) {
        await onTile(done++, all);
        const window = mirrorCrop(image, top - BORDER, left - BORDER, rows.size, columns.size);
        const output = tf.tidy(() => unet(tf.tensor4d(window, [1, rows.size, columns.size, 1]), layers));
        copyInto(found, image, output.dataSync(), output.shape[2], { top, left, rows, columns });
        output.dispose();
      }
    }
    return found;
  }

  function copyInto(found, image, values, outputWidth, { top, left, rows, columns }) {
    const height = Math.min(rows.step, image.height - top); // the last tiles may reach beyond the image
    const width = Math.min(columns.step, image.width - left);
    for (let y = 0; y < height; y++) {
      const from = 2 * y * outputWidth;
      found.set(values.subarray(from, from + 2 * width), 2 * ((top + y) * image.width + left));
    }
  }

  /* Softmax over two classes: the probability of class 1, cell. */
  function probabilityOfCell(scores) {
    return Float32Array.from({ length: scores.length / 2 }, (_, i) => 1 / (1 + Math.exp(scores[2 * i] - scores[2 * i + 1])));
  }

  /* Weights arrive as half-precision numbers, one layer behind the other. */
  function layersFrom(bytes, shapes) {
    const values = fromHalf(new Uint16Array(bytes.buffer));
    let at = 0;
    const take = (shape) => tf.tensor(values.slice(at, (at += shape.reduce((a, b) => a * b))), shape);
    return shapes.map(({ weight, bias }) => ({ weight: take(weight), bias: take(bias) }));
  }

  /* float16 -> float32: the same bits moved to their new places, then the exponent's new bias, 127 - 15. */
  function fromHalf(halves) {
    const bits = new Int32Array(halves.length);
    for (let i = 0; i < halves.length; i++) bits[i] = ((halves[i] & 0x8000) << 16) | ((halves[i] & 0x7fff) << 13);
    const values = new Float32Array(bits.buffer);
    for (let i = 0; i < values.length; i++) values[i] *= 2 ** 112;
    return values;
  }

  /* Start WebAssembly from bytes that are here already: from a file:// page no browser would fetch them. */
  async function startWasm(bytes) {
    if (typeof WebAssembly !== "object") {
      throw new Error("This browser has WebAssembly switched off (some lock it in a private or hardened mode).");
    }
    if (!(await tf.env().getAsync("WASM_HAS_SIMD_SUPPORT"))) {
      throw new Error("This browser's WebAssembly is too old: it lacks SIMD, which browsers have since 2021 to 2023.");
    }
    tf.env().set("WASM_HAS_MULTITHREAD_SUPPORT", false); // needs headers that a file does not have
    const address = URL.createObjectURL(new Blob([bytes], { type: "application/wasm" }));
    tf.wasm.setWasmPaths({
      "tfjs-backend-wasm.wasm": address,
      "tfjs-backend-wasm-simd.wasm": address,
      "tfjs-backend-wasm-threaded-simd.wasm": address,
    });
    await tf.setBackend("wasm");
    await tf.ready();
  }

  Object.assign(page, { unet, tileGrid, mirrored, scores, probabilityOfCell, layersFrom, startWasm });
})((window.UNetInPage = window.UNetInPage || {}));
