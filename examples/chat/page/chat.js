// The chat: its rooms, its private conversations, and what happens when something is said in them.

import * as kept from "./kept.js";
import { Line } from "./line.js";
import { People } from "./people.js";
import * as view from "./view.js";
import * as words from "./words.js";

const { $ } = view;
const ROOMS = ["lobby", "help"];
const MOST_ENTRIES = 500;
const HISTORY = 50; // messages of a room that somebody who comes there sees
const SAY_TYPING = 3000;

const me = { id: words.newId(), name: "" };
const people = new People();
const conversations = new Map(); // key → conversation; the key is what stands in the address: #room or #@person
let current = null;
let state = { name: "connecting" };

const line = new Line(`${location.origin.replace(/^http/, "ws")}/ws`, {
  state: changeState,
  connected: forgetPeople,
  delivered: (id) => mark(id, "sent"),
  refused: (id) => mark(id, "failed"),
});

const message = (kind, more = {}) => ({ kind, id: words.newId(), from: me, at: Date.now(), ...more });

// ---- conversations ----

function conversation(key, more) {
  const made = { key, entries: [], unread: 0, draft: "", ...more };
  conversations.set(key, made);
  return made;
}

function joinRoom(name) {
  const key = `#${encodeURIComponent(name)}`;
  if (conversations.has(key)) return conversations.get(key);
  const topics = { topic: words.roomTopic(name), presence: words.roomPresence(name), signs: words.roomSigns(name) };
  const room = conversation(key, { name, seen: "", joinedAt: Date.now(), ...topics });
  const missed = () => (room.seen ? { since: room.seen } : { last: `${HISTORY}` });
  line.listen(room.topic, (body, headers) => hearInRoom(room, body, headers), missed);
  line.listen(room.presence, (body, headers) => hearPresence(room, body, headers));
  line.listen(room.signs, (body) => hearSign(room, body));
  remember();
  return room;
}

function talkTo(person) {
  const key = `#@${person.id}`;
  const known = conversations.get(key);
  if (known) return Object.assign(known, { name: person.name, person });
  const more = { name: person.name, person, topic: words.personQueue(person.id), signs: words.personSigns(person.id) };
  return conversation(key, more);
}

function leave({ key, topic, presence, signs, person }) {
  if (!person) {
    [topic, presence, signs].forEach((destination) => line.unlisten(destination));
    people.clear(key);
  }
  conversations.delete(key);
  remember();
  if (key === current.key) location.hash = [...conversations.keys()][0] ?? "#lobby";
  show();
}

const rooms = () => [...conversations.values()].filter(({ person }) => !person);

function remember() {
  kept.set(
    "localStorage",
    "chat.rooms",
    rooms().map(({ name }) => name),
  );
}

// ---- what is there again when the page is loaded anew ----

function keep() {
  if (!current) return;
  current.draft = $("text").value;
  kept.putPage({ me, conversations: [...conversations.values()] });
}

/** Be who we were, where we were. What had no RECEIPT is said again: everybody knows it by its id. */
function restore(page) {
  Object.assign(me, page.me);
  for (const { name, person, ...more } of page.conversations) {
    const to = Object.assign(person ? talkTo(person) : joinRoom(name), more, { joinedAt: 0 });
    const waiting = to.entries.filter((entry) => entry.state === "waiting");
    waiting.forEach((entry) => line.say(to.topic, words.known(entry)));
  }
}

// ---- what is heard ----

/** What is said there, and first what was said before we came, or since the connection was lost. */
function hearInRoom(room, body, headers) {
  const heard = words.read(body);
  if (headers.gap && room.seen)
    add(room, { at: Date.now(), note: "You are back. Some of what others wrote here meanwhile is missing." });
  room.seen = words.cleanSeen(headers["message-id"]);
  if (heard?.kind !== "text") return;
  people.stopped(room.key, heard.from.id);
  add(room, heard);
}

function hearPresence(room, body, { event }) {
  for (const { session, person } of words.readPresence(body)) {
    if (event === "left") people.left(room.key, session);
    else people.came(room.key, session, person);
  }
  show();
}

function hearSign(room, body) {
  const heard = words.read(body);
  if (heard?.kind !== "typing" || heard.from.id === me.id) return;
  people.types(room.key, heard.from);
  show();
}

function hearPrivately(body) {
  const heard = words.read(body);
  if (heard?.kind === "got") mark(heard.of, "read");
  if (heard?.kind !== "text" || heard.from.id === me.id || isTooMuch(heard.from)) return;
  people.stopped(`#@${heard.from.id}`, heard.from.id);
  add(talkTo(heard.from), heard);
  line.say(words.personQueue(heard.from.id), message("got", { of: heard.id }));
}

/** Everybody can claim to be many people: there is an end to the conversations that others can open here. */
const isTooMuch = ({ id }) => conversations.size >= kept.MOST_CONVERSATIONS && !conversations.has(`#@${id}`);

function hearTyping(body) {
  const heard = words.read(body);
  if (heard?.kind !== "typing") return;
  people.types(`#@${heard.from.id}`, heard.from);
  show();
}

/** Take a message into a conversation; one that is there already is our own that came back, or came twice. */
function add(to, entry) {
  if (entry.id && to.entries.some(({ id }) => id === entry.id)) return;
  to.entries.push(entry);
  if (to.entries.length > MOST_ENTRIES) to.entries.shift();
  const isRead = to === current && !document.hidden;
  if (!isRead && entry.text && !(entry.at < to.joinedAt)) to.unread += 1;
  show();
}

/** Our own message has come this far. */
function mark(id, reached) {
  for (const { entries } of conversations.values()) {
    const entry = entries.find((each) => each.id === id);
    if (!entry?.mine || entry.state === "read") continue;
    entry.state = reached;
    if (entry.row) view.showTick(entry, entry.row);
  }
  showLine();
}

// ---- what is said ----

function say(text) {
  const said = message("text", { from: { ...me }, text });
  if (!line.say(current.topic, said)) return false;
  add(current, { ...said, mine: true, state: "waiting" });
  view.toEnd();
  return true;
}

let typedAt = 0;

function sayTyping() {
  if (Date.now() - typedAt < SAY_TYPING) return;
  typedAt = Date.now();
  line.hint(current.signs, message("typing"));
}

/** After every connect the broker tells anew who is there. */
function forgetPeople() {
  for (const room of rooms()) people.clear(room.key);
}

function changeState(now) {
  state = now;
  view.showState(state);
  showLine();
}

// ---- what is shown ----

let isDue = 0;

/** Show soon how things are: once for all that comes in the same moment. */
function show() {
  isDue ||= setTimeout(showNow, 30);
}

function showNow() {
  clearTimeout(isDue);
  isDue = 0;
  if (!current) return;
  const all = [...conversations.values()];
  const here = current.person ? [] : people.in(current.key).filter(({ id }) => id !== me.id);
  const unread = all.reduce((sum, each) => sum + each.unread, 0);
  document.title = `${unread ? `(${unread}) ` : ""}${current.person ? "" : "#"}${current.name} · Chat`;
  $("title").textContent = `${current.person ? "" : "#"}${current.name}`;
  $("subtitle").textContent = subtitle(here);
  $("private-section").hidden = all.every(({ person }) => !person);
  $("people").closest("section").hidden = Boolean(current.person);
  view.showLog(current, openPerson);
  view.showCount($("menu-unread"), unread);
  view.showConversations($("rooms"), rooms(), current, leave);
  view.showConversations(
    $("private"),
    all.filter(({ person }) => person),
    current,
    leave,
  );
  view.showPeople([me, ...here], me, openPerson);
  showLine();
}

function subtitle(here) {
  if (!current.person) return here.length ? `You and ${here.length} more` : "Nobody else is here yet";
  const waits = "Not in your rooms now; what you write waits in a queue";
  return people.isAnywhere(current.person.id) ? "Only the two of you" : waits;
}

/** What changes by itself as time goes by. */
function showLine() {
  if (!current) return;
  const waiting = [...conversations.values()]
    .flatMap(({ entries }) => entries)
    .filter((entry) => entry.state === "waiting");
  view.showCountdown(state, waiting.length);
  view.showTyping(people.typingIn(current.key));
}

function roomInAddress() {
  try {
    const name = decodeURIComponent(location.hash.slice(1));
    return name.startsWith("@") ? "" : words.cleanRoom(name); // an id alone does not say who that is
  } catch {
    return ""; // somebody wrote the address by hand
  }
}

/** Show the conversation that the address names. */
function follow() {
  if (current) current.draft = $("text").value;
  current = conversations.get(location.hash) ?? joinRoom(roomInAddress() || ROOMS[0]);
  if (location.hash !== current.key) history.replaceState(null, "", current.key);
  current.unread = 0;
  $("text").value = current.draft;
  $("text").placeholder = `Message ${current.person ? "" : "#"}${current.name}`;
  fit();
  openSide(false);
  showNow();
  view.reveal(current);
  if (matchMedia("(hover: hover)").matches) $("text").focus(); // elsewhere a keyboard would come up
}

function openPerson(person) {
  if (person.id !== me.id) location.hash = talkTo(person).key;
}

function openSide(isOpen) {
  if ($("main").inert === isOpen) return;
  $("chat").classList.toggle("side-open", isOpen);
  $("menu").ariaExpanded = `${isOpen}`;
  $("main").inert = isOpen;
  $(isOpen ? "rename" : "menu").focus();
  if (isOpen) view.reveal(current);
}

/** The field is as high as its text. */
function fit() {
  const field = $("text");
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}

// ---- what the person does ----

function enter(event) {
  event.preventDefault();
  const name = words.cleanName($("name").value);
  if (!name) return;
  me.name = name;
  kept.set("localStorage", "chat.name", name);
  begin();
  $("text").focus();
}

function begin() {
  $("my-name").textContent = me.name;
  view.portray($("my-avatar"), me);
  $("welcome").hidden = true;
  $("chat").hidden = false;
  line.introduce(words.loginOf(me));
  if (!current) connect();
  follow();
}

function connect() {
  if (!conversations.size) (kept.rooms() ?? ROOMS).forEach(joinRoom);
  line.listen(words.personQueue(me.id), hearPrivately, () => ({ ack: "client-individual" }));
  line.listen(words.personSigns(me.id), hearTyping);
  line.open();
}

function submit(event) {
  event.preventDefault();
  const text = words.cleanText($("text").value);
  if (!text || !say(text)) return;
  $("text").value = "";
  typedAt = 0;
  fit();
}

$("name").value = words.cleanName(kept.get("localStorage", "chat.name"));
$("welcome").addEventListener("submit", enter);
$("composer").addEventListener("submit", submit);
$("text").addEventListener("input", () => {
  fit();
  if ($("text").value) sayTyping();
});
$("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) submit(event);
});
$("join").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = words.cleanRoom($("room").value);
  $("room").value = "";
  if (name) location.hash = joinRoom(name).key;
});
$("rename").addEventListener("click", () => {
  $("chat").hidden = true;
  $("welcome").hidden = false;
  $("name").select();
});
$("menu").addEventListener("click", () => openSide(true));
$("sidebar").addEventListener("keydown", view.walk);
$("backdrop").addEventListener("click", () => openSide(false));
matchMedia("(max-width: 760px)").addEventListener("change", () => openSide(false));
$("newer").addEventListener("click", view.toEnd);
$("log").addEventListener("scroll", view.scrolled);
new ResizeObserver(view.resized).observe($("log"));
["resize", "scroll"].forEach((event) => visualViewport.addEventListener(event, view.fitWindow));
$("retry").addEventListener("click", () => line.tryNow());
addEventListener("keydown", (event) => {
  if (event.key === "Escape") openSide(false);
});
addEventListener("hashchange", () => {
  if (me.name) follow();
});
document.addEventListener("visibilitychange", () => {
  if (document.hidden) keep(); // a phone may end the page without another word
  else if (current) {
    kept.dropPage();
    current.unread = 0;
    show();
  }
});
addEventListener("pagehide", () => {
  keep();
  line.close();
});
addEventListener("pageshow", (event) => {
  if (!event.persisted || !current) return;
  kept.dropPage();
  line.open();
});
setInterval(show, 1000);

const before = kept.takePage();
if (before) {
  restore(before);
  begin();
}
