/* From a probability map to cells, as unet_paper/cells.py, and what a reader takes along: table, masks, picture. */

(function (page) {
  "use strict";

  // Okabe and Ito: people with any colour vision can tell them apart.
  const COLOURS = [[86, 180, 233], [230, 159, 0], [0, 158, 115], [240, 228, 66], [213, 94, 0], [204, 121, 167]];
  const HEAD = "image,cell,area_px,area_um2,row,column,mean_grey,track"; // the columns of cells.csv

  /* The 4-connected components above a threshold with more than `minSize` px, numbered 1..n from the top row down. */
  function instances({ values, height, width }, { threshold, minSize }) {
    const labels = new Int32Array(values.length);
    const waiting = new Int32Array(values.length); // of one component: its pixels, whose neighbours are to be looked at
    let number = 0;
    for (let start = 0; start < values.length; start++) {
      if (labels[start] !== 0 || !(values[start] > threshold)) continue;
      let [seen, size] = [0, 1];
      labels[start] = number + 1;
      waiting[0] = start;
      const visit = (pixel) => {
        if (labels[pixel] !== 0 || !(values[pixel] > threshold)) return;
        labels[pixel] = number + 1;
        waiting[size++] = pixel;
      };
      while (seen < size) {
        const pixel = waiting[seen++];
        const column = pixel % width;
        if (pixel >= width) visit(pixel - width);
        if (column > 0) visit(pixel - 1);
        if (column < width - 1) visit(pixel + 1);
        if (pixel < values.length - width) visit(pixel + width);
      }
      if (size > minSize) number++;
      else for (let i = 0; i < size; i++) labels[waiting[i]] = -1; // too small: neither cell nor looked at again
    }
    return { labels: labels.map((label) => Math.max(label, 0)), count: number, height, width };
  }

  /* Area, centre of mass and mean grey of every cell: [{cell, area, row, column, grey}]. */
  function measured({ labels, count, width }, values) {
    const rows = Array.from({ length: count }, (_, i) => ({ cell: i + 1, area: 0, row: 0, column: 0, grey: 0 }));
    for (let i = 0; i < labels.length; i++) {
      if (labels[i] === 0) continue;
      const cell = rows[labels[i] - 1];
      cell.area += 1;
      cell.row += Math.floor(i / width);
      cell.column += i % width;
      cell.grey += values[i];
    }
    for (const cell of rows) for (const sum of ["row", "column", "grey"]) cell[sum] /= cell.area;
    return rows;
  }

  function asCsv(name, rows) {
    const plain = name.replaceAll(",", "_");
    const line = ({ cell, area, row, column, grey }) =>
      `${plain},${cell},${area},,${row.toFixed(2)},${column.toFixed(2)},${Number(grey.toPrecision(6))},`;
    return [HEAD, ...rows.map(line)].map((text) => `${text}\n`).join("");
  }

  /* The mask as PNG of 16 bits, 0 background, 1..n cells; a canvas knows 8 bits only. */
  function asPng({ labels, count, height, width }) {
    if (count > 65535) throw new Error(`${count} cells do not fit into a mask of 16 bits; raise the smallest size.`);
    const picture = { width, height, data: Uint16Array.from(labels), depth: 16, channels: 1 };
    return new Blob([ImageFiles.encodePng(picture)], { type: "image/png" });
  }

  /* Draw an image, stretched from its 1st to its 99.8th percentile, with its cells outlined and tinted. */
  function draw(canvas, image, { labels }) {
    const { values, height, width } = image;
    const [low, high] = page.percentiles(image, [1, 99.8]);
    Object.assign(canvas, { height, width });
    const context = canvas.getContext("2d");
    const picture = context.createImageData(width, height);
    const thick = Math.max(1, Math.round(Math.max(height, width) / 500)); // px, to be seen on a phone too
    for (let i = 0; i < values.length; i++) {
      const grey = (255 * Math.min(Math.max(values[i] - low, 0), high - low)) / Math.max(high - low, 1e-9);
      const colour = COLOURS[labels[i] % COLOURS.length];
      const share = labels[i] === 0 ? 0 : isEdge(labels, i, height, width, thick) ? 1 : 0.25;
      for (let c = 0; c < 3; c++) picture.data[4 * i + c] = (1 - share) * grey + share * colour[c];
      picture.data[4 * i + 3] = 255;
    }
    context.putImageData(picture, 0, 0);
  }

  function isEdge(labels, i, height, width, thick) {
    const [row, column] = [Math.floor(i / width), i % width];
    for (let far = 1; far <= thick; far++) {
      if (row >= far && labels[i - far * width] !== labels[i]) return true;
      if (row + far < height && labels[i + far * width] !== labels[i]) return true;
      if (column >= far && labels[i - far] !== labels[i]) return true;
      if (column + far < width && labels[i + far] !== labels[i]) return true;
    }
    return false;
  }

  Object.assign(page, { instances, measured, asCsv, asPng, draw });
})((window.UNetInPage = window.UNetInPage || {}));
