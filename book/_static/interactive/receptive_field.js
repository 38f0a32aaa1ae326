// What does one output pixel see? Its range of positions is followed back through the network, layer by layer.
// data: image (n x n), output (side of the score map), skips (for each level: how many positions the crop takes off each
// side of the copied map), pixel (row, column to begin with).

interactive.figure("receptive_field", figure => {
  const { image, output, skips } = figure.data;
  const n = image.shape[0], depth = skips.length;

  // The positions [first, last] that count, one axis, at the end of each contracting level and in the image.
  const convolutions = ([first, last]) => [first, last + 4]; // two unpadded 3x3
  const join = (a, b) => [Math.min(a[0], b[0]), Math.max(a[1], b[1])];
  function followed(at) {
    const levels = [];
    let range = [at, at];
    for (let level = 0; level < depth; level++) { // down the expansive path
      range = convolutions(range); // in the joined map
      levels[level] = range.map(i => i + skips[level]); // what is copied from the other side
      range = range.map(i => i >> 1); // up-convolution: two positions come from one
    }
    levels[depth] = range;
    for (let level = depth; level > 0; level--) { // and up the contracting one
      const [first, last] = convolutions(levels[level]);
      levels[level - 1] = join(levels[level - 1], [2 * first, 2 * last + 1]); // a pooled position reads two
    }
    return { levels, image: convolutions(levels[0]) };
  }
  // How much of the image one position at the end of each contracting level sees, px.
  const sees = [5];
  for (let level = 1; level <= depth; level++) sees[level] = sees[level - 1] + 2 ** (level - 1) + 4 * 2 ** level;

  const border = (n - output) / 2;
  const view = figure.picture("the image, and what counts of it", n, n,
    "An image; a frame round the pixels that one output pixel depends on; dots where positions of a level lie.");
  view.frame.classList.add("points");
  view.box.classList.add("large");
  interactive.pointer(view.frame, (x, y) => {
    const inside = share => Math.min(Math.max(Math.floor(share * n) - border, 0), output - 1);
    column.value = inside(x);
    row.value = inside(y);
    draw();
  });
  const level = figure.slider({ name: "level", label: "level", min: 0, max: depth, value: depth,
    says: k => (k === depth ? "bottom" : k === 0 ? "top" : `${k} down`) });
  const column = figure.slider({ name: "column", label: "pixel: column", min: 0, max: output - 1, value: figure.data.pixel[1] });
  const row = figure.slider({ name: "row", label: "pixel: row", min: 0, max: output - 1, value: figure.data.pixel[0] });

  const lines = { fill: "none", "stroke-width": 1.6 };
  interactive.svg("rect", view.overlay, { ...lines, stroke: "#ffffff", "stroke-dasharray": "4 3", x: border, y: border,
    width: output, height: output });
  const frame = interactive.svg("rect", view.overlay, { ...lines, stroke: "var(--label)" });
  const dots = interactive.svg("g", view.overlay, { fill: "var(--light)" });
  const one = interactive.svg("rect", view.overlay, { ...lines, stroke: "var(--light)" });
  const target = interactive.svg("rect", view.overlay, { width: 3, height: 3, fill: "var(--error)" });
  const place = (rect, x, y, width, height) =>
    Object.entries({ x, y, width, height }).forEach(([name, value]) => rect.setAttribute(name, value));

  function draw() {
    const across = followed(column.value), down = followed(row.value), k = level.value;
    const inside = i => {
      const x = i % n, y = (i - x) / n;
      return x >= across.image[0] && x <= across.image[1] && y >= down.image[0] && y <= down.image[1];
    };
    view.paint(i => (inside(i) ? [image[i], image[i], image[i]] : Array(3).fill(0.35 * image[i])));
    const side = ([first, last]) => last - first + 1;
    place(frame, across.image[0], down.image[0], side(across.image), side(down.image));
    place(target, border + column.value - 1, border + row.value - 1, 3, 3);
    const [left, right] = across.levels[k], [top, bottom] = down.levels[k];
    place(one, left * 2 ** k, top * 2 ** k, sees[k], sees[k]);
    dots.replaceChildren();
    const size = Math.max(0.35, 0.18 * 2 ** k);
    const centre = i => i * 2 ** k + sees[k] / 2;
    for (let y = top; y <= bottom; y++)
      for (let x = left; x <= right; x++)
        interactive.svg("circle", dots, { cx: centre(x), cy: centre(y), r: size });
    figure.say("At this level [rows] × [columns] positions count (blue dots), [apart] px apart; each sees [sees] px of the " +
      "image (blue frame, the first one). Together: [height] × [width] px (orange).", {
      rows: side(down.levels[k]), columns: side(across.levels[k]), apart: 2 ** k, sees: sees[k],
      height: side(down.image), width: side(across.image),
    });
  }
  figure.redraw(draw);
});
