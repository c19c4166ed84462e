// An API behind guards of other people, which take tokens of one issuer with proofs and no others: a middleware for
// express, and the function of oauth4webapi. Says where they are, and stays until it is told nothing more.

import { createServer } from "node:http";
import express from "express";
import { auth } from "express-oauth2-jwt-bearer";
import * as oauth from "oauth4webapi";
import { heard, play, say, setting } from "./play.mjs";

const insecure = { [oauth.allowInsecureRequests]: true };
const { issuer, audience } = setting;

/** On a port of its own. */
async function listen(handler) {
    const server = createServer(handler);
    await new Promise(resolve => server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${server.address().port}`;
}

function middleware() {
    const app = express();
    app.use(auth({ issuerBaseURL: issuer, audience, dpop: { enabled: true, required: true } }));
    app.all("/orders", (request, response) => response.json({ by: "express", client: request.auth.payload.client_id }));
    app.use((error, _request, response, _next) => response.status(error.status ?? 500).set(error.headers).end());
    return app;
}

/** Asks for no nonce, since the function knows none; what it refuses is a challenge. */
async function validator() {
    const url = new URL(issuer);
    const found = await oauth.discoveryRequest(url, insecure);
    const server = await oauth.processDiscoveryResponse(url, found);
    return async (incoming, outgoing) => {
        const url = `http://${incoming.headers.host}${incoming.url}`;
        const request = new Request(url, { method: incoming.method, headers: incoming.headers });
        const answer = (status, headers, body) => outgoing.writeHead(status, headers).end(body);
        try {
            const claims = await oauth.validateJwtAccessToken(server, request, audience, { requireDPoP: true, ...insecure });
            answer(200, { "content-type": "application/json" },
                JSON.stringify({ by: "oauth4webapi", client: claims.client_id }));
        } catch (error) {
            console.error(error);
            answer(401, { "www-authenticate": 'DPoP error="invalid_token", algs="ES256"' });
        }
    };
}

async function guard() {
    say({ express: await listen(middleware()), validator: await listen(await validator()) });
    while (await heard()) { /* until nothing more comes */ }
    return {};
}

await play({ guard });
