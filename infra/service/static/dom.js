// Small helpers for elements and words.
export const $ = (id) => document.getElementById(id);

export function text(tag, words, className = "") { return Object.assign(document.createElement(tag), { textContent: words, className }); }

export function still() { return matchMedia("(prefers-reduced-motion: reduce)").matches; }

export const isPhone = () => innerWidth <= 760;

// Put text on the clipboard; where the browser refuses, select it for the user.
export async function copy(words, button) {
  const before = button.textContent;
  try { await navigator.clipboard.writeText(words); button.textContent = "Copied"; } catch { prompt("Copy this", words); }
  setTimeout(() => { button.textContent = before; }, 1500);
}

export function saved(name, content, type) {
  const href = URL.createObjectURL(content instanceof Blob ? content : new Blob([content], { type }));
  Object.assign(document.createElement("a"), { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 10_000);
}
