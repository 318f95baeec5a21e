// Keeps the page live: asks for it again and puts in what changed, so that focus, scroll and open details stay.
"use strict";

const live = document.getElementById("live");
const every = Number(live.dataset.live) * 1000;
const patience = 20_000;
let paused = false;
let under_way = false;
let lost = null;
let read_at = performance.now();

function morph(from, to) {
  if (from.nodeType !== to.nodeType || from.nodeName !== to.nodeName) {
    from.replaceWith(document.importNode(to, true));
    return;
  }
  if (from.nodeType !== Node.ELEMENT_NODE) {
    if (from.data !== to.data) from.data = to.data;
    return;
  }
  for (const { name, value } of to.attributes) {
    if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  }
  for (const { name } of [...from.attributes]) {
    const opened = name === "open" && from.nodeName === "DETAILS";
    if (!to.hasAttribute(name) && !opened) from.removeAttribute(name);
  }
  morphChildren(from, to);
}

const key = (node) => (node.nodeType === Node.ELEMENT_NODE ? node.dataset.key || node.id || null : null);

function morphChildren(from, to) {
  const keyed = new Map();
  for (const child of from.children) if (key(child)) keyed.set(key(child), child);
  let at = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const kept = key(wanted) && keyed.get(key(wanted));
    if (kept) {
      if (kept === at) at = at.nextSibling;
      else from.insertBefore(kept, at);
      morph(kept, wanted);
    } else if (at && !key(at) && !key(wanted) && at.nodeName === wanted.nodeName) {
      const next = at.nextSibling;
      morph(at, wanted);
      at = next;
    } else {
      from.insertBefore(document.importNode(wanted, true), at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

function put(page) {
  const focused = document.activeElement;
  const wanted = page.getElementById("live");
  if (!wanted) throw new Error("an answer that is not a page of ours");
  morphChildren(live, wanted);
  document.title = page.title;
  // Moving a row takes the focus from what is in it.
  if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}

async function renew() {
  if (under_way || paused || document.hidden) return;
  under_way = true;
  try {
    const answer = await fetch(location.href, {
      cache: "no-store", redirect: "error", signal: AbortSignal.timeout(patience),
      headers: { Accept: "text/html" },
    });
    if (!(answer.headers.get("content-type") || "").startsWith("text/html")) throw new Error("no page");
    put(new DOMParser().parseFromString(await answer.text(), "text/html"));
    lost = null;
    read_at = performance.now();
  } catch {
    lost = lost || new Date();
  } finally {
    under_way = false;
  }
  document.body.classList.toggle("lost", lost !== null);
  tell();
}

// What only the browser can know: that nobody answers it, and how old the numbers on the screen have become.
function tell() {
  const age = document.getElementById("age");
  if (age) {
    const seconds = Number(age.dataset.age) + Math.floor((performance.now() - read_at) / 1000);
    age.textContent = spoken(seconds);
    age.closest(".fresh").classList.toggle("old", lost !== null || seconds >= Number(age.dataset.stale));
  }
  const banner = document.getElementById("banner");
  if (lost && banner) {
    const clock = lost.toISOString().slice(11, 19);
    const said = `No connection. Nothing has been heard from Milepost since ${clock} UTC: these numbers are not of now.`;
    banner.classList.add("loud");
    if (banner.textContent.trim() !== said) banner.textContent = said;
  }
}

function spoken(seconds) {
  for (const [size, unit] of [[86_400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= 2 * size) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return `${seconds} s`;
}

function addPause() {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "pause";
  const show = () => {
    button.textContent = paused ? "Go on" : "Pause";
    button.title = paused ? "The page stands still" : `The page renews itself every ${every / 1000} s`;
  };
  button.addEventListener("click", () => {
    paused = !paused;
    document.body.classList.toggle("paused", paused);
    show();
    if (!paused) renew();
  });
  show();
  document.querySelector("header.top").append(button);
}

function offerZone() {
  const place = document.getElementById("zone");
  const here = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const shown = place.dataset.zone;
  const offered = shown === "UTC" ? here : "UTC";
  if (!here || offered === shown || here === "Etc/UTC") return;
  const link = document.createElement("a");
  const there = new URL(location.href);
  there.searchParams.set("tz", offered);
  link.href = there;
  link.textContent = `Show them in ${offered}.`;
  place.append(link, " ");
}

// One explanation open at a time, and Escape closes it.
document.addEventListener("toggle", (event) => {
  const opened = event.target;
  if (!opened.open || !opened.classList.contains("meaning")) return;
  for (const other of document.querySelectorAll("details.meaning[open]")) if (other !== opened) other.open = false;
}, true);
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const opened of document.querySelectorAll("details.meaning[open]")) {
    opened.open = false;
    if (opened.contains(document.activeElement)) opened.querySelector("summary").focus();
  }
});

offerZone();
if (every > 0) {
  addPause();
  setInterval(renew, every);
  setInterval(tell, 1000);
  document.addEventListener("visibilitychange", renew);
}
