// Asks once a second what is new and shows it. Whatever comes is put in as text, never as markup.
"use strict";

const words = JSON.parse(document.body.dataset.words);
const shown = new Map(); // alert id -> its card
const MOST = 60; // cards
const PERIOD = 1000; // milliseconds
let after = 0; // number of the latest alert that we have
let first = true;

const byId = (id) => document.getElementById(id);

function make(tag, className, text) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== undefined) node.textContent = text;
  return node;
}

function bar(share, tone) {
  const track = make("div", "bar"), fill = make("span");
  fill.style.width = `${Math.round(100 * share)}%`;
  if (tone) fill.style.setProperty("--tone", tone);
  track.append(fill);
  return track;
}

function listOf(className, items) {
  const list = make("ul", className);
  for (const item of items) list.append(make("li", "", item));
  return list;
}

function cardOf(alert) {
  const card = make("article", first ? "alert" : "alert new");
  card.style.setProperty("--tone", `var(--b${alert.urgent ? 0 : alert.band})`);
  const head = make("header");
  head.append(make("h3", "", alert.who), make("span", "risk", alert.risk));
  head.append(make("span", "about", [alert.segment, alert.worth, alert.opened].filter(Boolean).join(" · ")));
  head.append(make("span", "badge"));
  const why = make("div", "body"), todo = make("div", "body");
  why.append(make("h4", "", words.why));
  const causes = make("ul", "causes");
  for (const cause of alert.causes) {
    const row = make("li");
    row.append(make("span", "", cause.name), bar(cause.percent / 100), make("b", "", `${cause.percent}%`));
    causes.append(row);
  }
  why.append(causes, make("h4", "", words.facts), listOf("facts", alert.evidence));
  const steps = make("ol", "steps");
  for (const step of alert.steps) steps.append(make("li", "", step));
  const channel = words.channels[alert.channel];
  todo.append(make("h4", "", channel ? `${words.todo} · ${channel}` : words.todo), steps);
  if (alert.never.length) todo.append(make("p", "never", `${words.never}${alert.never[0]}`));
  todo.append(make("p", "until", `${words.until}${alert.until}`));
  card.append(head, why, todo);
  return card;
}

function mark(card, state, urgent) {
  const badge = card.querySelector(".badge"), open = state === "open";
  badge.textContent = open && urgent ? words.urgent : words.states[state] ?? state;
  badge.className = `badge ${open ? (urgent ? "urgent" : "open") : state === "lost" ? "" : "good"}`;
  card.classList.toggle("ended", !open);
}

function markDelivered(card) {
  if (!card.querySelector(".sent")) card.querySelector(".about").after(make("span", "sent", words.delivered));
}

function fill(node, children) {
  node.replaceChildren(...children);
}

function showFigures(told) {
  byId("clock").textContent = told.clock;
  byId("left").textContent = told.left;
  const history = byId("history");
  history.hidden = told.history === null;
  if (told.history !== null) {
    history.firstElementChild.style.width = `${told.history}%`;
    history.setAttribute("aria-valuenow", told.history);
  }
  const most = Math.max(1, ...told.bands.map((band) => band.count));
  fill(byId("bands"), told.bands.map((band, place) => {
    const row = make("li");
    row.append(make("span", "", band.name), bar(band.count / most, `var(--b${place})`), make("b", "", band.said));
    return row;
  }));
  byId("active").textContent = told.active;
  byId("expected").textContent = told.expected;
  fill(byId("ends"), told.ends.map((end) => {
    const one = make("div");
    one.append(make("dt", "", end.name), make("dd", "", end.said));
    return one;
  }));
  fill(byId("parts"), told.parts.map((part) => {
    const row = make("li");
    row.append(make("i", part.well ? "well" : ""), make("b", "", part.name), make("span", "", part.said));
    return row;
  }));
}

function showAlerts(told) {
  for (const alert of told.alerts) {
    if (shown.has(alert.alert_id)) continue;
    const card = cardOf(alert);
    shown.set(alert.alert_id, { card, urgent: alert.urgent });
    byId("list").prepend(card);
    after = Math.max(after, alert.number);
  }
  for (const [id, one] of shown) {
    if (id in told.states) mark(one.card, told.states[id], one.urgent);
  }
  for (const id of told.delivered) if (shown.has(id)) markDelivered(shown.get(id).card);
  for (const [id, one] of shown) {
    if (shown.size <= MOST) break;
    one.card.remove();
    shown.delete(id);
  }
  byId("none").hidden = shown.size > 0;
  first = false;
}

async function look() {
  try {
    const answer = await fetch(`state?after=${after}`, { cache: "no-store" });
    if (!answer.ok) throw new Error(answer.statusText);
    const told = await answer.json();
    if (told.figures) showFigures(told.figures);
    showAlerts(told);
  } catch {
    byId("left").textContent = words.over;
    return; // the demo has ended: what it showed last stays
  }
  setTimeout(look, PERIOD);
}

look();
