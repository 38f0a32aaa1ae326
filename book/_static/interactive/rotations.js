// The average over rotated versions, one more at a time.
// data: image, label (1 cell, 0 membrane), views (for each rotation the map, rotated back, 0..255), degrees.

interactive.figure("rotations", figure => {
  const { image, label, views, degrees } = figure.data;
  const [height, width] = image.shape, size = width * height;
  const section = figure.picture("section", width, height, "A piece of an electron microscope section.");
  const single = figure.picture("the last map alone", width, height, "The map of one rotated version, upright again.");
  const mean = figure.picture("the average", width, height, "The mean of all maps so far.");
  section.paint(i => [image[i], image[i], image[i]]);
  const count = figure.slider({ name: "count", label: "maps", min: 1, max: degrees.length, value: 1 });
  const mistakes = figure.toggle("mark mistakes"), wrong = figure.colour("error");

  figure.redraw(() => {
    const k = count.value;
    const view = (v, i) => views[v * size + i] / 255;
    const average = Float64Array.from({ length: size }, (_, i) => {
      let sum = 0;
      for (let v = 0; v < k; v++) sum += view(v, i);
      return sum / k;
    });
    const differs = p => { let n = 0; for (let i = 0; i < size; i++) n += (p(i) > 0.5) !== (label[i] > 0); return n / size; };
    let spread = 0; // standard deviation of the maps, mean over pixels
    for (let i = 0; i < size; i++) {
      let squares = 0;
      for (let v = 0; v < k; v++) squares += (view(v, i) - average[i]) ** 2;
      spread += Math.sqrt(squares / k) / size;
    }
    const shade = p => i => (mistakes.on && (p(i) > 0.5) !== (label[i] > 0) ? wrong : Array(3).fill(255 * p(i)));
    const last = i => view(k - 1, i);
    single.paint(shade(last));
    mean.paint(shade(i => average[i]));
    figure.say("The last version was rotated by [degrees]°; its map differs from the annotation at [single] % of the pixels " +
      "(threshold 0.5), the average of [count] at [mean] %. At a pixel, the maps vary by [spread].", {
      degrees: degrees[k - 1].toFixed(0), single: (100 * differs(last)).toFixed(2), count: k,
      mean: (100 * differs(i => average[i])).toFixed(2), spread: spread.toFixed(3),
    });
  });
});
