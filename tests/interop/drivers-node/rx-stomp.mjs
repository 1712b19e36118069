// @stomp/rx-stomp: @stomp/stompjs as observables. It reconnects and subscribes again, both by itself.

import { load } from "./packages.mjs";
import StompJs from "./stompjs.mjs";

const { RxStomp, RxStompState } = await load("@stomp/rx-stomp");

export default class Rx extends StompJs {
  opened() {
    const socket = super.opened();
    // The library does not say why a connection ended; a program that wants to know asks the socket.
    if (this.isWebSocket) socket.addEventListener("close", ({ code, reason }) => Object.assign(this, { code, reason }));
    return socket;
  }

  made(configuration) {
    const library = new RxStomp();
    library.configure(configuration);
    library.serverHeaders$.subscribe((headers) => this.heardConnected(headers));
    library.stompErrors$.subscribe((frame) => this.heardError(frame.headers, frame.binaryBody));
    library.unhandledMessage$.subscribe((message) => this.onMessage(message));
    library.unhandledReceipts$.subscribe((frame) => this.heardReceipt(frame.headers));
    library.connectionState$.subscribe((state) => {
      if (state === RxStompState.CLOSED && this.library) this.heardLost(this.code, this.reason);
    });
    return library;
  }

  subscribe(destination, id, ack, more) {
    const unsubHeaders = {}; // asked for when it ends
    const subHeaders = () => this.asking({ id, ack, ...more });
    const watched = this.library.watch({ destination, subHeaders, unsubHeaders });
    const watching = watched.subscribe((message) => this.onMessage(message));
    this.subscriptions.set(id, { watching, unsubHeaders });
  }

  unsubscribe(id, headers) {
    const { watching, unsubHeaders } = this.subscriptions.get(id);
    Object.assign(unsubHeaders, headers);
    watching.unsubscribe();
  }

  begin(transaction) {
    this.library.stompClient.begin(transaction);
  }

  commit(transaction) {
    this.library.stompClient.commit(transaction);
  }

  abort(transaction) {
    this.library.stompClient.abort(transaction);
  }
}
