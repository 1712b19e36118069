// stomp-client: TCP and TLS, STOMP 1.0, one subscription for each destination. It has neither receipts nor
// transactions; it reconnects and subscribes again by itself.

import { Adapter, Refused, defined, event, within } from "./adapter.mjs";
import { authority, require } from "./packages.mjs";

const StompClient = require("stomp-client");

const RECONNECT = { retries: 100, delay: 50 };
const ECHO = "/topic/interop.echo.";
let number = 0;

export default class OldStompClient extends Adapter {
  static hearsBeats = false;
  static confirms = true;

  async connect(user, pass) {
    this.destinations = new Map();
    this.failures = [];
    const tls = this.url.protocol === "tls:" ? { ca: authority } : false;
    this.library = new StompClient({ host: this.host, port: this.port, user, pass, reconnectOpts: RECONNECT, tls });
    this.library.on("error", (error, body) => this.onError(error, body));
    this.library.on("reconnecting", () => this.heardLost());
    // The callback of a subscription is found by the destination of the message: it never hears of a pattern's.
    this.library.on("message", (body, headers) => this.onMessage(body, headers));
    this.library.connect((session) => this.heardConnected({ session }));
    await this.answered();
  }

  onError(error, body) {
    for (const reject of this.failures.splice(0)) reject(new Refused(error.message));
    if (body === undefined) this.heardLost();
    else this.heardError({ ...error, message: error.message }, body);
  }

  onMessage(body, headers) {
    if (!headers.destination.startsWith(ECHO)) this.heardMessage(headers, body, headers);
  }

  subscribe(destination, id, ack) {
    this.destinations.set(id ?? destination, [destination, defined({ id })]);
    this.library.subscribe(destination, defined({ id, ack }), () => {});
  }

  unsubscribe(id) {
    this.library.unsubscribe(...this.destinations.get(id));
  }

  send(destination, body, headers) {
    this.library.publish(destination, Buffer.from(body, "base64").toString(), headers);
  }

  /** Without receipts, a program knows that the broker has its message when it gets one of its own behind it. */
  async confirm(destination, body) {
    const echo = `${ECHO}${process.pid}.${++number}`;
    const confirmed = new Promise((resolve, reject) => {
      this.failures.push(reject);
      this.library.subscribe(echo, { id: echo }, resolve);
    });
    this.send(destination, body);
    this.library.publish(echo, "");
    await within(confirmed, "an echo");
    this.library.unsubscribe(echo, { id: echo });
  }

  ack(key, { transaction }) {
    const headers = this.message(key);
    this.library.ack(headers["message-id"], headers.subscription, transaction);
  }

  async leave() {
    await within(new Promise((resolve) => this.library.disconnect(resolve)), "the end");
  }

  async drop() {
    const { stream } = this.library;
    clearTimeout(this.library._reconnectTimer);
    if (stream.closed) return;
    stream.destroy();
    await event(stream, "close");
  }
}
