// @stomp/stompjs: WebSocket, SockJS (option `sockJs`), and TCP with @stomp/tcp-wrapper. It reconnects by itself, and
// programs subscribe again.

import { Adapter, defined, isText, within } from "./adapter.mjs";
import { load, openSockJs } from "./packages.mjs";

const { Client, Versions } = await load("@stomp/stompjs");
const { TCPWrapper } = await load("@stomp/tcp-wrapper");

const RECONNECT_DELAY = 100;

export default class StompJs extends Adapter {
  static escapable(stomp) {
    // Nothing before 1.2. In 1.2 it takes a backslash in front of c, n or r for an escape that is not there.
    return { "1.0": ":", 1.1: "", 1.2: ":\n\r" }[stomp];
  }

  async connect(login, passcode, heartBeat, headers) {
    this.subscriptions = new Map();
    this.seen = new Map();
    this.library = this.made(this.configuration(login, passcode, heartBeat, headers));
    this.library.activate();
    try {
      await this.answered();
    } catch (error) {
      await this.drop();
      throw error;
    }
  }

  /** What both this library and rx-stomp are configured with. */
  configuration(login, passcode, [outgoing, incoming], headers) {
    const { sockJs, ...options } = this.options;
    this.sockJs = sockJs;
    return {
      webSocketFactory: () => this.opened(),
      stompVersions: new Versions([this.stomp]),
      connectHeaders: defined({ host: "/", login, passcode, ...headers }),
      heartbeatOutgoing: outgoing,
      heartbeatIncoming: incoming,
      reconnectDelay: RECONNECT_DELAY,
      onHeartbeatReceived: () => this.heardBeat(),
      ...options,
    };
  }

  opened() {
    if (!this.isWebSocket) return new TCPWrapper(this.host, this.port);
    if (this.sockJs) return openSockJs(this.url);
    return new WebSocket(this.url.href, new Versions([this.stomp]).protocolVersions());
  }

  made(configuration) {
    return new Client({
      ...configuration,
      onConnect: (frame) => this.onConnect(frame),
      onStompError: (frame) => this.heardError(frame.headers, frame.binaryBody),
      onUnhandledMessage: (message) => this.onMessage(message),
      onUnhandledReceipt: (frame) => this.heardReceipt(frame.headers),
      onWebSocketClose: ({ code, reason }) => this.heardLost(code, reason),
    });
  }

  onConnect(frame) {
    this.heardConnected(frame.headers);
    for (const [destination, headers] of this.subscriptions.values()) this.subscribed(destination, headers);
  }

  subscribe(destination, id, ack, more) {
    const headers = defined({ id, ack, ...more });
    this.subscriptions.set(id, [destination, headers]);
    this.subscribed(destination, headers);
  }

  subscribed(destination, headers) {
    this.library.subscribe(destination, (message) => this.onMessage(message), this.asking(headers));
  }

  /** What a program that wants to miss nothing asks for: at first the last ones, then what came since it heard something. */
  asking({ last, ...headers }) {
    const since = last && this.seen.get(headers.id);
    return defined({ ...headers, ...(since ? { since } : { last }) });
  }

  onMessage(message) {
    this.seen.set(message.headers.subscription, message.headers["message-id"]);
    this.heardMessage(message.headers, message.binaryBody, message);
  }

  unsubscribe(id, headers) {
    this.subscriptions.delete(id);
    this.library.unsubscribe(id, headers);
  }

  send(destination, body, headers) {
    const bytes = Buffer.from(body, "base64");
    const content = isText(bytes) ? { body: bytes.toString() } : { binaryBody: bytes };
    this.library.publish({ destination, headers, ...content });
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
    await within(this.library.deactivate(), "the end");
  }

  async drop() {
    await within(this.library.deactivate({ force: true }), "the end");
  }
}
