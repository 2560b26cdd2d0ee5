// Whom each patch of a picture and each piece of a text looks at. See attention.py.

const SIDE = 384, FULL = 65535;

function html(name, properties, parent) {
  const element = Object.assign(document.createElement(name), properties);
  parent?.append(element);
  return element;
}

/** The weights with which one token looks at all, of [blocks, heads, N] and 16-bit numbers. */
export function row(view, [, heads, n], block, head, query) {
  const start = ((block * heads + head) * n + query) * n;
  return Array.from({ length: n }, (_, i) => view.getUint16(2 * (start + i), true) / FULL);
}

/** How many rows of patches there are among N tokens; one more is a class token. */
export const patches = (n) => Math.floor(Math.sqrt(n));

function render({ model, el }) {
  el.classList.add("miniclip-attention");
  const top = html("div", { className: "top" }, el);
  const left = html("div", { className: "left" }, top);
  const large = html("canvas", { width: SIDE, height: SIDE, className: "large" }, left);
  const said = html("div", { className: "said" }, left);
  const maps = html("div", { className: "maps" }, top);
  const buttons = html("div", { className: "controls" }, left);
  const pen = large.getContext("2d");
  const image = new Image();
  image.onload = () => draw();
  let block = 0, head = 0, query = 0, word = 0, small = [];

  const side = () => patches(model.get("seen_shape")[2]);
  const first = () => model.get("seen_shape")[2] - side() ** 2; // 1 if there is a class token
  const weights = (b, h) => row(model.get("seen"), model.get("seen_shape"), b, h, query);

  function draw() {
    const n = side(), cell = SIDE / n, found = weights(block, head);
    const own = found.slice(first()), most = Math.max(...own);
    pen.imageSmoothingEnabled = false;
    if (image.complete && image.naturalWidth) pen.drawImage(image, 0, 0, SIDE, SIDE);
    own.forEach((weight, i) => {
      // what is not looked at fades
      pen.fillStyle = `rgba(255, 255, 255, ${0.88 * (1 - weight / most)})`;
      pen.fillRect((i % n) * cell, Math.floor(i / n) * cell, cell, cell);
    });
    const at = query - first();
    pen.strokeStyle = "#D55E00";
    pen.lineWidth = 4;
    if (at >= 0) pen.strokeRect((at % n) * cell + 2, Math.floor(at / n) * cell + 2, cell - 4, cell - 4);
    const best = own.indexOf(most), place = (i) => `row ${Math.floor(i / n) + 1}, column ${(i % n) + 1}`;
    said.textContent =
      `${at < 0 ? "The class token" : `The patch in ${place(at)}`} looks most at ${place(best)}: ` +
      `${(100 * most).toFixed(1)} %, evenly would be ${(100 / found.length).toFixed(1)} %`;
    small.forEach(({ canvas, b, h }) => {
      canvas.classList.toggle("chosen", b === block && h === head);
      const values = weights(b, h).slice(first()), highest = Math.max(...values);
      const context = canvas.getContext("2d");
      values.forEach((weight, i) => {
        const share = weight / highest;
        context.fillStyle = `rgb(${255 - 255 * share}, ${255 - 141 * share}, ${255 - 77 * share})`;
        context.fillRect(i % n, Math.floor(i / n), 1, 1);
      });
    });
  }

  /** A small map for each block and head; a click shows it large. */
  function arrange() {
    const [blocks, heads] = model.get("seen_shape"), n = side();
    maps.replaceChildren();
    maps.style.gridTemplateColumns = `auto repeat(${heads}, auto)`;
    html("span", {}, maps);
    for (let h = 0; h < heads; h++) html("span", { className: "label", textContent: `head ${h + 1}` }, maps);
    small = [];
    for (let b = 0; b < blocks; b++) {
      html("span", { className: "label", textContent: `block ${b + 1}` }, maps);
      for (let h = 0; h < heads; h++) {
        const canvas = html("canvas", { width: n, height: n, title: `block ${b + 1}, head ${h + 1}` }, maps);
        canvas.onclick = () => { [block, head] = [b, h]; draw(); spell(); };
        small.push({ canvas, b, h });
      }
    }
    query = first() + Math.floor(n / 2) * n + Math.floor(n / 2);
  }

  function point(event) {
    const box = large.getBoundingClientRect(), n = side();
    const clip = (share) => Math.max(0, Math.min(n - 1, Math.floor(share * n)));
    query = first() + clip((event.clientY - box.top) / box.height) * n
      + clip((event.clientX - box.left) / box.width);
    draw();
  }
  large.onpointerdown = point;
  large.onpointermove = point;

  html("button", {
    textContent: "another picture",
    onclick: () => {
      model.set("row", (model.get("row") + 1) % model.get("count"));
      model.save_changes();
    },
  }, buttons);
  html("button", { textContent: "class token", onclick: () => { query = 0; draw(); } }, buttons)
    .hidden = !first();

  // The sentence, with the head of the text tower that has the same numbers, if there is one.
  const input = html("input", { value: model.get("text"), ariaLabel: "a sentence" });
  const line = html("div", { className: "controls" }, el);
  line.append(input);
  const message = html("div", { className: "message", role: "alert" }, el);
  const pieces = html("div", { className: "pieces" }, el);
  const note = html("div", { className: "label" }, el);
  let timer = 0;
  input.oninput = () => {
    clearTimeout(timer);
    timer = setTimeout(() => { model.set("text", input.value); model.save_changes(); }, 150);
  };

  function spell() {
    const names = model.get("pieces"), [blocks, heads] = model.get("read_shape");
    const b = Math.min(block, blocks - 1), h = Math.min(head, heads - 1);
    word = Math.min(word || names.length - 1, names.length - 1);
    const found = row(model.get("read"), model.get("read_shape"), b, h, word);
    note.textContent = `What "${names[word]}" reads, in block ${b + 1}, head ${h + 1} of the text `
      + "tower. A piece sees itself and what stands before it.";
    pieces.replaceChildren();
    names.forEach((name, i) => {
      const chip = html("div", { className: `piece${i === word ? " asks" : ""}` }, pieces);
      chip.style.background = `rgba(0, 114, 178, ${0.75 * found[i]})`;
      chip.append(name);
      html("small", { textContent: i > word ? "–" : `${Math.round(100 * found[i])} %` }, chip);
      chip.onclick = () => { word = i; spell(); };
    });
  }

  const look = () => { image.src = model.get("picture"); arrange(); draw(); };
  const listen = [
    ["change:seen", () => { image.src = model.get("picture"); draw(); }],
    ["change:read", () => { word = 0; spell(); }],
    ["change:message", () => { message.textContent = model.get("message"); }],
  ];
  for (const [name, call] of listen) model.on(name, call);
  look();
  spell();
  return () => listen.forEach(([name, call]) => model.off(name, call));
}

export default { render };
