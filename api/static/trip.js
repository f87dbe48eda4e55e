// Keeps the trip page true while it is open: hears that the trip has changed, asks for the state, shows what is new, and says how old it
// is when it cannot. While nothing can be heard it asks by itself, every few seconds; while it can, rarely: not all that is shown is told of.
// The page works without this file; everything here only saves a reload.

const MOST_MS = 60_000;
const BACK_SHOWN_MS = 5_000;
const page = document.getElementById("trip");
const words = JSON.parse(page.dataset.words);
const pollMs = Number(page.dataset.pollMs);
const livePollMs = Number(page.dataset.livePollMs);
const freshness = document.getElementById("freshness");
const answer = document.getElementById("answer");

let version = page.dataset.version;
let seenAt = Date.now();
let failures = 0;
// Not the same as failures: the browser says that it is offline before anything has failed.
let saidAway = false;
let timer;
let asking = null;
let feed = null;

const say = (key, values = {}) => words[key].replace(/\{(\w+)\}/g, (_, name) => values[name]);

function age() {
  const seconds = Math.round((Date.now() - seenAt) / 1000);
  if (seconds < 60) return say("seconds", { n: seconds });
  if (seconds < 3600) return say("minutes", { n: Math.round(seconds / 60) });
  return say("hours", { n: Math.round(seconds / 3600) });
}

// A live region is read out at each change of its text, so the age in it is renewed by the minute only.
let told = "";
function showFreshness(kind, key) {
  const shown = key === "back" ? say(key) : say(key, { age: age() });
  const coarse = `${kind} ${key} ${Date.now() - seenAt < 60_000 ? 0 : Math.floor((Date.now() - seenAt) / 60_000)}`;
  if (coarse === told) return;
  told = coarse;
  freshness.hidden = false;
  freshness.className = `freshness ${kind}`;
  freshness.textContent = shown;
}

function away() {
  saidAway = true;
  showFreshness("away", navigator.onLine ? "unreachable" : "offline");
}

function reached() {
  seenAt = Date.now();
  failures = 0;
  if (!navigator.onLine) return; // an answer that was on its way when the network went
  if (saidAway) {
    showFreshness("back", "back");
    setTimeout(() => {
      if (!saidAway) freshness.hidden = true;
    }, BACK_SHOWN_MS);
  }
  saidAway = false;
}

// What the traveller was doing survives: the option picked, if the options are still the same, and where the focus was.
function replace(name, html) {
  const region = document.getElementById(name);
  const picked = [...region.querySelectorAll("form")].map((form) => [
    form.dataset.offered,
    form.querySelector("input[name=choice]:checked")?.value,
  ]);
  const focused = region.contains(document.activeElement) ? document.activeElement : null;
  const position = focused && [...region.querySelectorAll("input, button")].indexOf(focused);
  region.innerHTML = html;
  for (const [offered, value] of picked) {
    const again = region.querySelector(`form[data-offered="${offered}"] input[name=choice][value="${value}"]`);
    if (again) again.checked = true;
  }
  if (!focused) return;
  const next = region.querySelectorAll("input, button")[position] ?? region.querySelector("h3") ?? page;
  next.focus({ preventScroll: true });
}

function show(state) {
  version = state.version;
  for (const [name, html] of Object.entries(state.regions)) {
    if (regions[name] !== html) replace(name, html);
  }
  regions = state.regions;
  document.getElementById("news").textContent = say("changed", { what: state.news });
}

let regions = {};

async function ask() {
  clearTimeout(timer);
  if (asking) return asking;
  asking = (async () => {
    try {
      const got = await fetch(page.dataset.state, {
        headers: { "If-None-Match": `"${version}"` },
        cache: "no-store",
        signal: AbortSignal.timeout(10_000),
      });
      if (got.status === 403 || got.status === 404) return location.reload();
      if (got.status !== 304 && !got.ok) throw new Error(`status ${got.status}`);
      const state = got.status === 304 ? null : await got.json();
      reached();
      if (state && state.version !== version) show(state);
    } catch {
      failures += 1;
      away();
    } finally {
      asking = null;
      plan();
    }
  })();
  return asking;
}

// What is under way may have looked before the change.
async function askAfresh() {
  if (asking) await asking;
  await ask();
}

function plan() {
  clearTimeout(timer);
  if (document.hidden) return;
  const live = feed?.state === "live" && failures === 0;
  const wait = live ? livePollMs : Math.min(MOST_MS, pollMs * 2 ** Math.min(failures, 10));
  timer = setTimeout(ask, wait * (0.8 + 0.4 * Math.random()));
}

async function send(form, button) {
  button.setAttribute("aria-disabled", "true");
  tell(say("sending"));
  try {
    const got = await fetch(form.action, {
      method: "POST",
      body: new URLSearchParams(new FormData(form)),
      headers: { Accept: "application/json" },
      signal: AbortSignal.timeout(30_000),
    });
    tell((await got.json()).message);
    await askAfresh();
  } catch {
    tell(say("not_sent"));
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

function tell(text) {
  answer.hidden = false;
  answer.textContent = text;
  answer.scrollIntoView({ block: "nearest" });
}

document.addEventListener("submit", (event) => {
  event.preventDefault();
  const button = event.target.querySelector("button");
  if (button.getAttribute("aria-disabled") !== "true") send(event.target, button);
});
addEventListener("online", () => {
  feed?.hurry();
  ask();
});
addEventListener("offline", away);
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    clearTimeout(timer);
    feed?.stop();
  } else {
    feed?.start();
    ask();
  }
});
setInterval(() => saidAway && away(), 5_000);
plan();

function listen({ TripFeed }) {
  feed = new TripFeed({
    url: location.origin,
    trip: new URL(page.dataset.state, location.href).searchParams.get("token"),
    onChange: askAfresh,
    // Whatever was missed until then is asked for now.
    onState: (state) => (state === "live" ? askAfresh() : plan()),
    // Refused for good: the state's own answer says why, if the link is not good any more.
    onError: askAfresh,
  });
  if (!document.hidden) feed.start();
}

import(page.dataset.feed).then(listen, () => {});
