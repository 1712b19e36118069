// The words of the chat: what is sent, where to, and what of the things that arrive is let in.
//
// Everybody who reaches the broker can send anything to everybody. So nothing that arrives is taken as it is: `read`
// gives a message of known shape and size, or null.

export const LONGEST = { name: 32, room: 40, text: 4000, body: 64 * 1024 };
const ID = /^[0-9a-f]{16}$/;
const cleanId = (id) => (typeof id === "string" && ID.test(id) ? id : "");
const KINDS = new Set(["text", "got", "typing"]);

/** 16 hexadecimal digits that nobody else has. */
export function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

// Control characters but the line feed, those that turn the direction of what stands around them, halves of characters.
const UNWANTED = /(?!\n)[\p{Cc}\p{Cs}\u202A-\u202E\u2066-\u2069]/gu;

const VISIBLE = /[\p{L}\p{N}\p{P}\p{S}]/u;

function cut(text, longest) {
  const short = [...text].slice(0, longest).join("").trim();
  return VISIBLE.test(short) ? short : "";
}

function wanted(text) {
  return typeof text === "string" ? text.slice(0, LONGEST.body).normalize().replace(UNWANTED, "") : "";
}

const oneLine = (text) => wanted(text).replace(/\s+/g, " ").trim();

/** A person's name as it is shown; empty if there is none. */
export function cleanName(text) {
  return cut(oneLine(text), LONGEST.name);
}

/** Somebody's id and name, each empty if there is none. */
export function cleanPerson(found) {
  return { id: cleanId(found?.id), name: cleanName(found?.name) };
}

/** What we log in with: the broker tells it to those who want to know who is in a room. */
export const loginOf = ({ id, name }) => `${id} ${name}`;

/** Those of whom the broker tells in a body: { session, person }, without programs and whoever else is no page. */
export function readPresence(body) {
  try {
    const told = JSON.parse(body).map(({ user, session }) => ({ session, person: personIn(user) }));
    return told.filter(({ person }) => person.id && person.name);
  } catch {
    return [];
  }
}

function personIn(user) {
  const [id, ...name] = `${user}`.split(" ");
  return cleanPerson({ id, name: name.join(" ") });
}

/** The id of a message as the broker makes it, from which on we want to have what was said; empty if it is none. */
export const cleanSeen = (id) => (typeof id === "string" && /^[a-z0-9]{8}-\d{1,18}$/.test(id) ? id : "");

/** A time in the past, in milliseconds. */
export function cleanTime(at) {
  return Math.max(Math.min(Number.isFinite(at) ? at : Infinity, Date.now()), 0);
}

/** A room's name. `Lobby` and `#lobby` are the same room. */
export function cleanRoom(text) {
  return cut(
    oneLine(text)
      .replace(/^[#@\s]+/, "")
      .toLowerCase(),
    LONGEST.room,
  );
}

/** A message's text; it may have several lines. */
export function cleanText(text) {
  return cut(wanted(text), LONGEST.text);
}

/** Names go into destinations, where dots and stars mean something: all but letters, digits and `-` become `_XX`. */
function word(name) {
  const hex = (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
  return encodeURIComponent(name)
    .replace(/[_.!~*'()]/g, hex)
    .replaceAll("%", "_");
}

// What is said in a room, for everybody who is there, and from its history for those who come later.
export const roomTopic = (room) => `/topic/chat.${word(room)}`;

// Who is there: whoever has subscribed to the topic.
export const roomPresence = (room) => `/presence/chat.${word(room)}`;

// What is said to one person. A queue, so that it waits while that person's connection is down. Consumers of a queue
// share its messages, so two people with the same name must not have the same queue: it has the random id of their page.
export const personQueue = (id) => `/queue/chat.${id}`;

// Who types is worth nothing a moment later. It has topics of its own, apart from what is worth keeping.
export const roomSigns = (room) => `/topic/chat-signs.room.${word(room)}`;
export const personSigns = (id) => `/topic/chat-signs.person.${id}`;

/** The message in a body, or null if there is none that we know. */
export function read(body) {
  if (body.length > LONGEST.body) return null;
  try {
    return known(JSON.parse(body));
  } catch {
    return null;
  }
}

/** What we know of a message that may be anything; null if that is no message. */
export function known(found) {
  const message = {
    kind: KINDS.has(found?.kind) ? found.kind : "",
    id: cleanId(found?.id) || newId(), // whoever writes by hand needs none: it only tells what comes twice
    from: cleanPerson(found?.from),
    text: cleanText(found?.text),
    of: cleanId(found?.of),
    at: cleanTime(found?.at),
  };
  const complete = message.kind && message.from.id && message.from.name;
  return complete && (message.text || message.kind !== "text") ? message : null;
}
