// How large a tile? Small ones are mostly border, large ones need memory.
// data: border and stride of the network in px, flop and kept (by input side: work of one tile, bytes that training
// keeps of it), endless (operations per pixel without any border), tile and side to begin with.

interactive.figure("tile_cost", figure => {
  const { border, stride, flop, kept, endless } = figure.data;
  const sizes = Object.keys(flop).map(Number).sort((a, b) => a - b);
  const output = size => size - 2 * border;

  // As unet_paper.overlap_tile.tile_grid: the fewest equal tiles, each starting on the grid of the poolings.
  function grid(n, tile) {
    const largest = Math.floor(output(tile) / stride) * stride;
    const count = Math.ceil(n / largest);
    const step = Math.ceil(n / (count * stride)) * stride;
    return { step, count: Math.ceil(n / step), size: sizes.find(size => output(size) >= step) };
  }

  const plan = figure.drawing("the tiles of the image", 300, 300,
    "The image, cut into equal squares; the first one lies in the larger square that the network must read for it.");
  const smallest = sizes.findIndex(size => output(size) >= 2 * stride);
  const tile = figure.slider({ name: "tile", label: "largest tile", min: smallest, max: sizes.length - 1,
    value: sizes.indexOf(figure.data.tile), says: k => `${sizes[k]} px` });
  const side = figure.slider({ name: "side", label: "image side", min: 128, max: 2048, step: 64,
    value: figure.data.side, says: px => `${px} px` });
  figure.button("the paper's tile", () => { tile.value = sizes.indexOf(figure.data.tile); });

  const square = (from, width, look) =>
    interactive.svg("rect", plan, { x: from, y: from, width, height: width, "stroke-width": 1.6, ...look });

  figure.redraw(() => {
    const n = side.value, { step, count, size } = grid(n, sizes[tile.value]);
    const whole = Math.max(n, count * step) + 2 * border; // with the mirrored surroundings
    const scale = 296 / whole, at = px => 2 + (px + border) * scale;
    plan.replaceChildren();
    square(at(-border), whole * scale, { class: "axis", "stroke-dasharray": "4 3" });
    square(at(0), n * scale, { fill: "var(--quiet)", "fill-opacity": 0.35 });
    square(at(-border), size * scale, { fill: "var(--image)", "fill-opacity": 0.3, stroke: "var(--image)" });
    square(at(0), step * scale, { fill: "var(--label)", "fill-opacity": 0.55, stroke: "var(--label)" });
    for (let k = 0; k <= count; k++) {
      const [start, end, line] = [at(0), at(count * step), at(k * step)];
      interactive.svg("path", plan, { d: `M${line} ${start}V${end}M${start} ${line}H${end}`, stroke: "var(--label)",
        "stroke-width": count > 16 ? 0.6 : 1.6, fill: "none" });
    }
    const tiles = count ** 2, work = tiles * flop[size];
    figure.say("[tiles] tiles of [size] px (blue) for [step] px of output (orange); grey is the image, dashed its mirrored " +
      "surroundings. Every pixel is read [read] times. Work: [gflop] GFLOP, [times] times what a network without borders " +
      "needs. Training stores [megabytes] MB for one tile.", {
      tiles, size, step, read: (tiles * size ** 2 / n ** 2).toFixed(1), gflop: (work / 1e9).toFixed(0),
      times: (work / (endless * n ** 2)).toFixed(2), megabytes: (kept[size] / 1e6).toFixed(0),
    });
  });
});
