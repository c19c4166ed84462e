// A client on Node that calls an API with openid-client, which follows a nonce challenge by itself. It sends as many
// requests as a line on its input says, so many at once, and says when they are answered.
//
// node openid_client.mjs THE_PACKAGE URL TOKEN, and the private key as a JWK in the environment

import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [entry, url, token] = process.argv.slice(2);
const client = await import(pathToFileURL(entry));

const ES256 = { name: "ECDSA", namedCurve: "P-256" };
const { d, ...open } = JSON.parse(process.env.CLIENT_KEY);
const privateKey = await crypto.subtle.importKey("jwk", { ...open, d }, ES256, false, ["sign"]);
const publicKey = await crypto.subtle.importKey("jwk", open, ES256, true, ["verify"]);
const config = new client.Configuration({ issuer: "https://id.example" }, "app");
client.allowInsecureRequests(config);
const DPoP = client.getDPoPHandle(config, { privateKey, publicKey });
const target = new URL(url);

async function send() {
    const answer = await client.fetchProtectedResource(config, token, target, "GET", null, undefined, { DPoP });
    await answer.arrayBuffer();
    if (answer.status !== 200) throw new Error(`not 200, but ${answer.status}`);
}

await send();
console.log("ready");
for await (const line of createInterface({ input: process.stdin })) {
    const [count, atOnce] = line.split(" ").map(Number);
    let left = count;
    const worker = async () => { while (left-- > 0) await send(); };
    await Promise.all(Array.from({ length: atOnce }, worker));
    console.log("done");
}
