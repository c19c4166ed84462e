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

/** Where a page sends its form, and the form: what is hidden in it, and what the person writes. */
function filled(page, written) {
    const [, action] = page.match(/<form[^>]*\baction="([^"]*)"/) ?? [];
    if (!action) return undefined;
    const form = new URLSearchParams();
    for (const [input] of page.matchAll(/<input[^>]*>/g)) {
        const part = name => input.match(new RegExp(`\\b${name}="([^"]*)"`))?.[1];
        const [name, value] = [part("name"), written[part("name")] ?? part("value")];
        if (name && value !== undefined) form.set(name, value);
    }
    return { action, form };
}

/** A person at a browser without scripts, who fills in each form; gives where that led to in the end: a URL elsewhere,
 * or the text of the last page. */
export function hands(written) {
    const jar = new Map();
    const go = async (url, body) => {
        const cookie = [...jar].map(pair => pair.join("=")).join("; ");
        const response = await fetch(url, { method: body ? "POST" : "GET", body, redirect: "manual", headers: { cookie } });
        for (const line of response.headers.getSetCookie()) {
            const [name, value] = line.split(";")[0].split(/=(.*)/s);
            if (value) jar.set(name, value); else jar.delete(name);
        }
        return response;
    };
    return async begin => {
        let [here, response] = [new URL(begin), await go(begin)];
        for (let pages = 0; pages < 12; pages++) {
            const location = response.headers.get("location");
            const page = location ? undefined : await response.text();
            const next = location ? { action: location } : filled(page, written);
            if (!next) return page;
            const there = new URL(next.action, here);
            if (there.origin !== here.origin) return next.form ? `${there}?${next.form}` : String(there);
            [here, response] = [there, await go(there, next.form)];
        }
        throw new Error(`no end of pages at ${here}`);
    };
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
