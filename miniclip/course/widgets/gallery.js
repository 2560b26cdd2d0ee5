// Pictures to click on, and a place for one's own. See gallery.py.

const LARGEST = 512; // pixels of a side of what is sent

function html(name, properties, parent) {
  const element = Object.assign(document.createElement(name), properties);
  parent?.append(element);
  return element;
}

function render({ model, el }) {
  el.classList.add("miniclip-gallery");
  const buttons = model.get("pictures").map((src, i) => {
    const name = model.get("names")[i];
    const button = html("button", { className: "picture", title: name, onclick: () => choose(i) }, el);
    html("img", { src, alt: name }, button);
    return button;
  });
  const place = html("div", { className: "own", tabIndex: 0 }, el);
  const mine = html("button", { className: "picture", title: "your picture", onclick: () => choose(-1) }, place);
  const shown = html("img", { alt: "your picture" }, mine);
  html("span", { textContent: "drop or paste a picture here" }, place);
  const input = html("input", { type: "file", accept: "image/*", hidden: true }, place);
  html("button", { textContent: "your own", onclick: () => input.click() }, place);
  const camera = html("button", { textContent: "camera" }, place);
  const video = html("video", { hidden: true, muted: true, playsInline: true }, place);
  camera.hidden = !navigator.mediaDevices?.getUserMedia;
  let stream = null;

  function choose(i) {
    model.set("chosen", i);
    model.save_changes();
  }

  function mark() {
    buttons.forEach((button, i) => button.classList.toggle("chosen", i === model.get("chosen")));
    mine.classList.toggle("chosen", model.get("chosen") === -1);
    mine.hidden = !model.get("own");
    shown.src = model.get("own");
  }

  function send(name, buffer) {
    model.set("file_name", name);
    model.set("content", new DataView(buffer));
    model.set("given", model.get("given") + 1);
    model.save_changes();
  }

  /** Send what can be drawn (a picture in a file, or a video), made small enough. */
  async function draw(name, source, width, height) {
    const share = Math.min(1, LARGEST / Math.max(width, height));
    const canvas = html("canvas", { width: Math.round(share * width), height: Math.round(share * height) });
    canvas.getContext("2d").drawImage(source, 0, 0, canvas.width, canvas.height);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
    send(name, await blob.arrayBuffer());
  }

  async function take(file) {
    if (!file) return;
    try {
      const bitmap = await createImageBitmap(file);
      await draw(file.name, bitmap, bitmap.width, bitmap.height);
    } catch {
      send(file.name, new ArrayBuffer(0)); // the answer says that it is no picture
    }
  }

  input.onchange = () => { take(input.files[0]); input.value = ""; };
  place.ondragover = (event) => { event.preventDefault(); place.classList.add("over"); };
  place.ondragleave = () => place.classList.remove("over");
  place.ondrop = (event) => {
    event.preventDefault();
    event.stopPropagation();
    place.classList.remove("over");
    take(event.dataTransfer.files[0]);
  };
  place.onpaste = (event) => {
    event.stopPropagation();
    take([...event.clipboardData.files][0]);
  };

  function stop() {
    stream?.getTracks().forEach((track) => track.stop());
    stream = null;
    video.hidden = true;
    camera.textContent = "camera";
  }
  camera.onclick = async () => {
    if (stream) {
      await draw("camera.png", video, video.videoWidth, video.videoHeight);
      return stop();
    }
    try {
      stream = await navigator.mediaDevices.getUserMedia({ video: true });
      video.srcObject = stream;
      video.hidden = false;
      await video.play();
      camera.textContent = "take it";
    } catch {
      stop();
      send("the camera", new ArrayBuffer(0));
    }
  };

  model.on("change:chosen change:own", mark);
  mark();
  return () => { model.off("change:chosen change:own", mark); stop(); };
}

export default { render };
