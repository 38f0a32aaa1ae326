// The elastic deformation, its nine arrows drawn by hand. An arrow says where its pixel is read from.
// data: image (shown smaller than it is), side (of the true image, px), basis (how much each of the control points of a
// line counts at each pixel of it), samples (draws of all vectors: down, then right, row by row), limit in px.

interactive.figure("elastic", figure => {
  const { image, side, basis, samples, limit } = figure.data;
  const n = image.shape[0], points = basis.shape[1], count = points ** 2;
  const scale = (n - 1) / (side - 1); // shown px per true px
  const vectors = Array.from(samples[0]); // 2 x points x points
  let chosen = Math.floor(count / 2), sample = 0;

  const source = figure.picture("read here …", n, n, "The image with a bent mesh and an arrow at each control point.");
  const result = figure.picture("… gives this", n, n, "The deformed image.");
  source.paint(i => [image[i], image[i], image[i]]);
  const point = figure.slider({ name: "point", label: "arrow", min: 1, max: count, value: chosen + 1, says: k => `${k} of ${count}` });
  const says = px => `${px.toFixed(0).replace("-", "−")} px`;
  const range = { min: -limit, max: limit, step: 1, value: 0, says };
  const down = figure.slider({ name: "down", label: "down", ...range });
  const right = figure.slider({ name: "right", label: "right", ...range });
  figure.button("next random draw", () => {
    sample = (sample + 1) % samples.length;
    vectors.splice(0, 2 * count, ...samples[sample]);
    follow();
  });
  figure.button("flat", () => { vectors.fill(0); follow(); });

  function follow() { // the sliders show the chosen arrow
    point.value = chosen + 1;
    down.value = Math.round(vectors[chosen]);
    right.value = Math.round(vectors[count + chosen]);
  }

  // field = basis @ vectors @ basis.T, for the displacement down and to the right, in true px.
  function field(part) {
    const rows = new Float32Array(n * points), all = new Float32Array(n * n);
    for (let y = 0; y < n; y++)
      for (let q = 0; q < points; q++)
        for (let p = 0; p < points; p++) rows[y * points + q] += basis[y * points + p] * vectors[part * count + p * points + q];
    for (let y = 0; y < n; y++)
      for (let x = 0; x < n; x++)
        for (let q = 0; q < points; q++) all[y * n + x] += rows[y * points + q] * basis[x * points + q];
    return all;
  }

  const fold = at => { at = Math.abs(at) % (2 * (n - 1)); return Math.min(at, 2 * (n - 1) - at); }; // the mirror
  function read(row, column) { // bilinear
    row = fold(row); column = fold(column);
    const y = Math.min(Math.floor(row), n - 2), x = Math.min(Math.floor(column), n - 2), i = y * n + x;
    const upper = image[i] + (column - x) * (image[i + 1] - image[i]);
    const lower = image[i + n] + (column - x) * (image[i + n + 1] - image[i + n]);
    return upper + (row - y) * (lower - upper);
  }

  // The area of the source that one pixel of the result stands for: 1 as before, below 0 the image folds over itself.
  function smallestArea(v, u) {
    let smallest = Infinity;
    for (let y = 1; y < n - 1; y++)
      for (let x = 1; x < n - 1; x++) {
        const i = y * n + x, half = scale / 2;
        const vy = 1 + (v[i + n] - v[i - n]) * half, vx = (v[i + 1] - v[i - 1]) * half;
        const uy = (u[i + n] - u[i - n]) * half, ux = 1 + (u[i + 1] - u[i - 1]) * half;
        smallest = Math.min(smallest, vy * ux - uy * vx);
      }
    return smallest;
  }

  const mesh = interactive.svg("path", source.overlay, { fill: "none", stroke: "var(--light)", "stroke-width": 0.9 });
  const arrows = interactive.svg("path", source.overlay, { fill: "none", stroke: "var(--error)", "stroke-width": 2 });
  const home = k => (n - 1) * k / (points - 1) + 0.5;
  const dots = Array.from({ length: count }, () => interactive.svg("circle", source.overlay, { fill: "var(--error)", stroke: "#ffffff" }));
  let held = -1; // the arrow that the pointer holds, by the wide ring round its dot
  const handles = dots.map((_, k) => {
    const handle = interactive.svg("circle", source.overlay, { r: 13, class: "handle", fill: "transparent" });
    handle.addEventListener("pointerdown", () => { held = chosen = k; follow(); draw(); });
    return handle;
  });
  source.frame.addEventListener("pointerup", () => { held = -1; });
  interactive.pointer(source.frame, (x, y) => {
    if (held < 0) return;
    const clip = px => Math.max(-limit, Math.min(limit, Math.round(px)));
    vectors[held] = clip((y * n - home(Math.floor(held / points))) / scale);
    vectors[count + held] = clip((x * n - home(held % points)) / scale);
    follow();
    draw();
  });

  function draw() {
    if (point.value - 1 !== chosen) { chosen = point.value - 1; follow(); } // another arrow was chosen
    vectors[chosen] = near(down.value, vectors[chosen]);
    vectors[count + chosen] = near(right.value, vectors[count + chosen]);
    const v = field(0), u = field(1);
    result.paint(i => Array(3).fill(read(Math.floor(i / n) + v[i] * scale, (i % n) + u[i] * scale)));
    let bent = "", straight = "";
    for (let line = 0; line < n; line += Math.floor((n - 1) / 8))
      for (const across of [true, false])
        for (let at = 0; at < n; at += 4) {
          const [y, x] = across ? [line, at] : [at, line], i = y * n + x;
          bent += `${at ? "L" : "M"}${(x + 0.5 + u[i] * scale).toFixed(1)} ${(y + 0.5 + v[i] * scale).toFixed(1)}`;
        }
    mesh.setAttribute("d", bent);
    handles.forEach((handle, k) => {
      const y = home(Math.floor(k / points)), x = home(k % points);
      const tip = [x + vectors[count + k] * scale, y + vectors[k] * scale];
      straight += `M${x} ${y}L${tip.join(" ")}`;
      for (const circle of [handle, dots[k]]) {
        circle.setAttribute("cx", tip[0]);
        circle.setAttribute("cy", tip[1]);
      }
      dots[k].setAttribute("r", k === chosen ? 6 : 3.5);
      dots[k].setAttribute("stroke-width", k === chosen ? 2 : 0.7);
    });
    arrows.setAttribute("d", straight);
    const area = smallestArea(v, u), middle = Math.floor(n / 4) * n + Math.floor(n / 4);
    const length = Math.sqrt(vectors.reduce((sum, c) => sum + c ** 2, 0) / (2 * count));
    figure.say("Arrow [point] reads [down] px further down and [right] px to the right. All components together: [std] px " +
      "(root mean square; the paper draws 10 px). Smallest area: [area]" + (area < 0 ? ", the image folds over itself." : "."), {
      point: chosen + 1, down: vectors[chosen].toFixed(1), right: vectors[count + chosen].toFixed(1),
      std: length.toFixed(1), area: area.toFixed(2),
    });
  }
  const near = (whole, exact) => (Math.round(exact) === whole ? exact : whole); // sliders stop at whole px, draws do not
  follow();
  figure.redraw(draw);
});
