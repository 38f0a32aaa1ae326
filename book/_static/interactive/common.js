// What the interactive figures of the book share: panels, sliders, buttons, numbers, and the data that Python computed.
//
// Each figure is a hidden block in the page (unet_paper/figures/interactive.py writes it): data as JSON, colours as CSS
// variables, the name of its script. The script calls `interactive.figure(name, build)`. The block then takes the place
// of the still picture in its <figure>; without JavaScript, and on paper, the picture stays. Nothing moves by itself.

window.interactive = window.interactive || (() => {
  "use strict";
  const KINDS = { uint8: Uint8Array, uint16: Uint16Array, float32: Float32Array };

  // Arrays come as {dtype, shape, base64}; everything else is what JSON says.
  function revive(key, value) {
    if (!value || value.base64 === undefined) return value;
    const bytes = Uint8Array.from(atob(value.base64), letter => letter.charCodeAt(0));
    return Object.assign(new KINDS[value.dtype](bytes.buffer), { shape: value.shape });
  }

  function element(tag, parent, attributes = {}, text = "") {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.textContent = text;
    parent.append(made);
    return made;
  }

  function svg(tag, parent, attributes = {}, text = "") {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.textContent = text;
    parent.append(made);
    return made;
  }

  const rgb = text => [1, 3, 5].map(start => parseInt(text.slice(start, start + 2), 16));

  // Where the pointer is within an element, both from 0 to 1, from pressing it down until it is lifted.
  function pointer(target, move) {
    const tell = event => {
      const box = target.getBoundingClientRect();
      const share = (at, start, length) => Math.min(Math.max((at - start) / length, 0), 1);
      move(share(event.clientX, box.left, box.width), share(event.clientY, box.top, box.height));
    };
    target.addEventListener("pointerdown", event => { target.setPointerCapture(event.pointerId); tell(event); });
    target.addEventListener("pointermove", event => { if (event.buttons) tell(event); });
  }

  // One block of a page, as its script sees it.
  function stage(block) {
    let panels = element("div", block, { class: "panels" });
    const controls = element("div", block, { class: "controls" });
    const said = element("output", block, { class: "numbers" });
    const style = getComputedStyle(block);
    let draw = () => {};

    return {
      data: JSON.parse(block.querySelector("script[type='application/json']").textContent, revive),
      colour: name => rgb(style.getPropertyValue(`--${name}`).trim()),

      // An image of width x height px, to be painted pixel by pixel, with a drawing in the same coordinates above it.
      picture(title, width, height, description) {
        const box = element("div", panels, { class: "panel" });
        element("p", box, { class: "title" }, title);
        const frame = element("div", box, { class: "frame" });
        const canvas = element("canvas", frame, { width, height, role: "img", "aria-label": description });
        const overlay = svg("svg", frame, { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
        const context = canvas.getContext("2d"), pixels = context.createImageData(width, height);
        pixels.data.fill(255);
        const paint = colourOf => {
          for (let i = 0; i < width * height; i++) pixels.data.set(colourOf(i), 4 * i);
          context.putImageData(pixels, 0, 0);
        };
        return { frame, overlay, paint, box };
      },

      // What comes next stands in a new row.
      row() {
        panels = element("div", block, { class: "panels" });
        controls.before(panels);
      },

      // A drawing alone, for curves and plans.
      drawing(title, width, height, description) {
        const box = element("div", panels, { class: "panel" });
        if (title) element("p", box, { class: "title" }, title);
        return svg("svg", box, { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": description });
      },

      slider({ name, label, min, max, step = 1, value, says = String }) {
        const row = element("div", controls, { class: "slider" });
        const id = `${block.dataset.figure}-${name}`;
        element("label", row, { for: id }, label);
        const input = element("input", row, { type: "range", id, name, min, max, step, value });
        const shown = element("span", row, { "aria-hidden": "true" });
        const tell = () => {
          shown.textContent = says(Number(input.value));
          input.setAttribute("aria-valuetext", shown.textContent);
        };
        input.addEventListener("input", () => { tell(); draw(); });
        tell();
        return {
          get value() { return Number(input.value); },
          set value(number) { input.value = number; tell(); },
        };
      },

      button(label, act) {
        const row = controls.querySelector(".buttons") || element("div", controls, { class: "buttons" });
        const made = element("button", row, { type: "button" }, label);
        made.addEventListener("click", () => { act(); draw(); });
        return made;
      },

      // A button that stays pressed.
      toggle(label) {
        const made = this.button(label, () => made.setAttribute("aria-pressed", made.getAttribute("aria-pressed") !== "true"));
        made.setAttribute("aria-pressed", false);
        return { get on() { return made.getAttribute("aria-pressed") === "true"; } };
      },

      // What the figure says in words. Numbers in [brackets] are filled in: say("w = [weight].", {weight: "3.21"}).
      say(sentence, numbers) {
        said.replaceChildren(...sentence.split(/[[\]]/).map((part, odd) => {
          if (odd % 2 === 0) return part;
          const number = document.createElement("b");
          number.dataset.number = part;
          number.textContent = numbers[part];
          return number;
        }));
      },

      // Draw now, and again whenever a control moves.
      redraw(how) {
        draw = how;
        draw();
      },
    };
  }

  function figure(name, build) {
    for (const block of document.querySelectorAll(`.interactive[data-script="${name}"]`)) {
      if (!block.hidden) continue; // built before
      build(stage(block));
      block.hidden = false;
      const still = document.getElementById(block.dataset.figure);
      if (still) {
        still.classList.add("plays");
        still.prepend(block);
      }
    }
  }

  return { figure, element, svg, pointer };
})();
