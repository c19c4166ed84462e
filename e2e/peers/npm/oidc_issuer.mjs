// oidc-provider issues the tokens, and somebody signs in there: over HTTP, as a browser would, at its pages for
// development. Says where the issuer is, and goes wherever it is told to.

import { generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import Provider from "oidc-provider";
import { hands, heard, play, say, setting } from "./play.mjs";

// Its notices are for stderr: on stdout the test is spoken to.
console.info = console.warn = console.error;

const grants = ["authorization_code", "refresh_token", "client_credentials", "urn:ietf:params:oauth:grant-type:device_code"];
const [jwt, account] = ["jwt", "alice"];

const registered = (client_id, more) => ({
    client_id,
    grant_types: grants,
    response_types: ["code"],
    redirect_uris: [setting.redirect_uri],
    id_token_signed_response_alg: "ES256",
    authorization_signed_response_alg: "ES256",
    dpop_bound_access_tokens: true,
    ...more,
});

/** With a key of the client's, with a secret, and with neither. */
function clients() {
    const { kty, crv, x, y, kid, alg } = setting.client_key;
    return [
        registered("public", { application_type: "native", token_endpoint_auth_method: "none",
            grant_types: grants.filter(grant => grant !== "client_credentials") }),
        registered("secret", { token_endpoint_auth_method: "client_secret_basic", client_secret: setting.client_secret }),
        registered("post", { token_endpoint_auth_method: "client_secret_post", client_secret: setting.client_secret }),
        registered("key", { token_endpoint_auth_method: "private_key_jwt",
            token_endpoint_auth_signing_alg: "ES256", request_object_signing_alg: "ES256",
            jwks: { keys: [{ kty, crv, x, y, kid, alg, use: "sig" }] } }),
    ];
}

const resource = (_, audience) => ({
    scope: "read write",
    audience,
    accessTokenFormat: jwt,
    accessTokenTTL: 300,
    jwt: { sign: { alg: "ES256" } },
});

/** Each feature is switched on; what is asked for beyond that comes from the setting. */
const features = () => ({
    devInteractions: { enabled: true },
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    revocation: { enabled: true, allowedPolicy: () => true },
    introspection: { enabled: true, allowedPolicy: () => true },
    userinfo: { enabled: true },
    jwtUserinfo: { enabled: true },
    jwtResponseModes: { enabled: true },
    requestObjects: { enabled: true, requireSignedRequestObject: !!setting.require_signed },
    pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: !!setting.require_pushed },
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => !!setting.nonces },
    resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: resource,
    },
});

/** The authorization server on a port of its own. */
async function start() {
    const server = createServer();
    await new Promise(resolve => server.listen(0, "127.0.0.1", resolve));
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const key = { ...privateKey.export({ format: "jwk" }), kid: "1", alg: "ES256", use: "sig" };
    const provider = new Provider(`http://127.0.0.1:${server.address().port}`, {
        clients: clients(),
        jwks: { keys: [key] },
        cookies: { keys: [randomBytes(32).toString("hex")] },
        claims: { openid: ["sub"], email: ["email"] },
        scopes: ["openid", "email", "offline_access"],
        findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, email: `${id}@example.org` }) }),
        issueRefreshToken: (_, client) => client.grantTypeAllowed("refresh_token"),
        rotateRefreshToken: true,
        features: features(),
        renderError: (context, out) => { context.type = "txt"; context.body = JSON.stringify(out); },
    });
    let challenges = 0;
    for (const endpoint of ["grant", "userinfo", "pushed_authorization_request"]) {
        provider.on(`${endpoint}.error`, (_, error) => { challenges += error.error === "use_dpop_nonce"; });
    }
    server.on("request", provider.callback());
    return { issuer: provider.issuer, challenges: () => challenges };
}

/** Issues until the test has seen enough. */
async function issue() {
    const { issuer, challenges } = await start();
    say({ issuer });
    const alice = hands({ login: account, password: "any", user_code: undefined });
    for (let told = await heard(); told; told = await heard()) {
        say(told === "challenges" ? { challenges: challenges() } : { came_back: await alice(told) });
    }
    return {};
}

await play({ issue });
