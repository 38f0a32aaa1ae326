// Which pixels does a threshold call cell, and what do the three errors of Table 1 say?
// data: image, probability (0..255), thresholds, curves (name -> an error for each threshold; the warping error has one
// less), marks (for each threshold the pixels of its mergers and of its splits).

interactive.figure("thresholds", figure => {
  const { image, probability, thresholds, curves, marks } = figure.data;
  const [height, width] = image.shape;
  const section = figure.picture("section", width, height, "A piece of an electron microscope section.");
  const result = figure.picture("cell above the threshold", width, height,
    "The map cut at the threshold, white for cell; mergers and splits are marked.");
  section.paint(i => [image[i], image[i], image[i]]);
  const threshold = figure.slider({ name: "threshold", label: "threshold", min: 0, max: thresholds.length - 1,
    value: 5, says: k => thresholds[k].toFixed(1) });

  // Three small curves, each with a dot at the threshold and a ring at the best one.
  figure.row();
  const plots = Object.entries(curves).map(([name, curve]) => {
    const plot = figure.drawing(name, 130, 84, `The ${name} over the threshold, from 0 to 1.`);
    plot.parentElement.classList.add("small");
    const highest = Math.max(...curve), x = k => 7 + 116 * k / (thresholds.length - 1), y = k => 62 - 52 * curve[k] / highest;
    interactive.svg("path", plot, { class: "axis", d: "M7 4V64H126" });
    for (const [k, anchor] of [[0, "start"], [5, "middle"], [10, "end"]])
      interactive.svg("text", plot, { x: x(k), y: 79, "text-anchor": anchor, "font-size": 13 }, thresholds[k].toFixed(1));
    interactive.svg("polyline", plot, { fill: "none", stroke: "var(--quiet)", "stroke-width": 2,
      points: curve.map((_, k) => `${x(k)},${y(k)}`).join(" ") });
    const best = curve.indexOf(Math.min(...curve));
    interactive.svg("circle", plot, { cx: x(best), cy: y(best), r: 6, fill: "none", stroke: "var(--result)", "stroke-width": 1.8 });
    const dot = interactive.svg("circle", plot, { r: 4, fill: "var(--error)" });
    return k => {
      dot.setAttribute("visibility", k < curve.length ? "visible" : "hidden");
      if (k < curve.length) { dot.setAttribute("cx", x(k)); dot.setAttribute("cy", y(k)); }
    };
  });

  const colours = { mergers: figure.colour("error"), splits: figure.colour("label") };
  figure.redraw(() => {
    const k = threshold.value, painted = new Map();
    for (const kind of ["mergers", "splits"])
      for (const i of marks[kind][k])
        for (const near of [i, i - 1, i + 1, i - width, i + width]) painted.set(near, colours[kind]); // thick enough to see
    result.paint(i => painted.get(i) || (probability[i] / 255 > thresholds[k] ? [255, 255, 255] : [20, 24, 29]));
    plots.forEach(plot => plot(k));
    const [warping, rand, pixel] = Object.values(curves);
    figure.say("Vermilion: [mergers] px that merge cells. Orange: [splits] px that split one. Warping error [warping], " +
      "Rand error [rand], pixel error [pixel].", {
      mergers: marks.mergers[k].length, splits: marks.splits[k].length, rand: rand[k].toFixed(3), pixel: pixel[k].toFixed(3),
      warping: k < warping.length ? warping[k].toFixed(5) : "–",
    });
  });
});
