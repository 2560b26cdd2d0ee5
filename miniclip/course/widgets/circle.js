// Pairs of unit vectors on a circle: drag them, or let the loss move them. See circle.py.

const INKS = ["#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#882255", "#555555"];
const MIDDLE = 250, RADIUS = 150, PICTURES = 208, WORDS = 100; // in units of the drawing
const STEP = 0.06; // how far a step goes, in radians for a full push
const FARTHEST = 0.12; // no vector moves farther than this in a step

const sum = (values) => values.reduce((a, b) => a + b, 0);
const softmax = (row) => {
  const highest = Math.max(...row), e = row.map((x) => Math.exp(x - highest));
  return e.map((x) => x / sum(e));
};
const column = (matrix, j) => matrix.map((row) => row[j]);
const sigmoid = (x) => 1 / (1 + Math.exp(-x));
const minusLogSigmoid = (x) => Math.max(-x, 0) + Math.log1p(Math.exp(-Math.abs(x)));

/** The loss of n pairs at angles a (pictures) and b (texts), with its gradient by each angle. */
export function look(a, b, temperature, kind, bias) {
  const n = a.length;
  const S = a.map((x) => b.map((y) => Math.cos(x - y)));
  let loss = 0, slope; // slope: of the loss by each cosine
  if (kind === "sigmoid") {
    const z = (i, j) => (i === j ? 1 : -1), logit = (i, j) => S[i][j] / temperature + bias;
    loss = sum(S.map((row, i) => sum(row.map((_, j) => minusLogSigmoid(z(i, j) * logit(i, j)))))) / n;
    slope = S.map((row, i) =>
      row.map((_, j) => (-z(i, j) * sigmoid(-z(i, j) * logit(i, j))) / temperature / n));
  } else {
    const logits = S.map((row) => row.map((x) => x / temperature));
    const rows = logits.map(softmax); // p(text | picture)
    const columns = b.map((_, j) => softmax(column(logits, j))); // columns[j][i] = p(picture | text)
    loss = -sum(a.map((_, i) => Math.log(rows[i][i]) + Math.log(columns[i][i]))) / 2 / n;
    slope = S.map((row, i) =>
      row.map((_, j) => (rows[i][j] + columns[j][i] - 2 * (i === j)) / 2 / n / temperature));
  }
  const turn = (i, j) => slope[i][j] * Math.sin(a[i] - b[j]); // -d loss / d a_i through S_ij
  return {
    S,
    loss,
    byPicture: a.map((_, i) => -sum(b.map((_, j) => turn(i, j)))),
    byText: b.map((_, j) => sum(a.map((_, i) => turn(i, j)))),
  };
}

const at = (angle, r) => [MIDDLE + r * Math.cos(angle), MIDDLE - r * Math.sin(angle)];

function svg(name, attributes, parent, text) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text) element.textContent = text;
  parent?.append(element);
  return element;
}

function html(name, properties, parent) {
  const element = Object.assign(document.createElement(name), properties);
  parent?.append(element);
  return element;
}

function render({ model, el }) {
  el.classList.add("miniclip-circle");
  const canvas = svg("svg", { viewBox: "0 0 500 500", role: "img" }, el);
  svg("title", {}, canvas, "pairs of vectors on a circle");
  const side = html("div", { className: "side" }, el);
  const numbers = html("div", { className: "numbers" }, side);
  const table = html("table", {}, side);
  const controls = html("div", { className: "controls" }, side);
  let moving = null, held = null;

  const get = () => {
    const n = model.get("pairs");
    return [model.get("pictures_at").slice(0, n), model.get("texts_at").slice(0, n)];
  };
  const put = (name, values) => model.set(name, [...values, ...model.get(name).slice(values.length)]);
  const now = () =>
    look(...get(), model.get("temperature"), model.get("loss"), model.get("bias"));

  function arrow(angle, push, color) {
    // A tangent as long as the push, which is scaled so that it can be seen.
    const length = Math.max(-0.5, Math.min(0.5, push)), from = at(angle, RADIUS);
    if (Math.abs(length) < 0.03) return;
    const to = at(angle + length, RADIUS), sweep = length > 0 ? 0 : 1;
    const path = `M${from} A${RADIUS} ${RADIUS} 0 0 ${sweep} ${to}`;
    svg("path", { d: path, stroke: color, class: "push", "marker-end": "url(#head)" }, canvas);
  }

  function draw() {
    const [a, b] = get(), view = now(), n = a.length;
    canvas.replaceChildren(canvas.firstChild);
    const marker = { id: "head", orient: "auto", markerWidth: 4, markerHeight: 4, refX: 2, refY: 2 };
    svg("path", { d: "M0 0L4 2L0 4Z" }, svg("marker", marker, svg("defs", {}, canvas)));
    svg("circle", { cx: MIDDLE, cy: MIDDLE, r: RADIUS, class: "ring" }, canvas);
    const scale = n * model.get("temperature");
    for (let i = 0; i < n; i++) {
      const color = INKS[i % INKS.length], [x, y] = at(a[i], RADIUS), [u, v] = at(b[i], RADIUS);
      svg("line", { x1: x, y1: y, x2: u, y2: v, stroke: color, class: "pair" }, canvas);
      arrow(a[i], -view.byPicture[i] * scale, color);
      arrow(b[i], -view.byText[i] * scale, color);
      const [px, py] = at(a[i], PICTURES), [wx, wy] = at(b[i], WORDS);
      svg("line", { x1: x, y1: y, x2: px, y2: py, stroke: color }, canvas);
      svg("line", { x1: u, y1: v, x2: wx, y2: wy, stroke: color }, canvas);
      svg("circle", { cx: x, cy: y, r: 7, fill: color }, canvas);
      svg("rect", { x: u - 6, y: v - 6, width: 12, height: 12, fill: color }, canvas);
      const box = { x: px - 24, y: py - 24, width: 48, height: 48 };
      const picture = svg("image", { ...box, href: model.get("pictures")[i] }, canvas);
      svg("rect", { ...box, fill: "none", stroke: color, "stroke-width": 3 }, canvas);
      const word = svg("text", { x: wx, y: wy + 5, fill: color }, canvas, model.get("texts")[i]);
      for (const [element, name] of [[picture, "pictures_at"], [word, "texts_at"]]) {
        element.classList.add("handle");
        element.dataset.vector = `${name} ${i}`;
        element.addEventListener("pointerdown", (event) => {
          event.preventDefault();
          held = [name, i];
          canvas.setPointerCapture(event.pointerId);
        });
      }
    }
    const guess = model.get("loss") === "sigmoid" ? "" : ` · a guesser: log ${n} = ${Math.log(n).toFixed(2)}`;
    numbers.textContent = `loss ${view.loss.toFixed(3)}${guess}`;
    table.replaceChildren();
    view.S.forEach((row, i) => {
      const line = html("tr", {}, table);
      row.forEach((value, j) => {
        const cell = html("td", { textContent: value.toFixed(1) }, line);
        const share = (value + 1) / 2;
        cell.style.background = `rgb(${255 - 255 * share}, ${255 - 141 * share}, ${255 - 77 * share})`;
        cell.style.color = share > 0.6 ? "white" : "black";
        if (i === j) cell.style.outline = `3px solid ${INKS[i % INKS.length]}`;
      });
    });
  }

  function step() {
    const [a, b] = get(), view = now(), scale = STEP * a.length * model.get("temperature");
    const moved = (angle, slope) =>
      angle - Math.max(-FARTHEST, Math.min(FARTHEST, scale * slope));
    put("pictures_at", a.map((angle, i) => moved(angle, view.byPicture[i])));
    put("texts_at", b.map((angle, i) => moved(angle, view.byText[i])));
  }

  function move(start) {
    clearInterval(moving);
    moving = start ? setInterval(step, 40) : null;
    play.textContent = start ? "stop" : "let the loss move them";
    if (!start) model.save_changes();
  }

  canvas.addEventListener("pointermove", (event) => {
    if (!held) return;
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(canvas.getScreenCTM().inverse());
    const [name, i] = held, values = [...model.get(name)];
    values[i] = Math.atan2(MIDDLE - point.y, point.x - MIDDLE);
    model.set(name, values);
  });
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, () => { held = null; model.save_changes(); });

  const play = html("button", { onclick: () => move(!moving) }, controls);
  html("button", { textContent: "one step", onclick: () => { move(false); step(); model.save_changes(); } }, controls);
  html("button", {
    textContent: "shuffle",
    onclick: () => {
      for (const name of ["pictures_at", "texts_at"])
        model.set(name, model.get(name).map(() => 2 * Math.PI * Math.random()));
      model.save_changes();
    },
  }, controls);

  function slider(label, name, low, high, step, show, from = (x) => x, to = (x) => x) {
    const line = html("label", { textContent: label }, controls);
    const input = html("input", { type: "range", min: low, max: high, step, value: to(model.get(name)) }, line);
    const shown = html("span", {}, line);
    const say = () => { shown.textContent = show(model.get(name)); };
    input.addEventListener("input", () => {
      model.set(name, from(Number(input.value)));
      model.save_changes();
    });
    model.on(`change:${name}`, () => { input.value = to(model.get(name)); say(); });
    say();
    return line;
  }
  slider("temperature ", "temperature", -2, 0.3, 0.02, (x) => x.toFixed(3), (x) => 10 ** x, Math.log10);
  slider("pairs ", "pairs", 2, model.get("texts").length, 1, String);
  const line = html("label", { textContent: "loss " }, controls);
  const choice = html("select", {}, line);
  for (const name of ["InfoNCE", "sigmoid"]) html("option", { value: name, textContent: name }, choice);
  choice.value = model.get("loss");
  choice.addEventListener("change", () => { model.set("loss", choice.value); model.save_changes(); });
  const bias = slider("bias ", "bias", -20, 5, 0.5, (x) => x.toFixed(1));
  const showBias = () => { bias.style.display = model.get("loss") === "sigmoid" ? "" : "none"; };
  const changed = () => { showBias(); draw(); };
  model.on("change", changed);
  move(false);
  changed();
  return () => { clearInterval(moving); model.off("change", changed); };
}

export default { render };
