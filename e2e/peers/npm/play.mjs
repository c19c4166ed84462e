// What every script needs: whom to talk to, a browser to send somewhere, and a way to say what was seen.

import { createInterface } from "node:readline";

export const setting = JSON.parse(process.env.PEER);

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Says one thing to the test. */
export function say(what) {
    process.stdout.write(JSON.stringify(what) + "\n");
}

/** The next thing that the test says. */
export async function heard() {
    return (await lines.next()).value;
}

/** Sends the browser there; gives the URL that it came back to. */
export async function visit(url) {
    say({ visit: String(url) });
    return new URL(await heard());
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
