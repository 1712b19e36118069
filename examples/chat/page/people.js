// Who is in which room, as far as they say so themselves: the broker does not tell yet.

const BELIEVED = 150_000; // pages say that they are here every 40 s, but browsers slow the timers of hidden ones
const TYPING = 5000;
const MOST = 500;

export class People {
  #rooms = new Map(); // room → id → { id, name, until }
  #typing = new Map(); // conversation → id → { name, until }

  /** Somebody showed up in a room. */
  seen(room, { id, name }) {
    const people = this.#of(this.#rooms, room);
    if (people.has(id) || people.size < MOST) people.set(id, { id, name, until: Date.now() + BELIEVED });
  }

  left(room, id) {
    this.#of(this.#rooms, room).delete(id);
    this.stopped(room, id);
  }

  /** Forget who was there: the connection was lost, or the room left. */
  clear(room) {
    this.#rooms.delete(room);
    this.#typing.delete(room);
  }

  /** The people in a room by name; two of the same name get a mark, so that they can be told apart. */
  in(room) {
    const people = [...this.#current(this.#rooms, room).values()].sort((a, b) => a.name.localeCompare(b.name));
    const isShared = (name) => people.filter((person) => person.name === name).length > 1;
    return people.map(({ id, name }) => ({ id, name, mark: isShared(name) ? id.slice(0, 4) : "" }));
  }

  isAnywhere(id) {
    return [...this.#rooms.keys()].some((room) => this.#current(this.#rooms, room).has(id));
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
