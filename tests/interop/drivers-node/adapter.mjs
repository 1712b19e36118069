// What every client must offer to the scenarios, and what it tells them. drivers/node_process.py turns it into the same
// blocking calls that Python's clients have.

const PATIENCE = 1000 * Number(process.env.FASTBROKER_TEST_DEADLINE ?? 20);

/** The broker, or the library, said no. */
export class Refused extends Error {}

/** One connection made by the library under test; a file of this directory for each family of libraries. */
export class Adapter {
  /** Whether a program is told of heart-beats that come in. */
  static hearsBeats = true;
  /** Whether `confirm` must be asked, since programs do not choose the ids of receipts. */
  static confirms = false;

  /** The delicate characters that the library can carry in a header value. */
  static escapable(stomp) {
    return stomp === "1.0" ? ":" : "";
  }

  constructor(url, stomp, options, tell) {
    Object.assign(this, { url: new URL(url), stomp, options, tell });
    this.messages = new Map();
    this.answer = new Promise((resolve, reject) => Object.assign(this, { resolve, reject }));
    this.answer.catch(() => {});
  }

  get host() {
    return this.url.hostname;
  }

  get port() {
    return Number(this.url.port);
  }

  get isWebSocket() {
    return this.url.protocol.startsWith("ws");
  }

  /** Wait for the answer to CONNECT. */
  answered() {
    return within(this.answer, "an answer to CONNECT");
  }

  heardConnected(headers) {
    this.tell("connected", headers);
    this.resolve();
  }

  heardMessage(headers, body, native) {
    const key = this.messages.size + 1;
    this.messages.set(key, native);
    this.tell("message", headers, encoded(body), key);
  }

  heardReceipt(headers) {
    this.tell("receipt", headers["receipt-id"], headers);
  }

  heardError(headers, body) {
    this.tell("error", headers, encoded(body));
    this.reject(new Refused(headers.message));
  }

  heardBeat() {
    this.tell("beat");
  }

  heardLost(code = 0, reason = "") {
    this.lost = true;
    this.tell("lost", code, reason);
    this.reject(new Refused("the connection is lost"));
  }

  /** The MESSAGE that a scenario wants to settle. */
  message(key) {
    return this.messages.get(key);
  }
}

/** Only the headers that have a value. */
export function defined(headers) {
  return Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== null && value !== undefined));
}

/** Give up waiting after a while. */
export function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${PATIENCE} ms for ${what}`)), PATIENCE);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** The next event of this kind. */
export function event(emitter, name) {
  return within(new Promise((resolve) => emitter.once(name, resolve)), name);
}

/** A body as JSON can carry it. */
function encoded(body) {
  return Buffer.from(body ?? "").toString("base64");
}

/** Whether bytes can be sent as a string. */
export function isText(body) {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(body);
    return true;
  } catch {
    return false;
  }
}
