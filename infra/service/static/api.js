// Talking to the service: JSON, problems as errors, progress as a stream. A key is kept for this browser tab only.

// The service may be found below a path: everything is addressed from where this module was loaded.
export const ROOT = new URL("..", import.meta.url).href.replace(/\/$/, "");

export const key = {
  get value() { return sessionStorage.getItem("orograph-key") || ""; },
  set value(text) { sessionStorage.setItem("orograph-key", text.trim()); },
};

export function headers(more = {}) {
  return key.value ? { "X-API-Key": key.value, ...more } : more;
}

export class ApiError extends Error {
  constructor(problem, status) {
    super(problem.detail || problem.title || `HTTP ${status}`);
    this.status = status;
    this.problem = problem;
  }
}

async function asked(path, options = {}) {
  const response = await fetch(ROOT + path, { ...options, headers: headers(options.headers) });
  if (!response.ok) throw new ApiError(await response.json().catch(() => ({})), response.status);
  return response;
}

export async function getJson(path) { return (await asked(path)).json(); }

async function posted(path, body, more = {}) {
  const response = await asked(path, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json", ...more } });
  return response.json();
}

const PROCESS = "/processes/reprocess-tile";
export const order = (tile, settings = {}) => posted(`${PROCESS}/execution`, { inputs: { tile, settings } }, { Prefer: "respond-async" });
export const estimate = (tile, settings = {}) => posted(`${PROCESS}/estimate`, { tile, settings });
export const choices = () => getJson(`${PROCESS}/choices`);

export async function dismiss(job) { return (await asked(`/jobs/${job}`, { method: "DELETE" })).json(); }

// Calls `heard` with every status of a job until it is over. fetch and not EventSource, which can send no key.
export async function follow(job, heard, signal) {
  const response = await asked(`/jobs/${job}/events`, { signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const parts = text.split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const line = part.split("\n").find((one) => one.startsWith("data: "));
      if (line) heard(JSON.parse(line.slice(6)));
    }
  }
}
