// The line to the broker: a STOMP client that comes back by itself and loses nothing that was said meanwhile.
//
//   line.introduce(login)                  who we are; somebody else from now on, over a new connection
//   line.listen(destination, handler)      hear what is sent there; goes on after every reconnect
//   line.say(destination, message)         send it once more after every reconnect, until the broker's RECEIPT is there
//   line.hint(destination, message)        send it now or never
//
// A message whose RECEIPT was lost with the connection is sent twice. Whoever receives it knows it by its id.

const { Client, ReconnectionTimeMode, TickerStrategy } = window.StompJs;

const FIRST_WAIT = 1000;
const LONGEST_WAIT = 30_000;
const HEART_BEAT = 4000; // a line that has been silent for twice as long is dead
const MOST_WAITING = 100;

export class Line {
  #client;
  #handlers = new Map(); // destination → { handler, headers, subscription }
  #waiting = new Map(); // id → { destination, body }, in the order in which they were said
  #failures = 0;

  /** What happens is told to `on`: state({ name, until }), connected(), delivered(id), refused(id, why). */
  constructor(url, on) {
    this.on = on;
    // Pages that have lost the same broker must not all come back in the same moment.
    const wait = FIRST_WAIT * (0.8 + 0.4 * Math.random());
    this.#client = new Client({
      brokerURL: url,
      heartbeatIncoming: HEART_BEAT,
      heartbeatOutgoing: HEART_BEAT,
      heartbeatStrategy: TickerStrategy.Worker, // browsers slow the timers of pages in the background, but not these
      connectionTimeout: 10_000,
      reconnectDelay: wait,
      maxReconnectDelay: LONGEST_WAIT,
      reconnectTimeMode: ReconnectionTimeMode.EXPONENTIAL,
      discardWebsocketOnCommFailure: true, // a dead line will not answer that it is closed: do not wait for it
      beforeConnect: () => on.state({ name: "connecting" }),
      onConnect: () => {
        this.#connected();
        on.connected();
      },
      onWebSocketClose: () => this.#lost(wait),
      onUnhandledReceipt: (frame) => this.#settled(frame.headers["receipt-id"], on.delivered),
      onStompError: (frame) =>
        this.#settled(frame.headers["receipt-id"], (id) => on.refused(id, frame.headers.message ?? "")),
    });
    // What the browser knows of the network is sooner known than by silence.
    addEventListener("offline", () => this.#client.forceDisconnect());
    addEventListener("online", () => this.tryNow());
  }

  /** Who we are, as the broker tells others: a session has one login, so another one takes another session. */
  async introduce(login) {
    if (this.#client.connectHeaders.login === login) return;
    this.#client.connectHeaders = { login };
    if (!this.#client.active) return;
    await this.#client.deactivate();
    this.#client.activate();
  }

  open() {
    this.#client.activate();
  }

  close() {
    this.#client.deactivate();
  }

  /** Do not wait for the next try. */
  async tryNow() {
    if (!this.#client.active || this.#client.connected) return;
    await this.#client.deactivate({ force: true });
    this.#failures = 0;
    this.#client.activate();
  }

  /**
   * Call `handler(body, headers)` for what is sent to `destination`; with ack, it stays the broker's until then.
   * `headers()` says what is asked for, anew at each connection: what came since the last message, say.
   */
  listen(destination, handler, headers = () => ({})) {
    const heard = { handler, headers };
    this.#handlers.set(destination, heard);
    if (this.#client.connected) this.#subscribe(destination, heard);
  }

  unlisten(destination) {
    if (this.#client.connected) this.#handlers.get(destination)?.subscription?.unsubscribe();
    this.#handlers.delete(destination);
  }

  /** Send a message, and keep it until the broker has it. False if too many wait already. */
  say(destination, message) {
    if (this.#waiting.size >= MOST_WAITING) return false;
    const waiting = { destination, body: JSON.stringify(message) };
    this.#waiting.set(message.id, waiting);
    if (this.#client.connected) this.#send(message.id, waiting);
    return true;
  }

  hint(destination, message) {
    if (this.#client.connected) this.#client.publish({ destination, body: JSON.stringify(message) });
  }

  #connected() {
    this.#failures = 0;
    this.on.state({ name: "online" });
    // First all ears, then what waits: our own words come back to us, too.
    for (const [destination, heard] of this.#handlers) this.#subscribe(destination, heard);
    for (const [id, waiting] of this.#waiting) this.#send(id, waiting);
  }

  #subscribe(destination, heard) {
    const headers = heard.headers();
    const take = (frame) => {
      heard.handler(frame.body, frame.headers);
      if (headers.ack) frame.ack();
    };
    heard.subscription = this.#client.subscribe(destination, take, headers);
  }

  #send(id, { destination, body }) {
    const headers = { receipt: id, "content-type": "application/json" };
    this.#client.publish({ destination, body, headers });
  }

  #settled(id, tell) {
    if (this.#waiting.delete(id)) tell(id);
  }

  #lost(wait) {
    if (!this.#client.active) return;
    const delay = Math.min(wait * 2 ** this.#failures, LONGEST_WAIT); // as stompjs reckons, which does not tell
    this.#failures += 1;
    this.on.state({ name: "offline", until: Date.now() + delay });
  }
}
