// Polls the state once per second and shows what is new, as text and never as markup.
"use strict";

const words = JSON.parse(document.body.dataset.words);
const MAX_CARDS = 60;
const POLL_MILLISECONDS = 1000;
let after = Number(document.body.dataset.after); // number of the latest alert

const byId = (id) => document.getElementById(id);
const cards = new Map(); // alert id -> its card
for (const card of byId("list").children) cards.set(card.dataset.id, card); // contained in the page

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function bar(value, most, tone) {
  const made = byId("bar").content.firstElementChild.cloneNode();
  made.value = value;
  made.max = most;
  if (tone) made.classList.add(tone);
  return made;
}

function row(...children) {
  const made = make("li");
  made.append(...children);
  return made;
}

function cardOf(alert) {
  const card = byId("card").content.firstElementChild.cloneNode(true);
  const part = (selector) => card.querySelector(selector);
  card.classList.add(alert.tone, "new");
  Object.assign(card.dataset, { id: alert.alert_id, at: alert.at, rank: alert.rank, urgent: alert.urgent });
  part("h3").textContent = alert.who;
  for (const name of ["risk", "about", "todo", "never", "until"]) part(`.${name}`).textContent = alert[name];
  part(".causes").append(...alert.causes.map((cause) =>
    row(make("span", "", cause.name), bar(cause.percent, 100), make("b", "", cause.text))));
  part(".facts").append(...alert.evidence.map((text) => make("li", "", text)));
  part(".steps").append(...alert.steps.map((text) => make("li", "", text)));
  return card;
}

// Newest first, then by rank: alerts of several partitions arrive out of order.
function isBefore(card, other) {
  const [at, rank, otherAt, otherRank] = [card.dataset.at, card.dataset.rank, other.dataset.at, other.dataset.rank].map(Number);
  return at === otherAt ? rank <= otherRank : at > otherAt;
}

function insert(card) {
  const list = byId("list");
  list.insertBefore(card, Array.from(list.children).find((other) => isBefore(card, other)) ?? null);
}

function mark(card, state) {
  const badge = card.querySelector(".badge"), open = state === "open";
  const shown = words.states[open && card.dataset.urgent === "true" ? "urgent" : state];
  badge.textContent = shown ? shown.name : state;
  badge.className = `badge ${shown ? shown.tone : ""}`;
  card.classList.toggle("ended", !open);
}

function showFigures(update) {
  for (const name of ["clock", "left", "active", "expected"]) byId(name).textContent = update[name];
  byId("history").hidden = update.history === null;
  byId("history").value = update.history ?? 0;
  byId("bands").replaceChildren(...update.bands.map((band, place) =>
    row(make("span", "", band.name), bar(band.count, update.most, `b${place}`), make("b", "", band.text))));
  byId("ends").replaceChildren(...update.ends.map((end) => {
    const one = make("div");
    one.append(make("dt", "", end.name), make("dd", "", end.text));
    return one;
  }));
  byId("parts").replaceChildren(...update.parts.map((part) =>
    row(make("i", part.ready ? "ready" : ""), make("b", "", part.name), make("span", "", part.text))));
}

function showAlerts(update) {
  for (const alert of update.alerts) {
    after = Math.max(after, alert.number);
    if (cards.has(alert.alert_id)) continue;
    const card = cardOf(alert);
    cards.set(alert.alert_id, card);
    insert(card);
  }
  for (const [id, card] of cards) if (id in update.states) mark(card, update.states[id]);
  for (const id of update.delivered) if (cards.has(id)) cards.get(id).querySelector(".sent").hidden = false;
  const list = byId("list");
  while (list.children.length > MAX_CARDS) {
    cards.delete(list.lastElementChild.dataset.id);
    list.lastElementChild.remove();
  }
  byId("none").hidden = cards.size > 0;
}

async function poll() {
  try {
    const answer = await fetch(`state?after=${after}`, { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.statusText);
    const update = await answer.json();
    showFigures(update.figures);
    showAlerts(update);
  } catch {
    byId("left").textContent = words.over;
    return; // the demo has ended; the last state stays on the page
  }
  setTimeout(poll, POLL_MILLISECONDS);
}

poll();
