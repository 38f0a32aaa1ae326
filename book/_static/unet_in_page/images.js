/* Image files to grey values, and grey values to what a network knows: the rules of unet_paper/own_images.

An image is {values, height, width}, row by row. `full` is the largest value that the file's bits can hold, null for
floats. */

(function (page) {
  "use strict";

  const LUMINANCE = [0.2125, 0.7154, 0.0721]; // how bright red, green and blue look (ITU-R BT.709)
  const SMALL_PART = 0.25; // of a type's range: 12 and 14 bits stored in 16 stay below it
  const PERCENTILES = [1, 99.8]; // dust and dead pixels do not count
  const SAMPLED = 2 ** 20; // pixels that are enough to know an image's percentiles
  const MOST_PIXELS = 25e6; // a browser's memory, and some minutes
  const FIX = "Save it as a grey TIFF or PNG, for example in Fiji.";

  /* Read the bytes of a file: {values, height, width, full, kind, notes}. What it is stands in its first bytes. */
  async function readImage(buffer, name) {
    const readers = [
      { kind: "PNG", begins: [0x89, 0x50, 0x4e, 0x47], read: readPng },
      { kind: "JPEG", begins: [0xff, 0xd8, 0xff], read: readJpeg },
      { kind: "TIFF", begins: [0x49, 0x49, 0x2a, 0], read: readTiff },
      { kind: "TIFF", begins: [0x4d, 0x4d, 0, 0x2a], read: readTiff },
    ];
    const head = new Uint8Array(buffer.slice(0, 4));
    const reader = readers.find(({ begins }) => begins.every((byte, i) => head[i] === byte));
    if (!reader) {
      const big = (head[0] === 0x49 && head[2] === 0x2b) || (head[0] === 0x4d && head[3] === 0x2b);
      const what = big ? "a BigTIFF, which this page cannot read" : buffer.byteLength ? "no TIFF, PNG or JPEG" : "empty";
      throw new Error(`${name} is ${what}. ${FIX}`);
    }
    let picture;
    try {
      picture = await reader.read(buffer);
    } catch (error) {
      throw new Error(`${name} cannot be read as ${reader.kind}: ${error.message || error}. ${FIX}`);
    }
    const { height, width, full } = picture;
    const type = full === null ? "float" : `${Math.round(Math.log2(full + 1))} bits`;
    return { notes: [], ...picture, kind: `${reader.kind}, ${width} × ${height} px, ${type}` };
  }

  async function readPng(buffer) {
    const head = new DataView(buffer);
    checkSize(head.getUint32(20), head.getUint32(16));
    const png = ImageFiles.decodePng(new Uint8Array(buffer));
    if (png.palette || png.depth < 8) return readByCanvas(buffer, "image/png");
    const { height, width, channels } = png;
    return { ...greyOf(png.data, channels, height * width), height, width, full: 2 ** png.depth - 1 };
  }

  async function readJpeg(buffer) {
    const end = new Uint8Array(buffer.slice(-64));
    if (!end.some((byte, i) => byte === 0xff && end[i + 1] === 0xd9)) throw new Error("it is cut, it has no end");
    return readByCanvas(buffer, "image/jpeg");
  }

  async function readByCanvas(buffer, type) {
    const options = { colorSpaceConversion: "none" }; // the numbers of the file, as other programs read them
    const bitmap = await createImageBitmap(new Blob([buffer], { type }), options);
    const { height, width } = bitmap;
    checkSize(height, width);
    const canvas = Object.assign(document.createElement("canvas"), { height, width });
    const context = canvas.getContext("2d");
    context.drawImage(bitmap, 0, 0);
    return { ...greyOf(context.getImageData(0, 0, width, height).data, 4, height * width), height, width, full: 255 };
  }

  function readTiff(buffer) {
    const [head] = ImageFiles.decodeTiff(buffer, { pages: [0], ignoreImageData: true });
    checkSize(head.height, head.width);
    checkTiff(head);
    const [first] = ImageFiles.decodeTiff(buffer, { pages: [0] });
    const { height, width, bitsPerSample: bits } = first;
    const isImageJ = (first.imageDescription || "").startsWith("ImageJ");
    const stated = isImageJ ? Number((first.imageDescription.match(/^images=(\d+)/m) || [0, 1])[1]) : 1;
    const count = Math.max(stated, ImageFiles.pageCount(buffer));
    const notes = count > 1 ? [`The first of ${count} images in the file.`] : [];
    const isPalette = first.type === 3 && !isImageJ; // ImageJ's colours are for display only
    const pixels = isPalette ? Uint16Array.from(Array.from(first.data, (number) => first.palette[number]).flat()) : first.data;
    const grey = greyOf(pixels, isPalette ? 3 : first.samplesPerPixel, height * width);
    const full = isPalette ? 65535 : bits === 32 ? null : 2 ** bits - 1;
    return { values: grey.values, height, width, full, notes: [...notes, ...(grey.notes || [])] };
  }

  /* Refuse what the library would read wrongly without a word, and what nobody can guess. */
  function checkTiff({ bitsPerSample: bits = 1, sampleFormat: format, samplesPerPixel: channels, type, planarConfiguration }) {
    const isKnown = ([8, 16].includes(bits) && format === 1) || (bits === 32 && format === 3);
    if (!isKnown) throw new Error(`its pixels have ${bits} bits (format ${format}); 8 or 16, or floats of 32, can be read`);
    if (channels > 1 && type !== 2) throw new Error(`it holds ${channels} channels that are no colours; save one of them`);
    if (channels > 1 && planarConfiguration === 2) throw new Error(`it holds ${channels} channels one behind the other`);
  }

  function checkSize(height, width) {
    if (height * width > MOST_PIXELS) {
      throw new Error(`it has ${width} × ${height} px, more than a page can hold; the command unet-paper segment can`);
    }
    if (!(height * width > 0)) throw new Error("it has no pixels");
  }

  /* One value per pixel: the only channel, equal colours as they are, else their luminance; transparency is left out. */
  function greyOf(pixels, channels, count) {
    if (pixels.length < count * channels) throw new Error("it is cut, pixels are missing");
    if (channels < 3) return { values: channels === 1 ? pixels : pixels.filter((_, i) => i % channels === 0) };
    const red = pixels.slice(0, count);
    let isGrey = true;
    for (let i = 0; i < count; i++) {
      const at = i * channels;
      red[i] = pixels[at];
      isGrey = isGrey && pixels[at] === pixels[at + 1] && pixels[at] === pixels[at + 2];
    }
    if (isGrey) return { values: red };
    const [r, g, b] = LUMINANCE;
    const bright = (_, i) => r * pixels[i * channels] + g * pixels[i * channels + 1] + b * pixels[i * channels + 2];
    return { values: Float32Array.from({ length: count }, bright), notes: ["A colour picture: its brightness is used."] };
  }

  /* Grey values in [0, 1] as the network's training images had them; `settings` are those of its card. */
  function normalised(image, settings) {
    const { values, height, width, full } = image;
    const [low, high] = extremes(values);
    if (!Number.isFinite(low + high)) throw new Error("The image holds values that are no numbers; replace them first.");
    const isSmall = high - low < SMALL_PART * (full === null ? 1 : full);
    const outside = low < 0 || (full === null && high > 1);
    const how = settings.normalise === "none" && (isSmall || outside) ? "percentile" : settings.normalise;
    if (how === "none") return { how, height, width, values: Float32Array.from(values, (v) => v / (full || 1)) };
    const [black, white] = how === "range" ? [0, 1] : [settings.black, settings.white];
    const [from, to] = how === "range" ? [low, high] : percentiles(image, PERCENTILES);
    const factor = to > from ? Math.fround((white - black) / (to - from)) : 0;
    const unit = (v) => Math.min(1, Math.max(0, black + (v - from) * factor));
    return { how, height, width, values: Float32Array.from(values, unit) };
  }

  function extremes(values) {
    let [low, high] = [Infinity, -Infinity];
    for (const value of values) {
      if (!(value >= low)) low = value; // NaN too, and it stays
      if (!(value <= high)) high = value;
    }
    return [low, high];
  }

  /* Percentiles as numpy's: linear between the two nearest of the sorted values, of a part of a large image. */
  function percentiles({ values, height, width }, wanted) {
    const step = Math.max(1, Math.floor(Math.sqrt((height * width) / SAMPLED)));
    const sample = new Float32Array(Math.ceil(height / step) * Math.ceil(width / step));
    let count = 0;
    for (let y = 0; y < height; y += step) {
      for (let x = 0; x < width; x += step) sample[count++] = values[y * width + x];
    }
    sample.sort();
    return wanted.map((percent) => {
      const position = (percent / 100) * (count - 1);
      const below = Math.floor(position);
      const above = Math.min(below + 1, count - 1);
      return sample[below] + (position - below) * (sample[above] - sample[below]);
    });
  }

  /* Mean and standard deviation. */
  function statistics(values) {
    let [sum, squares] = [0, 0];
    for (const value of values) sum += value;
    const mean = sum / values.length;
    for (const value of values) squares += (value - mean) ** 2;
    return { mean, deviation: Math.sqrt(squares / values.length) };
  }

  function standardised(image) {
    const { mean, deviation } = statistics(image.values);
    if (deviation === 0) throw new Error("The image has one and the same grey value everywhere.");
    return { ...image, values: image.values.map((v) => (v - mean) / deviation) };
  }

  /* Sides of an image after resizing by `scale`, rounded as Python does: halves to the even number. */
  function scaledSize({ height, width }, scale) {
    return [height, width].map((side) => Math.max(1, roundedEven(side * scale)));
  }

  function roundedEven(x) {
    const below = Math.floor(x);
    return x - below === 0.5 ? below + (below % 2) : Math.round(x);
  }

  /* Linear interpolation, averaging over what a smaller pixel covers: PyTorch's interpolate(antialias=True). */
  function resized(image, [height, width]) {
    const across = resizedRows(image, width);
    const turned = transposed(resizedRows(transposed(across), height));
    return { height, width, values: turned.values };
  }

  function resizedRows({ values, height, width }, wanted) {
    const result = new Float32Array(height * wanted);
    const scale = width / wanted;
    const support = Math.max(scale, 1); // of the triangle, in px of the image
    for (let x = 0; x < wanted; x++) {
      const centre = scale * (x + 0.5);
      const first = Math.max(Math.trunc(centre - support + 0.5), 0);
      const last = Math.min(Math.trunc(centre + support + 0.5), width);
      const weights = [];
      for (let j = first; j < last; j++) weights.push(Math.max(0, 1 - Math.abs(j - centre + 0.5) / support));
      const total = weights.reduce((a, b) => a + b);
      for (let y = 0; y < height; y++) {
        let sum = 0;
        for (let j = first; j < last; j++) sum += weights[j - first] * values[y * width + j];
        result[y * wanted + x] = sum / total;
      }
    }
    return { values: result, height, width: wanted };
  }

  function transposed({ values, height, width }) {
    const result = new Float32Array(values.length);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) result[x * height + y] = values[y * width + x];
    }
    return { values: result, height: width, width: height };
  }

  Object.assign(page, { readImage, normalised, percentiles, statistics, standardised, scaledSize, roundedEven, resized });
})((window.UNetInPage = window.UNetInPage || {}));
