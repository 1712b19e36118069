// Runs one JavaScript client for the scenarios of drivers/scenarios.py.
//
//     node main.mjs ADAPTER URL VERSION [OPTIONS]
//
// Reads calls from standard input and answers on standard output, one JSON object in a line:
//
//     {"call": 1, "client": 1, "method": "connect", "arguments": ["guest", "guest", [0, 0]]}
//     {"client": 1, "event": "connected", "values": [{"version": "1.2"}]}
//     {"answer": 1, "value": null}
//
// An answer has "refused" in place of "value" if the broker said no, and "error" if the library failed.

import { writeSync } from "node:fs";
import { createInterface } from "node:readline";

import { Refused } from "./adapter.mjs";

const [name, url, stomp, options = "{}"] = process.argv.slice(2);
const clients = new Map();

// What a library prints goes to standard error.
console.log = console.info = console.debug = console.error;
// A library that throws where nobody can catch it ends the program that uses it, and so the scenario.
process.on("uncaughtException", (error) => {
  writeSync(1, `${JSON.stringify({ ended: String(error.stack) })}\n`);
  process.exit(1);
});

function say(object) {
  process.stdout.write(`${JSON.stringify(object)}\n`);
}

const { default: Chosen } = await import(`./${name}.mjs`);
say({ hearsBeats: Chosen.hearsBeats, confirms: Chosen.confirms, escapable: Chosen.escapable(stomp) });

for await (const line of createInterface({ input: process.stdin })) {
  const { call, client, method, arguments: values } = JSON.parse(line);
  if (!clients.has(client)) {
    const tell = (event, ...told) => say({ client, event, values: told });
    clients.set(client, new Chosen(url, stomp, JSON.parse(options), tell));
  }
  try {
    say({ answer: call, value: (await clients.get(client)[method](...values)) ?? null });
  } catch (error) {
    say({ answer: call, [error instanceof Refused ? "refused" : "error"]: String(error.stack) });
  }
}
process.exit();
