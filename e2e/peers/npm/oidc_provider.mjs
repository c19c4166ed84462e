// oidc-provider issues the tokens, oauth4webapi uses them, and a gateway stands before the API. Says where the issuer is,
// reads that the gateway is there, and calls.

import { generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import * as oauth from "oauth4webapi";
import Provider from "oidc-provider";
import { heard, play, say, setting } from "./play.mjs";

// Its notices are for stderr: on stdout the test is spoken to.
console.info = console.error;

const insecure = { [oauth.allowInsecureRequests]: true };
const client = { client_id: "peer" };
const { api_secret: apiSecret } = setting;

const registered = (client_id, client_secret, more) => ({
    client_id,
    client_secret,
    token_endpoint_auth_method: "client_secret_basic",
    grant_types: ["client_credentials"],
    redirect_uris: [],
    response_types: [],
    id_token_signed_response_alg: "ES256",
    ...more,
});

/** The authorization server on a port of its own. */
async function start(accessTokenFormat) {
    const server = createServer();
    await new Promise(resolve => server.listen(0, "127.0.0.1", resolve));
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const key = { ...privateKey.export({ format: "jwk" }), kid: "1", alg: "ES256", use: "sig" };
    const provider = new Provider(`http://127.0.0.1:${server.address().port}`, {
        clients: [
            registered("peer", "secret", { dpop_bound_access_tokens: true }),
            registered("unbound", "secret"),
            registered("api", apiSecret),
        ],
        jwks: { keys: [key] },
        cookies: { keys: [randomBytes(32).toString("hex")] },
        features: {
            devInteractions: { enabled: false },
            clientCredentials: { enabled: true },
            revocation: { enabled: true, allowedPolicy: () => true },
            introspection: { enabled: true, allowedPolicy: (_, asking) => asking.clientId === "api" },
            dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
            resourceIndicators: {
                enabled: true,
                getResourceServerInfo: (_, audience) => ({
                    scope: "read write",
                    audience,
                    accessTokenFormat,
                    accessTokenTTL: 300,
                    jwt: { sign: { alg: "ES256" } },
                }),
            },
        },
    });
    server.on("request", provider.callback());
    return provider.issuer;
}

const newDPoP = async () => oauth.DPoP(client, await oauth.generateKeyPair("ES256"));

/** An access token; bound, if there is a key. */
async function obtain(server, client_id, scope, resource, DPoP) {
    const who = { client_id };
    const send = () => oauth.clientCredentialsGrantRequest(
        server, who, oauth.ClientSecretBasic("secret"), { scope, resource }, { DPoP, ...insecure });
    // The first answer brings the nonce.
    if (DPoP) await send();
    return (await oauth.processClientCredentialsResponse(server, who, await send())).access_token;
}

/** Calls the API, and once more if it is a nonce that is wanted. */
async function call(token, DPoP, again = true) {
    const url = new URL(setting.orders);
    try {
        const response = await oauth.protectedResourceRequest(
            token, "GET", url, undefined, undefined, { DPoP, ...insecure });
        return { status: response.status, body: await response.json() };
    } catch (error) {
        if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error;
        if (again && oauth.isDPoPNonceError(error)) return call(token, DPoP, false);
        return { status: error.status, error: error.cause[0].parameters.error };
    }
}

async function tokens(format) {
    const issuer = await start(format);
    say({ issuer });
    await heard();
    const server = await oauth.processDiscoveryResponse(
        new URL(issuer), await oauth.discoveryRequest(new URL(issuer), insecure));
    const [DPoP, other] = [await newDPoP(), await newDPoP()];
    const token = await obtain(server, "peer", "read", setting.resource, DPoP);
    const served = [await call(token, DPoP), await call(token, DPoP)];
    const refused = {
        stolen: await call(token, other),
        bearer: await call(token),
        unbound: await call(await obtain(server, "unbound", "read", setting.resource)),
        elsewhere: await call(await obtain(server, "peer", "read", setting.resource + "else", DPoP), DPoP),
        small: await call(await obtain(server, "peer", "write", setting.resource, DPoP), DPoP),
        made: await call(token.slice(0, -2) + (token.endsWith("AA") ? "BB" : "AA"), DPoP),
    };
    const revoked = format === "opaque" && await revoke(server, token) && await call(token, DPoP);
    return { format: token.split(".").length, jkt: await DPoP.calculateThumbprint(), served, refused, revoked };
}

/** The end of a token. */
async function revoke(server, token) {
    const response = await oauth.revocationRequest(server, client, oauth.ClientSecretBasic("secret"), token, insecure);
    await oauth.processRevocationResponse(response);
    return true;
}

await play({ jwt: () => tokens("jwt"), opaque: () => tokens("opaque") });
