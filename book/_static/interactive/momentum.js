// Momentum as a running average: v = m v + g, and (1 - m) v is a mean of the gradients so far.
// data: gradients (a noisy signal that jumps), signal (what they mean), start (m to begin with).

interactive.figure("momentum", figure => {
  const { gradients, signal, start } = figure.data;
  const steps = gradients.length, wide = 420, high = 215, [low, top] = [-3.2, 4.2];
  const x = t => 34 + (wide - 40) * t / (steps - 1), y = g => 8 + (high - 42) * (top - g) / (top - low);
  const line = values => Array.from(values, (g, t) => `${x(t).toFixed(1)},${y(g).toFixed(1)}`).join(" ");

  const plot = figure.drawing("gradients, what they mean, and their running average", wide, high,
    "Scattered dots, a dashed line that jumps once, and a curve that follows it: rough and at once, or calm and late.");
  plot.parentElement.classList.add("wide");
  const dots = interactive.svg("g", plot, { fill: "var(--quiet)", opacity: 0.65 });
  gradients.forEach((g, t) => interactive.svg("circle", dots, { cx: x(t), cy: y(g), r: 1.1 }));
  interactive.svg("path", plot, { class: "axis", d: `M34 8V${high - 34}H${wide - 6}` });
  for (const g of [-2, 0, 2, 4])
    interactive.svg("text", plot, { x: 28, y: y(g) + 5, "text-anchor": "end", "font-size": 13 }, String(g).replace("-", "−"));
  for (let t = 0; t < steps; t += 200)
    interactive.svg("text", plot, { x: x(t), y: high - 19, "text-anchor": "middle", "font-size": 13 }, t);
  interactive.svg("text", plot, { x: wide - 6, y: high - 5, "text-anchor": "end", "font-size": 13 }, "step");
  const lines = { fill: "none", "stroke-width": 2 };
  interactive.svg("polyline", plot, { ...lines, stroke: "var(--label)", "stroke-dasharray": "7 5", points: line(signal) });
  const average = interactive.svg("polyline", plot, { ...lines, stroke: "var(--result)" });

  const momentum = figure.slider({ name: "momentum", label: "momentum m", min: 0, max: 0.995, step: 0.005, value: start,
    says: m => m.toFixed(3) });
  figure.button("none", () => { momentum.value = 0; });
  figure.button("0.9", () => { momentum.value = 0.9; });
  figure.button("the paper's 0.99", () => { momentum.value = 0.99; });

  figure.redraw(() => {
    const m = momentum.value;
    let v = 0;
    const averages = Array.from(gradients, g => (1 - m) * (v = m * v + g));
    average.setAttribute("points", line(averages));
    const jump = signal.findIndex(g => g !== signal[0]);
    const late = averages.slice(jump).findIndex(a => a > (signal[0] + signal[jump]) / 2);
    const rest = averages.slice(jump / 2, jump), mean = rest.reduce((sum, a) => sum + a, 0) / rest.length;
    const spread = Math.sqrt(rest.reduce((sum, a) => sum + (a - mean) ** 2, 0) / rest.length);
    figure.say("The last hundred gradients hold [share] % of the step. Noise is as quiet as in a mean of [samples] " +
      "gradients; here, before the jump, the average varies by [spread] (the gradients by 1). It is half way up [late] " +
      "steps after the jump.", {
      share: (100 * (1 - m ** 100)).toFixed(0), samples: ((1 + m) / (1 - m)).toFixed(0), spread: spread.toFixed(3),
      late: late < 0 ? "more than all" : late,
    });
  });
});
