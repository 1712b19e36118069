// Finds the client libraries: they are installed under build/, not beside these files.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

/** `require` as a program beside the installed libraries has it. */
export const require = createRequire(`${process.env.INTEROP_PACKAGES}/`);

/** Import a library, whatever kind of module it is. */
export async function load(name) {
  const module = await import(pathToFileURL(require.resolve(name)));
  return module.default ?? module;
}

/** The certificate authority of the test's broker. */
export const authority = readFileSync(process.env.INTEROP_AUTHORITY, "utf8");

const WebSocket = require("ws");

/** A WebSocket that trusts the test's certificate, as a browser would that knows the authority. */
export class TrustingWebSocket extends WebSocket {
  constructor(url, protocols) {
    super(url, protocols, { ca: authority });
  }
}

/** Spring's users have SockJS between STOMP and the socket. */
export function openSockJs(url) {
  const SockJs = require("sockjs-client");
  // Without a time it takes a multiple of how long /info took, which may have been a lucky moment.
  return new SockJs(`http://${url.host}${url.pathname}`, null, { timeout: 20_000 });
}

// Where the libraries expect it, as in a browser.
globalThis.WebSocket = TrustingWebSocket;
