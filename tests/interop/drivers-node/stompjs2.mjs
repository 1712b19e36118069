// stompjs 2.3.3, which most tutorials still use: WebSocket as in a browser, and its own wrappers for node, overTCP and
// overWS (option `overWS`). One connection for each client.

import { defined } from "./adapter.mjs";
import { require } from "./packages.mjs";
import WebStomp from "./webstomp.mjs";

const Stomp = require("stompjs");

export default class StompJs2 extends WebStomp {
  made([outgoing, incoming]) {
    Stomp.VERSIONS.supportedVersions = () => this.stomp;
    const library = this.chosen();
    library.heartbeat = { outgoing, incoming };
    return library;
  }

  chosen() {
    if (!this.isWebSocket) return Stomp.overTCP(this.host, this.port);
    return this.options.overWS ? Stomp.overWS(this.url.href) : Stomp.client(this.url.href);
  }

  send(destination, body, headers) {
    this.library.send(destination, defined(headers), Buffer.from(body, "base64").toString());
  }

  // The methods of a frame act on the last message of its packet: a loop variable that all of them share.

  ack(key, headers) {
    const message = this.message(key).headers;
    this.library.ack(message["message-id"], message.subscription, headers);
  }

  nack(key, headers) {
    const message = this.message(key).headers;
    this.library.nack(message["message-id"], message.subscription, headers);
  }

  async drop() {
    if (this.lost) return;
    // Its wrappers for node keep the socket to themselves.
    this.library.ws.close();
    await this.closed();
  }
}
