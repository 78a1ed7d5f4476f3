// Asks once a second what is new and shows it. Whatever comes is put in as text, never as markup.
"use strict";

const words = JSON.parse(document.body.dataset.words);
const MOST = 60; // cards
const PERIOD = 1000; // milliseconds
let after = Number(document.body.dataset.after); // number of the latest alert that we have

const byId = (id) => document.getElementById(id);
const cards = new Map(); // alert id -> its card
for (const card of byId("list").children) cards.set(card.dataset.id, card); // those that came with the page

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
    row(make("span", "", cause.name), bar(cause.percent, 100), make("b", "", cause.said))));
  part(".facts").append(...alert.evidence.map((text) => make("li", "", text)));
  part(".steps").append(...alert.steps.map((text) => make("li", "", text)));
  return card;
}

// The newest first, and of one moment the most pressing: partitions tell of theirs as they come to it.
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
  const told = words.states[open && card.dataset.urgent === "true" ? "urgent" : state];
  badge.textContent = told ? told.name : state;
  badge.className = `badge ${told ? told.tone : ""}`;
  card.classList.toggle("ended", !open);
}

function showFigures(told) {
  for (const name of ["clock", "left", "active", "expected"]) byId(name).textContent = told[name];
  byId("history").hidden = told.history === null;
  byId("history").value = told.history ?? 0;
  byId("bands").replaceChildren(...told.bands.map((band, place) =>
    row(make("span", "", band.name), bar(band.count, told.most, `b${place}`), make("b", "", band.said))));
  byId("ends").replaceChildren(...told.ends.map((end) => {
    const one = make("div");
    one.append(make("dt", "", end.name), make("dd", "", end.said));
    return one;
  }));
  byId("parts").replaceChildren(...told.parts.map((part) =>
    row(make("i", part.well ? "well" : ""), make("b", "", part.name), make("span", "", part.said))));
}

function showAlerts(told) {
  for (const alert of told.alerts) {
    after = Math.max(after, alert.number);
    if (cards.has(alert.alert_id)) continue;
    const card = cardOf(alert);
    cards.set(alert.alert_id, card);
    insert(card);
  }
  for (const [id, card] of cards) if (id in told.states) mark(card, told.states[id]);
  for (const id of told.delivered) if (cards.has(id)) cards.get(id).querySelector(".sent").hidden = false;
  const list = byId("list");
  while (list.children.length > MOST) {
    cards.delete(list.lastElementChild.dataset.id);
    list.lastElementChild.remove();
  }
  byId("none").hidden = cards.size > 0;
}

async function look() {
  try {
    const answer = await fetch(`state?after=${after}`, { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.statusText);
    const told = await answer.json();
    showFigures(told.figures);
    showAlerts(told);
  } catch {
    byId("left").textContent = words.over;
    return; // the demo has ended: what it showed last stays
  }
  setTimeout(look, PERIOD);
}

look();
