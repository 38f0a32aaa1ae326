/* The box "Find cells in an image, in this page": a reader's image goes through a network without leaving the computer.

This file is small and comes with the page. The network's weights, TensorFlow.js and what reads image files come when
the reader asks for them, as scripts beside this one: a page opened as a file may load scripts and nothing else, so
binary data travels in them as text (base64). */

(function (page) {
  "use strict";

  const HERE = document.currentScript.src.replace(/[^/]*$/, "");
  const CODE = ["vendor/image-files.min.js", "images.js", "cells.js", "network.js"];
  const ENGINE = ["vendor/tf-core.es2017.min.js", "vendor/tf-backend-wasm.es2017.min.js", "wasm.js"];
  const FAR = 3; // standard deviations, and times the deviation: further off, images are of another kind
  const OFF = 2; // times larger or smaller than the network's cells: worth a word
  const ELSEWHERE = "The command unet-paper segment needs no browser.";

  const loaded = new Map(); // address -> promise of the script
  const received = new Map(); // name -> what the script of a network or of the engine brought
  const element = (name) => document.getElementById(`unet-${name}`);
  let current = null; // what is shown: {image, network, map, scale}
  let asked = 0; // counts the reader's wishes; work for an older one stops

  /* Called by the scripts that the build writes: binary data under a name, with what belongs to it. */
  page.receive = (name, data) => received.set(name, data);

  function script(path) {
    if (!loaded.has(path)) {
      const arrived = new Promise((resolve, reject) => {
        const failed = `${path} is missing beside this page. "make book" writes it; keep the folder _static with the page.`;
        const tag = Object.assign(document.createElement("script"), { src: HERE + path, async: false });
        tag.onload = resolve;
        tag.onerror = () => {
          loaded.delete(path);
          reject(new Error(failed));
        };
        document.head.append(tag);
      });
      loaded.set(path, arrived);
    }
    return loaded.get(path);
  }

  function bytesOf(base64) {
    const text = atob(base64);
    const bytes = new Uint8Array(text.length);
    for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
    return bytes;
  }

  let engine = null; // promise of a running WebAssembly
  function startEngine() {
    engine = engine || Promise.all([...CODE, ...ENGINE].map(script)).then(() => page.startWasm(bytesOf(received.get("wasm"))));
    engine.catch(() => (engine = null)); // the next wish tries again
    return engine;
  }

  /* A network of the list, ready: {settings, layers, example}. */
  async function network(name) {
    await Promise.all([startEngine(), script(`network-${name}.js`)]);
    const data = received.get(name);
    if (!data.layers) {
      data.layers = page.layersFrom(bytesOf(data.weights), data.shapes);
      delete data.weights;
    }
    return data;
  }

  /* The map of cell at the image's own size: {values, height, width}; the steps of `up.segment`. */
  page.probability = async function (image, name, { diameter = null, onTile, tile } = {}) {
    const { settings, layers } = await network(name);
    if (diameter && !settings.diameter) throw new Error("This network does not say how large its cells are.");
    const scale = diameter ? (settings.scale * settings.diameter) / diameter : settings.scale;
    const grey = page.normalised(image, settings);
    const size = page.scaledSize(grey, scale);
    if (size[0] * size[1] > 25e6) throw new Error(`Resized by ${scale.toPrecision(3)} the image is too large for a page.`);
    let seen = scale === 1 ? grey : page.resized(grey, size);
    if (settings.standardise) seen = page.standardised(seen);
    const scores = await page.scores(seen, layers, { tile, onTile });
    const map = { values: page.probabilityOfCell(scores), height: seen.height, width: seen.width };
    const back = scale === 1 ? map : page.resized(map, [image.height, image.width]);
    const minSize = page.roundedEven((settings.min_size * settings.scale ** 2) / scale ** 2);
    return { map: back, scale, minSize, notes: unlike(grey, settings) };
  };

  page.network = network; // for tests, and for the console
  page.startEngine = startEngine;

  /* The warning of `unet-paper segment`: grey values far from those that the network was trained on. */
  function unlike(grey, { mean, deviation }) {
    if (mean === null || !deviation) return [];
    const own = page.statistics(grey.values);
    const ratio = Math.max(own.deviation, 1e-9) / deviation;
    if (Math.abs(own.mean - mean) <= FAR * deviation && 1 / FAR <= ratio && ratio <= FAR) return [];
    const [ours, its] = [own, { mean, deviation }].map((s) => `mean ${s.mean.toFixed(3)}, deviation ${s.deviation.toFixed(3)}`);
    return [`Your image differs from the network's training images (grey values: ${ours}; there ${its}). Look with care.`];
  }

  function unlikeInSize(rows, { settings, scale }, diameter) {
    if (!settings.diameter || !rows.length || diameter) return [];
    const areas = rows.map((row) => row.area).sort((a, b) => a - b);
    const across = 2 * Math.sqrt(areas[areas.length >> 1] / Math.PI);
    const expected = (settings.diameter * settings.scale) / scale;
    if (across / expected >= 1 / OFF && across / expected <= OFF) return [];
    const [ours, its] = [across, expected].map((d) => d.toFixed(0));
    return [`The cells found are ${ours} px across, the network's were ${its} px. Measure one and state its diameter above.`];
  }

  /* A new wish: what runs for an older one shows nothing any more. */
  function newWish() {
    element("found").hidden = true;
    element("status").classList.remove("failed");
    return ++asked;
  }

  /* From a file's bytes to cells on the canvas. */
  async function segment(buffer, name) {
    const wish = newWish();
    current = null;
    try {
      const chosen = element("network").value;
      await tell("Loading the network …");
      await Promise.all(CODE.map(script));
      const image = await page.readImage(buffer, name);
      if (wish !== asked) return;
      await network(chosen);
      await apply({ image, name, chosen }, wish);
    } catch (error) {
      if (wish === asked) fail(error);
    }
  }

  /* Run the network over an image that was read. */
  async function apply({ image, name, chosen }, wish) {
    const started = performance.now();
    const onTile = async (done, all) => {
      if (wish !== asked) throw new Error("Stopped.");
      element("work").hidden = false;
      Object.assign(element("progress"), { max: all, value: done });
      await tell(`Segmenting ${name}: tile ${done + 1} of ${all} …`);
    };
    const diameter = numberIn("diameter");
    const result = await page.probability(image, chosen, { diameter, onTile });
    if (wish !== asked) return;
    const { settings } = await network(chosen);
    current = { image, name, chosen, settings, diameter, seconds: (performance.now() - started) / 1000, ...result };
    element("work").hidden = true;
    showCells();
  }

  /* Threshold and smallest size need no second run of the network. */
  function showCells() {
    const { image, name, map, minSize, diameter } = current;
    const own = numberIn("size");
    const threshold = numberIn("threshold");
    const cells = page.instances(map, { threshold: threshold === null ? 0.5 : threshold, minSize: own === null ? minSize : own });
    const rows = page.measured(cells, image.values);
    current = { ...current, cells, rows };
    page.draw(element("canvas"), image, cells);
    element("canvas").setAttribute("aria-label", `${name} with ${counted(rows.length)} outlined`);
    element("summary").textContent = summary(rows, own === null ? minSize : own);
    const notes = [...image.notes, ...current.notes, ...unlikeInSize(rows, current, diameter)];
    element("notes").replaceChildren(...notes.map((text) => Object.assign(document.createElement("li"), { textContent: text })));
    element("cells").replaceChildren(...rows.map(tableRow));
    const stem = name.replace(/\.[^.]*$/, "");
    offer("mask", page.asPng(cells), `${stem}_mask.png`);
    offer("csv", new Blob([page.asCsv(stem, rows)], { type: "text/csv" }), `${stem}_cells.csv`);
    element("found").hidden = false;
    tell(`${counted(rows.length)} in ${name} (${image.kind}), ${current.seconds.toFixed(1)} s.`);
  }

  function summary(rows, minSize) {
    if (!rows.length) return `No cell of more than ${minSize} px. A lower threshold or another network may find some.`;
    const areas = rows.map((row) => row.area).sort((a, b) => a - b);
    const all = `median area ${areas[areas.length >> 1]} px, smallest ${areas[0]} px, largest ${areas[areas.length - 1]} px`;
    return `${counted(rows.length)}: ${all}.` + (minSize > 0 ? ` What has ${minSize} px or fewer is left out.` : "");
  }

  const counted = (count) => (count === 1 ? "1 cell" : `${count} cells`);

  function tableRow({ cell, area, row, column }) {
    const line = document.createElement("tr");
    for (const text of [cell, area, row.toFixed(1), column.toFixed(1)]) line.insertCell().textContent = text;
    return line;
  }

  function offer(name, blob, file) {
    const link = element(name);
    if (link.href.startsWith("blob:")) URL.revokeObjectURL(link.href);
    Object.assign(link, { href: URL.createObjectURL(blob), download: file });
  }

  /* Say it, and give the browser a moment to show it before the work goes on. */
  function tell(text) {
    element("status").classList.remove("failed");
    element("status").textContent = text;
    return new Promise((resolve) => setTimeout(resolve, 20));
  }

  function fail(error) {
    console.error(error);
    element("work").hidden = true;
    const isOurs = error.message && /^[A-Z].*\.$/s.test(error.message);
    const text = isOurs ? error.message : `${error.message || error}`;
    const place = text.includes("WebAssembly") ? ` ${ELSEWHERE}` : "";
    tell(text + place);
    element("status").classList.add("failed");
  }

  function numberIn(name) {
    const field = element(name);
    return field.value === "" || !field.checkValidity() ? null : field.valueAsNumber;
  }

  async function takeFiles(files) {
    if (!files.length) return;
    const wish = newWish();
    if (files.length > 1) {
      return fail(new Error(`One image at a time; you gave ${files.length}. The command unet-paper segment takes folders.`));
    }
    const [file] = files;
    try {
      const buffer = await file.arrayBuffer();
      if (wish === asked) await segment(buffer, file.name);
    } catch (error) {
      if (wish === asked) fail(new Error(`${file.name} cannot be opened (${error.message}). Is it a folder, or was it moved?`));
    }
  }

  async function takeExample() {
    const chosen = element("network").value;
    const wish = newWish();
    try {
      await tell("Loading the network …");
      await script(`network-${chosen}.js`);
      if (wish === asked) await segment(bytesOf(received.get(chosen).example).buffer, `generated-${chosen}.png`);
    } catch (error) {
      fail(error);
    }
  }

  /* Another network or diameter: the same image once more. */
  async function again() {
    about();
    if (!current) return;
    const wish = ++asked;
    try {
      await tell("Loading the network …");
      await apply({ ...current, chosen: element("network").value }, wish);
    } catch (error) {
      if (wish === asked) fail(error);
    }
  }

  function about() {
    const { finds, score, licence, megabytes } = page.networks.find(({ name }) => name === element("network").value);
    element("about").textContent = `Finds ${finds}. ${score} Terms: ${licence}. ${megabytes} MB, loaded when you ask for it.`;
  }

  function listen() {
    const drop = element("drop");
    element("file").addEventListener("click", (event) => (event.target.value = "")); // the same file may be taken twice
    element("file").addEventListener("change", (event) => takeFiles(event.target.files));
    element("example").addEventListener("click", takeExample);
    element("stop").addEventListener("click", () => {
      asked++;
      element("work").hidden = true;
      tell("Stopped.");
    });
    for (const name of ["network", "diameter"]) element(name).addEventListener("change", again);
    for (const name of ["threshold", "size"]) element(name).addEventListener("input", () => current && showCells());
    for (const kind of ["dragover", "dragleave", "drop"]) {
      drop.addEventListener(kind, (event) => {
        event.preventDefault();
        drop.classList.toggle("over", kind === "dragover");
        if (kind === "drop") takeFiles(event.dataTransfer.files);
      });
    }
  }

  function begin() {
    if (!page.networks) {
      const text = 'The networks did not come with this page; "make book" writes them into the folder _static.';
      document.getElementById("unet-in-page").append(text);
      return;
    }
    element("network").replaceChildren(...page.networks.map(({ name, title }) => new Option(title, name)));
    document.querySelector("#unet-in-page .controls").hidden = false;
    about();
    listen();
  }

  begin();
})((window.UNetInPage = window.UNetInPage || {}));
