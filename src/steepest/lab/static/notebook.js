// The lab in a notebook, by anywidget's interface: the page's files in a frame below the cell. What
// the page asks for goes to Python as a message, and comes back with its number.

const IMPORTED = /((?:^|\n)(?:import|export)\b[^;"']*?["'])(\.{1,2}\/[^"']+)(["'])/g;
/** Between looks at a run that trains, and the part of the time that they may take of Python's. */
const LOOK_MS = 1000;
const SHARE = 0.2;
const MOST_LOOKS = 3600;
/** Milliseconds until a kernel that does not answer is said to be gone or busy. */
const PATIENCE_MS = 20000;

const script = "text/javascript";
const TYPES = { js: script, css: "text/css", svg: "image/svg+xml", html: "text/html" };

/** Addresses of the files in this page: modules name each other by them. */
function addresses(files) {
  const found = {};
  const begun = new Set();
  const address = (name) => {
    if (found[name]) return found[name];
    if (begun.has(name)) throw new Error(`${name} imports itself`);
    begun.add(name);
    const end = name.split(".").pop();
    const text = end === "js" ? files[name].replace(IMPORTED, (_, before, path, after) => before + address(joined(name, path)) + after) : files[name];
    return (found[name] = URL.createObjectURL(new Blob([text], { type: TYPES[end] })));
  };
  Object.keys(files).filter((name) => name !== "index.html").forEach(address);
  const page = files["index.html"].replace(/(href|src)="([^"]+)"/g, (all, key, name) => (found[name] ? `${key}="${found[name]}"` : all));
  found["index.html"] = URL.createObjectURL(new Blob([page], { type: "text/html" }));
  return found;
}

/** A path that is written in a file, from the root of the page. */
function joined(name, path) {
  const parts = name.split("/").slice(0, -1);
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}

/** Questions to Python: {read, bytes, post, follow}. */
function questions(model) {
  const waiting = new Map();
  const own = `${Date.now()}-${Math.random()}`; // of this view: another one gets the answers, too
  let number = 0;
  const answered = ({ id, error, found }, buffers = []) => {
    const asked = waiting.get(id);
    if (!asked) return;
    waiting.delete(id);
    clearTimeout(asked.timer);
    if (error) asked.reject(new Error(error));
    else asked.resolve(buffers.length ? copied(buffers[0]) : found);
  };
  model.on("msg:custom", answered);
  const ask = (kind, path, body = null) =>
    new Promise((resolve, reject) => {
      const id = `${own}-${(number += 1)}`;
      const gone = () => answered({ id, error: "Python does not answer: its kernel is busy, or has ended. Run the cell again." });
      waiting.set(id, { resolve, reject, timer: setTimeout(gone, PATIENCE_MS) });
      model.send({ id, kind, path, body });
    });
  const follow = (run, tell) => {
    let [going, rows] = [true, -1];
    const look = async (times) => {
      const began = performance.now();
      const said = await ask("read", `api/runs/${run}/look/${rows}`).catch(() => null);
      if (!going) return;
      if (said) {
        rows = said.history.rows;
        tell(said);
        if (said.status !== "training") return;
      }
      const pause = Math.max(LOOK_MS, (performance.now() - began) / SHARE);
      if (times < MOST_LOOKS) setTimeout(() => going && look(times + 1), pause);
    };
    look(0);
    return () => (going = false);
  };
  return {
    read: (path) => ask("read", path), bytes: (path) => ask("bytes", path), post: (action, body) => ask("post", action, body), follow,
    end: () => model.off("msg:custom", answered),
  };
}

const copied = (view) => (view instanceof ArrayBuffer ? view : view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));

/** JupyterLab says its theme on the body; others leave it to the browser. */
function themeOf({ dataset }) {
  if (!("jpThemeLight" in dataset)) return null;
  return dataset.jpThemeLight === "false" ? "dark" : "light";
}

async function render({ model, el }) {
  const asking = questions(model);
  const frame = document.createElement("iframe");
  Object.assign(frame, { title: "steepest lab", width: "100%", height: model.get("height") });
  Object.assign(frame.style, { border: "1px solid #8888", borderRadius: "10px", boxSizing: "border-box" });
  frame.allow = "clipboard-write";
  let urls = {};
  try {
    urls = addresses(await asking.read("files"));
  } catch (error) {
    el.textContent = error.message;
    asking.end();
    return undefined;
  }
  frame.steepestLab = { ...asking, asset: (name) => urls[name], address: "http://127.0.0.1:8765/", theme: themeOf(document.body) };
  frame.src = urls["index.html"] + model.get("view");
  el.append(frame);
  return () => {
    frame.remove();
    asking.end();
    Object.values(urls).forEach((url) => URL.revokeObjectURL(url));
  };
}

export default { render };
