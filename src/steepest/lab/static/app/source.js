// Where the page's numbers come from: the server or the site that it lies on, or, in a notebook, the
// frame that shows it, which asks Python.

const host = inNotebook();

function inNotebook() {
  try {
    return globalThis.frameElement?.steepestLab ?? null;
  } catch {
    return null; // the frame is another site's
  }
}

async function answered(path, options) {
  const answer = await fetch(`./${path}`, options).catch(() => {
    throw new Error("nothing answers at this address. Is the lab still running?");
  });
  if (answer.ok) return answer;
  const text = await answer.text();
  let said = null;
  try {
    said = JSON.parse(text).error;
  } catch {
    // no JSON: a sentence, or a page of something between
  }
  throw new Error(said ?? (text.length < 200 && text.trim() ? text.trim() : `the server answers ${answer.status}`));
}

/** JSON of a path such as data/index.json or api/runs. */
export const read = host ? host.read : async (path) => (await answered(path)).json();

/** The bytes of a file. */
export const bytes = host ? host.bytes : async (path) => (await answered(path)).arrayBuffer();

/** Ask for a change: "start", "stop" or "resume". */
export const post = host
  ? host.post
  : async (action, body) =>
      (await answered(`api/${action}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) })).json();

/** Tell of a run's history as it grows, until it ends; returns what ends it before. */
export const follow = host ? host.follow : (run, tell) => {
  let stream = null;
  const close = () => {
    stream?.close();
    stream = null;
  };
  // a tab that is not seen holds no stream: a browser has six connections to a site, of all its tabs
  const seen = () => {
    if (document.hidden) return close();
    if (stream) return;
    stream = new EventSource(`./api/runs/${run}/live`);
    stream.onmessage = ({ data }) => {
      const said = JSON.parse(data);
      if (said.status !== "training") end();
      tell(said);
    };
  };
  const end = () => {
    document.removeEventListener("visibilitychange", seen);
    close();
  };
  document.addEventListener("visibilitychange", seen);
  seen();
  return end;
};

/** A file of the page that an element shows. */
export const asset = host ? host.asset : (name) => name;

/** Where a link to a state leads: here, or, from a notebook, to a lab on this machine. */
export const address = host ? host.address : location.origin + location.pathname;

/** The theme that the page is shown with; null leaves it to the browser. */
export const theme = host ? host.theme : null;
