// What is kept in the browser: the name and the rooms for the next visit; and for this window when it is loaded anew
// also who we are, what was said last, up to where we know it, and what the broker does not have yet.
//
// Storage can be full, or forbidden so that even to ask for it throws: then less is kept, and all else goes on. What is
// found there is let in as what arrives is.

import * as words from "./words.js";

export const MOST_CONVERSATIONS = 100;
const PAGE = "chat.page";
const LINES = 50; // of one conversation
const MOST_ENTRIES = 150; // with what waits for the broker
const MOST_CHARACTERS = 1_000_000; // of all together
const STATES = ["waiting", "sent", "read", "failed"];

/** What is kept under a key in `localStorage` or `sessionStorage`; null if nothing is. */
export function get(storage, key) {
  try {
    return JSON.parse(window[storage].getItem(key));
  } catch {
    return null;
  }
}

/** Keep something that JSON can say; false if that cannot be. */
export function set(storage, key, value) {
  try {
    window[storage].setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

/** The names of the rooms of the last visit; null if there was none. */
export function rooms() {
  const found = get("localStorage", "chat.rooms");
  return Array.isArray(found) ? found.slice(0, MOST_CONVERSATIONS).map(words.cleanRoom).filter(Boolean) : null;
}

// ---- when the page is loaded anew ----

/** Keep a page: { me, conversations }, and of what was said as many of the last lines as there is room for. */
export function putPage({ conversations, ...page }) {
  for (let lines = LINES; ; lines >>= 1) {
    const kept = { ...page, conversations: conversations.map((each) => shortened(each, lines)) };
    if ((JSON.stringify(kept).length < MOST_CHARACTERS && set("sessionStorage", PAGE, kept)) || !lines) return;
  }
}

function shortened({ name, person, unread, draft, seen, entries }, lines) {
  const isLast = (at) => at >= entries.length - lines && !(entries[at].note && entries[at + 1]?.note);
  const last = entries.filter(({ state }, at) => state === "waiting" || isLast(at));
  return { name, person, unread, draft, seen, entries: last.map(({ row, ...entry }) => entry) };
}

/** Nothing may be kept while the page lives: a copy of its window would be the same person, and share the queue. */
export function dropPage() {
  set("sessionStorage", PAGE, null);
}

/** The page that was here before, if there was one. */
export function takePage() {
  const found = get("sessionStorage", PAGE);
  dropPage();
  const me = words.cleanPerson(found?.me);
  if (!me.id || !me.name) return null;
  const conversations = listOf(found.conversations, MOST_CONVERSATIONS).map(cleanConversation);
  return { me, conversations: conversations.filter(({ name }) => name) };
}

const listOf = (found, most) => (Array.isArray(found) ? found.slice(-most) : []);

function cleanConversation(found) {
  const person = found?.person ? words.cleanPerson(found.person) : null;
  return {
    person,
    name: person ? person.id && person.name : words.cleanRoom(found?.name),
    unread: Number.isSafeInteger(found?.unread) ? Math.max(found.unread, 0) : 0,
    draft: words.cleanText(found?.draft),
    seen: words.cleanSeen(found?.seen),
    entries: listOf(found?.entries, MOST_ENTRIES).map(cleanEntry).filter(Boolean),
  };
}

function cleanEntry(found) {
  const note = words.cleanText(found?.note);
  if (note) return { note, at: words.cleanTime(found.at) };
  const entry = words.known(found);
  if (entry?.kind !== "text") return null;
  return STATES.includes(found.state) ? { ...entry, mine: true, state: found.state } : entry;
}
