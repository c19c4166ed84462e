// Guards of other people in front of an API: our tokens are accepted with the right key, and with no other.

import express from "express";
import { auth } from "express-oauth2-jwt-bearer";
import * as oauth from "oauth4webapi";
import { play, setting } from "./play.mjs";

const insecure = { [oauth.allowInsecureRequests]: true };
const client = { client_id: setting.client_id };
const newDPoP = async () => oauth.DPoP(client, await oauth.generateKeyPair("ES256"));

/** An access token of the client, and the handle of the key that it is bound to. */
async function obtain() {
    const issuer = new URL(setting.issuer);
    const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, insecure));
    const DPoP = await newDPoP();
    const send = () => oauth.clientCredentialsGrantRequest(
        server, client, oauth.ClientSecretBasic(setting.client_secret),
        { scope: "read", resource: setting.resource }, { DPoP, ...insecure });
    // The first answer brings the nonce.
    await send();
    const tokens = await oauth.processClientCredentialsResponse(server, client, await send());
    return { server, DPoP, token: tokens.access_token };
}

/** The middleware on a port of its own. */
async function expressGuard() {
    const { DPoP, token } = await obtain();
    const app = express();
    app.use(auth({
        issuerBaseURL: setting.issuer,
        audience: setting.resource,
        dpop: { enabled: true, required: true },
    }));
    app.get("/orders", (request, response) => response.json({ client: request.auth.payload.client_id }));
    app.use((error, _request, response, _next) => response.status(error.status ?? 500).set(error.headers).end());
    const listener = app.listen(0, "127.0.0.1");
    await new Promise(resolve => listener.once("listening", resolve));
    const url = new URL(`http://127.0.0.1:${listener.address().port}/orders?page=1`);
    const call = async DPoP => {
        try {
            const response = await oauth.protectedResourceRequest(
                token, "GET", url, undefined, undefined, { DPoP, ...insecure });
            return { status: response.status, body: await response.json() };
        } catch (error) {
            if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error;
            return { status: error.status, error: error.cause.map(challenge => challenge.parameters.error) };
        }
    };
    const served = await call(DPoP);
    const stolen = await call(await newDPoP());
    const bearer = await call(undefined);
    return { served, stolen, bearer };
}

/** The function that judges a request. */
async function validator() {
    const { server, DPoP, token } = await obtain();
    const judge = async DPoP => {
        let request;
        const customFetch = async (url, init) => {
            request = new Request(url, init);
            return new Response("{}");
        };
        const options = { DPoP, [oauth.customFetch]: customFetch, ...insecure };
        await oauth.protectedResourceRequest(
            token, "GET", new URL(setting.orders), undefined, undefined, options);
        try {
            const required = { requireDPoP: true, ...insecure };
            const claims = await oauth.validateJwtAccessToken(server, request, setting.resource, required);
            return { client: claims.client_id };
        } catch (error) {
            return { code: error.code, claim: error.cause?.claim };
        }
    };
    const served = await judge(DPoP);
    const stolen = await judge(await newDPoP());
    const bearer = await judge(undefined);
    return { served, stolen, bearer };
}

await play({ express: expressGuard, validator });
