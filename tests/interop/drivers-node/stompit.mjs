// stompit: TCP and TLS. Bodies are streams, and receipts are callbacks whose ids it makes itself.

import { Adapter, Refused, defined, event, within } from "./adapter.mjs";
import { authority, load } from "./packages.mjs";

const stompit = await load("stompit");

export default class Stompit extends Adapter {
  static hearsBeats = false;
  static confirms = true;

  static escapable(stomp) {
    return { "1.0": ":", 1.1: ":\\\n", 1.2: ":\\\n\r" }[stomp];
  }

  async connect(login, passcode, heartbeat, headers) {
    this.subscriptions = new Map();
    this.transactions = new Map();
    const connectHeaders = defined({ "accept-version": this.stomp, login, passcode, ...headers });
    const options = { host: this.host, port: this.port, timeout: 0, heartbeat, connectHeaders };
    const tls = this.url.protocol === "tls:" ? { ssl: true, ca: authority } : {};
    this.library = stompit.connect({ ...options, ...tls }, (error, client) => {
      if (!error) this.heardConnected(client.headers);
    });
    this.library.on("error", (error) => this.onError(error));
    this.library.on("end", () => this.heardLost());
    await this.answered();
  }

  onError(error) {
    if (error.isApplicationError?.()) this.heardError({ message: error.message }, error.longMessage);
    this.heardLost();
  }

  subscribe(destination, id, ack, more) {
    const subscription = this.library.subscribe({ destination, id, ack, ...more }, async (error, message) => {
      if (error) return;
      const pieces = [];
      for await (const piece of message) pieces.push(piece);
      this.heardMessage(message.headers, Buffer.concat(pieces), message);
    });
    this.subscriptions.set(id, subscription);
  }

  unsubscribe(id) {
    this.subscriptions.get(id).unsubscribe();
  }

  send(destination, body, headers, options) {
    const bytes = Buffer.from(body, "base64");
    this.library.send({ destination, "content-length": bytes.length, ...headers }, options).end(bytes);
  }

  async confirm(destination, body) {
    const confirmed = new Promise((onReceipt, onError) => {
      this.send(destination, body, {}, { onReceipt, onError: (error) => onError(new Refused(error.message)) });
    });
    await within(confirmed, "a receipt");
  }

  ack(key, headers) {
    this.library.ack(this.message(key), headers);
  }

  nack(key, headers) {
    this.library.nack(this.message(key), headers);
  }

  begin(transaction) {
    this.transactions.set(transaction, this.library.begin({ transaction }));
  }

  commit(transaction) {
    this.transactions.get(transaction).commit();
  }

  abort(transaction) {
    this.transactions.get(transaction).abort();
  }

  async leave() {
    await within(
      new Promise((resolve, reject) => this.library.disconnect((error) => (error ? reject(error) : resolve()))),
      "the end",
    );
  }

  async drop() {
    const socket = this.library.getTransportSocket();
    if (socket.closed) return;
    socket.destroy();
    await event(socket, "close");
  }
}
