// A small CLIP that learns: its pictures and words on a sphere. See training.py.

const INKS = ["#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#882255", "#555555"];
const SIDE = 520, MIDDLE = SIDE / 2, RADIUS = 205; // of the drawing, in its own pixels
const PIXELS = 32; // of a picture in the sprite

function html(name, properties, parent) {
  const element = Object.assign(document.createElement(name), properties);
  parent?.append(element);
  return element;
}

/** Turn a vector: first around the vertical axis, then around the horizontal one. */
export function turn([x, y, z], [across, down]) {
  const c = Math.cos(across), s = Math.sin(across), u = c * x + s * z, w = c * z - s * x;
  const C = Math.cos(down), S = Math.sin(down);
  return [u, C * y - S * w, C * w + S * y];
}

function render({ model, el }) {
  el.classList.add("miniclip-training");
  const canvas = html("canvas", { width: 2 * SIDE, height: 2 * SIDE }, el);
  const pen = canvas.getContext("2d");
  pen.scale(2, 2); // sharp on fine screens
  const side = html("div", { className: "side" }, el);
  const numbers = html("div", { className: "numbers" }, side);
  const chart = html("canvas", { width: 2 * 420, height: 2 * 190, className: "chart" }, side);
  const curve = chart.getContext("2d");
  curve.scale(2, 2);
  const message = html("div", { className: "message" }, side);
  const controls = html("div", { className: "controls" }, side);
  const sprite = new Image();
  sprite.onload = () => draw();
  sprite.src = model.get("sprite");
  let playing = false, waiting = false, held = null, view = [0.4, 0.35], from = null, to = null;
  let started = 0, frame = 0;

  /** Where everything is now: on its way from the last look to this one. */
  function positions() {
    const share = Math.min(1, (performance.now() - started) / 150);
    if (!from || from.length !== to.length) return to;
    return to.map((vector, i) => {
      const mixed = vector.map((value, k) => share * value + (1 - share) * from[i][k]);
      const length = Math.hypot(...mixed) || 1;
      return mixed.map((value) => value / length);
    });
  }

  function draw() {
    pen.clearRect(0, 0, SIDE, SIDE);
    const ball = pen.createRadialGradient(MIDDLE - 60, MIDDLE - 70, 20, MIDDLE, MIDDLE, RADIUS);
    ball.addColorStop(0, "#ffffff");
    ball.addColorStop(1, "#dde3ea");
    pen.fillStyle = ball;
    pen.beginPath();
    pen.arc(MIDDLE, MIDDLE, RADIUS, 0, 2 * Math.PI);
    pen.fill();
    const classes = model.get("classes"), words = model.get("words"), n = classes.length;
    const points = positions().map((vector, i) => ({ i, at: turn(vector, view) }));
    points.sort((a, b) => a.at[2] - b.at[2]); // what is behind first
    for (const { i, at: [x, y, z] } of points) {
      const [px, py] = [MIDDLE + RADIUS * x, MIDDLE - RADIUS * y];
      pen.globalAlpha = 0.25 + 0.75 * (z + 1) / 2;
      if (i < n) {
        const width = 24 + 10 * z;
        pen.strokeStyle = INKS[classes[i] % INKS.length];
        pen.lineWidth = 3;
        const box = [px - width / 2, py - width / 2, width, width];
        pen.imageSmoothingEnabled = false;
        if (sprite.complete) pen.drawImage(sprite, PIXELS * i, 0, PIXELS, PIXELS, ...box);
        pen.strokeRect(...box);
      } else {
        const out = 1.13;
        pen.strokeStyle = pen.fillStyle = INKS[(i - n) % INKS.length];
        pen.lineWidth = 3;
        pen.beginPath();
        pen.moveTo(MIDDLE, MIDDLE);
        pen.lineTo(px, py);
        pen.stroke();
        pen.font = "bold 19px sans-serif";
        pen.textAlign = "center";
        pen.lineWidth = 5;
        pen.strokeStyle = "white";
        const place = [MIDDLE + out * RADIUS * x, MIDDLE - out * RADIUS * y + 6];
        pen.strokeText(words[i - n], ...place);
        pen.fillText(words[i - n], ...place);
      }
    }
    pen.globalAlpha = 1;
  }

  function animate() {
    draw();
    frame = performance.now() - started < 200 || playing ? requestAnimationFrame(animate) : 0;
  }

  function line(rows, column, highest, color) {
    const last = Math.max(rows.at(-1)[0], 1);
    curve.strokeStyle = color;
    curve.lineWidth = 3;
    curve.beginPath();
    for (const row of rows) curve.lineTo(10 + (400 * row[0]) / last, 180 - (165 * row[column]) / highest);
    curve.stroke();
  }

  function chartAgain() {
    const rows = model.get("history");
    if (!rows.length) return;
    const [steps, loss, right] = rows.at(-1);
    const chance = model.get("loss") === "InfoNCE" ? Math.log(model.get("words").length) : 0;
    const highest = Math.max(...rows.map((row) => row[1]), chance) * 1.05;
    curve.clearRect(0, 0, 420, 190);
    curve.strokeStyle = "#bbbbbb";
    curve.lineWidth = 1;
    curve.strokeRect(10, 5, 400, 175);
    if (chance) {
      const y = 180 - (165 * chance) / highest;
      curve.setLineDash([6, 5]);
      curve.beginPath();
      curve.moveTo(10, y);
      curve.lineTo(410, y);
      curve.stroke();
      curve.setLineDash([]);
      curve.fillStyle = "#555555";
      curve.font = "14px sans-serif";
      curve.fillText(`a guesser's loss: log ${model.get("words").length}`, 250, y + 17);
    }
    line(rows, 1, highest, "#555555");
    line(rows, 2, 1.05, "#009E73");
    numbers.innerHTML =
      `step ${steps} · <span style="color: #555">loss ${loss.toFixed(2)}</span> · ` +
      `<span style="color: #009E73">${Math.round(100 * right)} % right</span>`;
  }

  function ask() {
    waiting = true;
    model.set("asked", model.get("asked") + 1);
    model.save_changes();
  }

  function run(start) {
    playing = start;
    play.textContent = start ? "pause" : "train";
    if (start && !waiting) ask();
    if (!frame) animate();
  }

  function moved() {
    from = to ? positions() : null;
    to = model.get("positions");
    started = performance.now();
    if (!frame) animate();
  }

  function looked() { // the history comes after the positions
    chartAgain();
    waiting = false;
    if (playing) setTimeout(() => playing && !waiting && ask(), 30);
  }

  canvas.addEventListener("pointerdown", (event) => {
    held = [event.clientX, event.clientY, ...view];
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!held) return;
    const down = held[3] + (event.clientY - held[1]) / 150;
    view = [held[2] + (event.clientX - held[0]) / 150, Math.max(-1.5, Math.min(1.5, down))];
    draw();
  });
  for (const end of ["pointerup", "pointercancel"])
    canvas.addEventListener(end, () => { held = null; });

  const play = html("button", { onclick: () => run(!playing) }, controls);
  html("button", { textContent: "four steps", onclick: () => { run(false); if (!waiting) ask(); } }, controls);
  html("button", {
    textContent: "start anew",
    onclick: () => { model.set("anew", model.get("anew") + 1); model.save_changes(); },
  }, controls);

  function slider(label, name, low, high, step, show, out = (x) => x, into = (x) => x) {
    const row = html("label", { textContent: label }, controls);
    const input = html("input", { type: "range", min: low, max: high, step, value: into(model.get(name)) }, row);
    const shown = html("span", {}, row);
    const say = () => { shown.textContent = show(model.get(name)); };
    input.addEventListener("input", () => {
      model.set(name, out(Number(input.value)));
      model.save_changes();
    });
    model.on(`change:${name}`, () => { input.value = into(model.get(name)); say(); });
    say();
  }
  slider("learning rate ", "learning_rate", -5, -1, 0.1, (x) => x.toPrecision(2), (x) => 10 ** x, Math.log10);
  slider("of each thing ", "each", 1, 8, 1, String);
  const row = html("label", { textContent: "loss " }, controls);
  const choice = html("select", {}, row);
  for (const name of ["InfoNCE", "sigmoid"]) html("option", { value: name, textContent: name }, choice);
  choice.value = model.get("loss");
  choice.addEventListener("change", () => { model.set("loss", choice.value); model.save_changes(); });
  html("div", { className: "hint", textContent: "drag the sphere to turn it" }, controls);

  function told() {
    message.textContent = model.get("message");
    if (message.textContent) { waiting = false; run(false); }
  }

  model.on("change:message", told);
  model.on("change:positions", moved);
  model.on("change:history", looked);
  moved();
  chartAgain();
  run(false);
  return () => {
    playing = false;
    cancelAnimationFrame(frame);
    model.off("change:message", told);
    model.off("change:positions", moved);
    model.off("change:history", looked);
  };
}

export default { render };
