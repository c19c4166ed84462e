// A service on Node that checks each request with oauth4webapi, and besides, as that leaves to who uses it, that the proof
// has our nonce and that it was not used before.
//
// node oauth4webapi.mjs THE_PACKAGE PORT KEYS ISSUER AUDIENCE ANSWER

import { createHmac, randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const [entry, port, keys, issuer, audience, answer] = process.argv.slice(2);
const oauth = await import(pathToFileURL(entry));

const server = { issuer, jwks_uri: `${issuer}/jwks` };
const jwks = readFileSync(keys, "utf8");
const headers = { "content-type": "application/json" };
const options = {
  requireDPoP: true,
  [oauth.customFetch]: async () => new Response(jwks, { headers }),
};

// A nonce is good for the minute that it is made in and the next one; so are the records of proofs.
const secret = randomBytes(32);
const nonceOf = minute => createHmac("sha256", secret).update(String(minute)).digest("base64url");
let minute = 0, nonce = "", former = "", used = new Set(), usedBefore = new Set();
function turn() {
  const now = Math.floor(Date.now() / 60_000);
  if (now === minute) return;
  [usedBefore, used] = [now === minute + 1 ? used : new Set(), new Set()];
  [minute, nonce, former] = [now, nonceOf(now), nonceOf(now - 1)];
}

async function isGood(request) {
  const claims = await oauth.validateJwtAccessToken(server, request, audience, options);
  const proof = JSON.parse(Buffer.from(request.headers.get("dpop").split(".")[1], "base64url"));
  turn();
  if (proof.nonce !== nonce && proof.nonce !== former) return false;
  const record = `${claims.cnf.jkt} ${proof.jti}`;
  if (used.has(record) || usedBefore.has(record)) return false;
  used.add(record);
  return true;
}

createServer(async (incoming, outgoing) => {
  const url = `http://127.0.0.1:${port}${incoming.url}`;
  const request = new Request(url, { method: incoming.method, headers: incoming.headers });
  const good = await isGood(request).catch(() => false);
  if (good) return outgoing.writeHead(200, headers).end(answer);
  turn();
  outgoing.writeHead(401, { "www-authenticate": 'DPoP error="use_dpop_nonce"', "dpop-nonce": nonce }).end();
}).listen(Number(port), "127.0.0.1", () => console.log("ready"));
