// What is seen. Names and texts of other people get into the page here, always as text nodes and never as HTML.

export const $ = (id) => document.getElementById(id);

const NEAR = 80; // pixels from the end at which the log still follows what comes
const COLOURS = 12;
const MOST_COLOURED = 500;
const MOST_LINKS = 50; // in one message; what follows stays text
const PAUSE = 5 * 60_000; // after which a message shows again who wrote it
const TICKS = {
  waiting: "Waiting for the connection",
  sent: "Sent: the broker has it",
  read: "Delivered",
  failed: "Refused by the broker",
};
const clock = new Intl.DateTimeFormat([], { hour: "2-digit", minute: "2-digit" });
const calendar = new Intl.DateTimeFormat([], { weekday: "long", day: "numeric", month: "long" });

/** An element with properties and children; strings become text. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#icon-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

const colours = new Map(); // a person's id → the number of a colour; who was shown last stands last

/** The person's own colour; if somebody has it already, the one that has been out of use for longest. */
function colourOf(id) {
  const inUse = [...colours.values()];
  const own = parseInt(id.slice(0, 4), 16) % COLOURS;
  const lastUse = (step) => inUse.lastIndexOf((own + step) % COLOURS); // -1: never
  const steps = Array.from({ length: COLOURS }, (_, step) => step);
  return (own + steps.reduce((best, step) => (lastUse(step) < lastUse(best) ? step : best))) % COLOURS;
}

/** Give what shows a person that person's colour. */
function paint(spot, { id }) {
  const colour = colours.get(id) ?? colourOf(id);
  colours.delete(id);
  colours.set(id, colour);
  if (colours.size > MOST_COLOURED) colours.delete(colours.keys().next().value);
  spot.style.setProperty("--hue", 25 + (colour * 360) / COLOURS);
  spot.style.setProperty("--tone", colour % 2); // neighbours in the circle of hues differ in brightness, too
  return spot;
}

/** Make `spot` the picture of a person: initials, in the person's colour. */
export function portray(spot, person) {
  const words = person.name.split(" ").filter(Boolean);
  const initials = (words.length > 1 ? [words[0], words.at(-1)] : words).map((word) => [...word][0]);
  spot.textContent = initials.join("").toUpperCase();
  return paint(spot, person);
}

const avatar = (person) => portray(element("span", { className: "avatar", ariaHidden: "true" }), person);

export function showCount(spot, count) {
  spot.hidden = count === 0;
  spot.textContent = count > 99 ? "99+" : `${count}`;
}

/** Show `items` in a list: each under its key has one <li>, which stays (and keeps the focus) while the item does. */
function fill(list, items, make, update) {
  const old = new Map([...list.children].map((row) => [row.dataset.key, row]));
  const rows = items.map((item) => {
    const row = old.get(item.key) ?? make(item);
    row.dataset.key = item.key;
    update(row, item);
    return row;
  });
  const stay = new Set(rows);
  [...list.children].forEach((row) => stay.has(row) || row.remove());
  rows.forEach((row, at) => row === list.children[at] || list.insertBefore(row, list.children[at] ?? null));
}

/** Scroll the list of conversations, and nothing else, so far that this one can be seen. */
export function reveal({ key }) {
  const row = $("sidebar").querySelector(`li[data-key="${CSS.escape(key)}"]`);
  const list = row.parentElement;
  const lowest = row.offsetTop + row.offsetHeight - list.clientHeight;
  list.scrollTop = Math.min(Math.max(list.scrollTop, lowest), row.offsetTop);
}

const STEPS = { ArrowDown: 1, ArrowUp: -1, Home: -Infinity, End: Infinity };

/** In a list of the side the arrows go from row to row; Tab goes through all that can be pressed. */
export function walk(event) {
  const row = event.target.closest("li");
  if (!row || !(event.key in STEPS)) return;
  event.preventDefault();
  const rows = [...row.parentElement.children].map((each) => each.querySelector("a, button:enabled")).filter(Boolean);
  const next = rows.indexOf(row.querySelector("a, button:enabled")) + STEPS[event.key];
  rows[Math.min(Math.max(next, 0), rows.length - 1)].focus();
}

// ---- the side ----

function conversationRow({ key, person, name, onLeave }) {
  const sign = person ? avatar(person) : element("span", { className: "hash", textContent: "#", ariaHidden: "true" });
  const link = element("a", { href: key }, sign, element("bdi", { className: "cut" }));
  link.append(element("span", { className: "unread" }));
  const leave = element(
    "button",
    { className: "round leave", ariaLabel: `Leave ${name}`, title: "Leave" },
    icon("close"),
  );
  leave.addEventListener("click", onLeave);
  return element("li", {}, link, leave);
}

export function showConversations(list, conversations, current, leave) {
  const items = conversations.map((each) => ({ ...each, onLeave: () => leave(each) }));
  fill(list, items, conversationRow, (row, { key, name, person, unread }) => {
    const link = row.firstChild;
    link.ariaCurrent = key === current.key ? "page" : null;
    link.querySelector("bdi").textContent = name;
    if (person) portray(link.querySelector(".avatar"), person);
    showCount(link.querySelector(".unread"), unread);
  });
}

function personRow({ person, isMe, onTalk }) {
  const talk = element(
    "button",
    { className: "person", disabled: isMe },
    avatar(person),
    element("bdi", { className: "cut" }),
  );
  talk.append(element("small"));
  talk.addEventListener("click", onTalk);
  return element("li", {}, talk);
}

export function showPeople(people, me, talk) {
  const items = people.map((person) => ({
    key: person.id,
    person,
    isMe: person.id === me.id,
    onTalk: () => talk(person),
  }));
  fill($("people"), items, personRow, (row, { person, isMe }) => {
    portray(row.querySelector(".avatar"), person);
    row.querySelector("bdi").textContent = person.name;
    row.querySelector("small").textContent = isMe ? "you" : person.mark;
  });
}

// ---- the messages ----

let shown = null;
let follows = true; // the reader is at the end, and stays there whatever comes and however high the log is
let size = "";

/** Show what is new in a conversation, or all of it if another one was shown; stay at the end if the reader is there. */
export function showLog(conversation, onName) {
  const log = $("log");
  if (shown !== conversation) {
    log.replaceChildren();
    follows = true;
  }
  shown = conversation;
  const { entries } = conversation;
  while (log.firstChild && log.firstChild !== entries[0].row) log.firstChild.remove();
  const known = log.children.length;
  const fresh = entries.slice(known);
  fresh.forEach((entry, at) => (entry.row ??= messageRow(entry, entries[known + at - 1], onName)));
  log.append(...fresh.map(({ row }) => row));
  if (follows) toEnd();
  else if (fresh.length) $("newer").hidden = false;
}

const sizeOf = ({ clientWidth, clientHeight }) => `${clientWidth} ${clientHeight}`;

/** The reader has scrolled. While the log has a size that `resized` has not seen, that is no reader's wish. */
export function scrolled() {
  const log = $("log");
  if (sizeOf(log) !== size) return;
  follows = log.scrollHeight - log.scrollTop - log.clientHeight < NEAR;
  if (follows) $("newer").hidden = true;
}

/** The log has another size: a keyboard came or went, a phone was turned, what is being written has more lines. */
export function resized() {
  size = sizeOf($("log"));
  if (follows) toEnd();
}

/** Some phones lay their keyboard over the page and move it: the page keeps to the part that is seen. */
export function fitWindow() {
  const { height, offsetTop, scale } = visualViewport;
  if (scale > 1.01) return; // it was enlarged with two fingers
  document.body.style.height = `${height}px`;
  document.body.style.translate = `0 ${offsetTop}px`;
}

export function toEnd() {
  follows = true;
  $("log").scrollTop = $("log").scrollHeight;
  $("newer").hidden = true;
}

function messageRow(entry, before, onName) {
  if (entry.note) return element("li", { className: "note", textContent: entry.note });
  const isNewDay = !before?.at || calendar.format(before.at) !== calendar.format(entry.at);
  const goes = before?.from && before.from.id === entry.from.id && entry.at - before.at < PAUSE && !isNewDay;
  const row = element("li", { className: `message${entry.mine ? " mine" : ""}${goes ? " goes-on" : ""}` });
  if (isNewDay) row.append(element("p", { className: "day", textContent: calendar.format(entry.at) }));
  row.append(avatar(entry.from), bubble(entry, onName));
  if (entry.mine) showTick(entry, row);
  return row;
}

// What may stand in an address; it ends before what only ends the sentence, and brackets are part of it in pairs.
const ADDRESS = /\bhttps?:\/\/(?:\([^\s<>"()]*\)|[^\s<>"()])*(?:\([^\s<>"()]*\)|[^\s<>"'().,:;!?…\]}])/giu;

/** A text as it is, and the web addresses in it as links. */
function linked(text) {
  const parts = [];
  let end = 0;
  for (const { 0: found, index } of [...text.matchAll(ADDRESS)].slice(0, MOST_LINKS)) {
    parts.push(text.slice(end, index), link(found));
    end = index + found.length;
  }
  return [...parts, text.slice(end)];
}

/** A link that shows where it leads; one with a user name in front of its host may look like another: it stays text. */
function link(address) {
  const url = URL.canParse(address) && new URL(address);
  if (!url || url.username || url.password) return address;
  // Left to right also within Arabic or Hebrew, where its parts could change places.
  return element("a", { href: url.href, target: "_blank", rel: "noopener noreferrer", dir: "ltr" }, address);
}

function bubble(entry, onName) {
  const name = element(
    "button",
    { className: "name", disabled: entry.mine },
    element("bdi", { textContent: entry.from.name }),
  );
  name.addEventListener("click", () => onName(entry.from));
  const time = element("time", { dateTime: new Date(entry.at).toISOString(), textContent: clock.format(entry.at) });
  const text = element("p", { className: "text", dir: "auto" }, ...linked(entry.text));
  const foot = element("span", { className: "foot" }, time);
  return element("div", { className: "bubble" }, paint(name, entry.from), text, foot);
}

/** How far a message of ours has come. */
export function showTick({ state }, row) {
  row.querySelector(".tick")?.remove();
  const tick = element("span", { className: `tick ${state}`, title: TICKS[state] }, icon(state));
  tick.append(element("span", { className: "unseen", textContent: TICKS[state] }));
  row.querySelector(".foot").append(tick);
}

// ---- the line ----

export function showState({ name }) {
  const words = { connecting: "Connecting…", online: "Online", offline: "Offline" };
  $("state").className = `state ${name}`;
  $("state").textContent = words[name];
  $("offline").hidden = name === "online";
  $("retry").hidden = name !== "offline";
}

export function showCountdown({ name, until }, waiting) {
  const seconds = Math.max(Math.ceil((until - Date.now()) / 1000), 1);
  const kept = waiting ? ` ${waiting === 1 ? "One message waits." : `${waiting} messages wait.`}` : "";
  const next = name === "offline" ? `No connection. Next try in ${seconds} s.` : "Connecting…";
  $("countdown").textContent = next + kept;
}

export function showTyping(names) {
  const several =
    names.length > 2 ? "Several people are typing" : `${names.join(" and ")} ${names[1] ? "are" : "is"} typing`;
  const text = names.length ? `${several}…` : "";
  if ($("typing").textContent !== text) $("typing").textContent = text;
}
