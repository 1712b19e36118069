// Who is in which room, as the broker tells, and who types, as they tell themselves.

const TYPING = 5000;
const MOST = 500;

export class People {
  #rooms = new Map(); // room → session → { id, name }; a person may have two for a moment
  #typing = new Map(); // conversation → id → { name, until }

  /** Somebody has come into a room, or is there. */
  came(room, session, person) {
    const people = this.#of(this.#rooms, room);
    if (people.has(session) || people.size < MOST) people.set(session, person);
  }

  left(room, session) {
    const people = this.#of(this.#rooms, room);
    if (people.has(session)) this.stopped(room, people.get(session).id);
    people.delete(session);
  }

  /** Forget who was there: the connection was lost, or the room left. */
  clear(room) {
    this.#rooms.delete(room);
    this.#typing.delete(room);
  }

  /** The people in a room by name; two of the same name get a mark, so that they can be told apart. */
  in(room) {
    const byId = new Map([...this.#of(this.#rooms, room).values()].map((person) => [person.id, person]));
    const people = [...byId.values()].sort((a, b) => a.name.localeCompare(b.name));
    const isShared = (name) => people.filter((person) => person.name === name).length > 1;
    return people.map(({ id, name }) => ({ id, name, mark: isShared(name) ? id.slice(0, 4) : "" }));
  }

  isAnywhere(id) {
    return [...this.#rooms.values()].some((people) => [...people.values()].some((person) => person.id === id));
  }

  types(conversation, { id, name }) {
    const people = this.#of(this.#typing, conversation);
    if (people.has(id) || people.size < MOST) people.set(id, { name, until: Date.now() + TYPING });
  }

  stopped(conversation, id) {
    this.#of(this.#typing, conversation).delete(id);
  }

  typingIn(conversation) {
    return [...this.#current(this.#typing, conversation).values()].map(({ name }) => name);
  }

  #of(all, key) {
    if (!all.has(key)) all.set(key, new Map());
    return all.get(key);
  }

  #current(all, key) {
    const found = this.#of(all, key);
    for (const [id, { until }] of found) if (until < Date.now()) found.delete(id);
    return found;
  }
}
