// Eq. 2 on a real gap: w = w_c + w0 exp(-(d1 + d2)^2 / (2 sigma^2)).
// data: image, kind (0 background, 1 cell, 2 not annotated), d1 and d2 in hundredths of a px, balance (w_c of
// background and cell), palette (256 colours), w0 and sigma to begin with.

interactive.figure("weight_gap", figure => {
  const { image, kind, d1, d2, balance, palette, paper } = figure.data;
  const [height, width] = image.shape, brightest = 12; // of the colours; what is heavier looks the same

  const cells = figure.picture("annotated cells", width, height, "A piece of the image; cells are tinted blue.");
  const map = figure.picture("weight w", width, height, "The weight of every pixel, bright where cells are close.");

  // The scale of the colours; the root shows small weights, too.
  const colour = w => {
    const step = Math.min(255, Math.round(255 * Math.sqrt(w / brightest)));
    return palette.subarray(3 * step, 3 * step + 3);
  };
  figure.row();
  const scale = figure.drawing("", 300, 34, "Colours of the weights, from black for 0 to pale yellow for 12 and more.");
  for (let x = 0; x < 260; x += 4)
    interactive.svg("rect", scale, { x: x + 20, width: 4.5, height: 12, fill: `rgb(${colour(brightest * ((x + 2) / 260) ** 2)})` });
  for (const w of [0, 1, 3, 6, 12])
    interactive.svg("text", scale, { x: 20 + 260 * Math.sqrt(w / brightest), y: 29, "text-anchor": "middle", "font-size": 14 }, w);

  const w0 = figure.slider({ name: "w0", label: "height w₀", min: 0, max: 20, step: 0.5, value: paper.w0 });
  const sigma = figure.slider(
    { name: "sigma", label: "width σ", min: 1, max: 15, step: 0.5, value: paper.sigma, says: px => `${px} px` });
  const column = figure.slider({ name: "column", label: "pixel: column", min: 0, max: width - 1, value: figure.data.probe[1] });
  const row = figure.slider({ name: "row", label: "pixel: row", min: 0, max: height - 1, value: figure.data.probe[0] });
  figure.button("the paper's values", () => { w0.value = paper.w0; sigma.value = paper.sigma; });

  const border = i => {
    if (kind[i] !== 0) return 0; // on the background only
    const together = (d1[i] + d2[i]) / 100;
    return w0.value * Math.exp(-(together ** 2) / (2 * sigma.value ** 2));
  };
  const weight = i => (kind[i] === 2 ? 0 : balance[kind[i]] + border(i));

  const tint = figure.colour("image");
  cells.paint(i => (kind[i] === 1 ? tint.map(c => 0.6 * image[i] + 0.4 * c) : [image[i], image[i], image[i]]));
  const marks = [cells, map].map(({ overlay, frame }) => {
    frame.classList.add("points");
    interactive.pointer(frame, (x, y) => {
      column.value = Math.min(width - 1, Math.floor(x * width));
      row.value = Math.min(height - 1, Math.floor(y * height));
      draw();
    });
    const mark = { width: 3, height: 3, fill: "none", stroke: "#ffffff", "stroke-width": 0.7 };
    return interactive.svg("rect", overlay, mark);
  });

  function draw() {
    let all = 0, borders = 0, heaviest = 0;
    map.paint(i => {
      const w = weight(i);
      all += w;
      borders += border(i);
      heaviest = Math.max(heaviest, w);
      return colour(w);
    });
    const here = row.value * width + column.value;
    for (const mark of marks) {
      mark.setAttribute("x", column.value - 1);
      mark.setAttribute("y", row.value - 1);
    }
    const place = kind[here] === 0
      ? "Here d₁ = [d1] px and d₂ = [d2] px, so the border term is [term] and w = [weight]. "
      : kind[here] === 1 ? "Here is a cell: no border term, w = [weight]. " : "Nobody annotated this pixel: w = [weight]. ";
    figure.say(place + "In the whole piece the largest weight is [heaviest], and border terms are [share] % of all.", {
      d1: (d1[here] / 100).toFixed(1), d2: (d2[here] / 100).toFixed(1), term: border(here).toFixed(2),
      weight: weight(here).toFixed(2), heaviest: heaviest.toFixed(2), share: (100 * borders / all).toFixed(1),
    });
  }
  figure.redraw(draw);
});
