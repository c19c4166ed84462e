// What every script needs: whom to talk to, a browser to send somewhere, and a way to say what was seen.

import { createInterface } from "node:readline";

export const setting = JSON.parse(process.env.PEER);

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Sends the browser there; gives the URL that it came back to. */
export async function visit(url) {
    process.stdout.write(JSON.stringify({ visit: String(url) }) + "\n");
    const { value } = await lines.next();
    return new URL(value);
}

/** Plays the flow that the command line names, and ends. */
export async function play(flows) {
    const report = await flows[process.argv[2]]();
    process.stdout.write(JSON.stringify({ report }) + "\n", () => process.exit());
}

/** The key that the client authenticates with. */
export async function clientKey() {
    const { kid, ...jwk } = setting.client_key;
    const algorithm = { name: "ECDSA", namedCurve: "P-256" };
    return { key: await crypto.subtle.importKey("jwk", jwk, algorithm, false, ["sign"]), kid };
}
