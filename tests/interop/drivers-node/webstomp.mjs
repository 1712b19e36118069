// webstomp-client: WebSocket and SockJS (option `sockJs`); the version of STOMP follows from the subprotocol. A client has
// one connection in its life.

import { Adapter, defined, within } from "./adapter.mjs";
import { load, openSockJs } from "./packages.mjs";

const webstomp = await load("webstomp-client");

export default class WebStomp extends Adapter {
  async connect(login, passcode, heartBeat, headers) {
    this.library = this.made(heartBeat);
    this.library.debug = (text) => text === "<<< PONG" && this.heardBeat();
    this.library.onreceive = (frame) => this.heardMessage(frame.headers, frame.body, frame);
    this.library.onreceipt = (frame) => this.heardReceipt(frame.headers);
    this.library.connect(
      defined({ host: "/", login, passcode, ...headers }),
      (frame) => this.heardConnected(frame.headers),
      (failure) => this.onFailure(failure),
    );
    await this.answered();
  }

  made([outgoing, incoming]) {
    const { sockJs, ...more } = this.options;
    const options = { heartbeat: { outgoing, incoming }, ...more };
    if (sockJs) return webstomp.over(openSockJs(this.url), options);
    // Without `protocols` it offers all three, 1.0 first, and relies on the broker to choose the best.
    if (this.stomp !== "1.2") options.protocols = [`v${this.stomp.replace(".", "")}.stomp`];
    return webstomp.client(this.url.href, options);
  }

  /** One callback for ERROR and for the end. */
  onFailure(failure) {
    if (failure?.command === "ERROR") this.heardError(failure.headers, failure.body);
    else this.heardLost(failure?.code, failure?.reason);
  }

  subscribe(destination, id, ack, more) {
    const headers = defined({ id, ack, ...more });
    this.library.subscribe(destination, (frame) => this.heardMessage(frame.headers, frame.body, frame), headers);
  }

  unsubscribe(id, headers) {
    this.library.unsubscribe(id, headers);
  }

  send(destination, body, headers) {
    this.library.send(destination, Buffer.from(body, "base64").toString(), headers);
  }

  ack(key, headers) {
    this.message(key).ack(headers);
  }

  nack(key, headers) {
    this.message(key).nack(headers);
  }

  begin(transaction) {
    this.library.begin(transaction);
  }

  commit(transaction) {
    this.library.commit(transaction);
  }

  abort(transaction) {
    this.library.abort(transaction);
  }

  async leave() {
    this.library.disconnect();
    await this.closed();
  }

  async drop() {
    if (this.lost) return;
    // SockJS knows but one way to end.
    if (this.library.ws.terminate) this.library.ws.terminate();
    else this.library.ws.close();
    await this.closed();
  }

  /** The library does not tell of an end that the program asked for; the socket does. */
  async closed() {
    this.onFailure(await within(new Promise((resolve) => (this.library.ws.onclose = resolve)), "the end"));
  }
}
