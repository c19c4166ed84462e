// @atproto/oauth-provider issues the tokens: requests must be pushed, proofs have nonces, and a client is known by the
// URL of its metadata. Somebody signs in and consents through what the provider's pages call. What there is to store is
// in memory. Says where the issuer is, and goes wherever it is told to; an API of its own is beside it.

import { createServer, request } from "node:http";
import { oauthMiddleware } from "@atproto/oauth-provider/middleware";
import { JoseKey, OAuthProvider } from "@atproto/oauth-provider/provider";
import { heard, play, say, setting } from "./play.mjs";

console.info = console.warn = console.log = console.error;

const did = "did:plc:3jpt2mvvsumj2r7eqk4gzzjz";
const account = { did, pds: "did:web:api.example", deactivated: false, handle: "alice.example.org", email: "alice@example.org" };
const now = () => new Date();

/** All stores in one, as its interfaces ask for. */
function memory() {
    const [devices, requests, tokens, signedIn, allowed] = [new Map(), new Map(), new Map(), new Map(), new Map()];
    const unused = names => Object.fromEntries(names.map(name => [name, () => { throw new Error(name); }]));
    const deviceAccount = deviceId => signedIn.has(deviceId) ? {
        deviceId, deviceData: devices.get(deviceId), account, authorizedClients: allowed, ...signedIn.get(deviceId),
    } : null;
    const info = id => {
        const known = tokens.get(id);
        return known ? { id, data: known.data, account, currentRefreshToken: known.refreshTokens.at(-1) ?? null } : null;
    };
    const found = test => {
        for (const [id, known] of tokens) if (test(known)) return info(id);
        return null;
    };
    return {
        ...unused(["createAccount", "deactivateAccount", "deleteAccountConfirm", "deleteAccountRequest",
            "reactivateAccount", "resetPasswordConfirm", "resetPasswordRequest", "updateEmailConfirm",
            "updateEmailRequest", "updateHandle", "verifyEmailConfirm", "verifyEmailRequest",
            "verifyHandleAvailability"]),
        authenticateAccount: () => account,
        getAccount: () => ({ account, authorizedClients: allowed }),
        setAuthorizedClient: (_, clientId, data) => void allowed.set(clientId, data),
        upsertDeviceAccount: deviceId => void signedIn.set(deviceId, { createdAt: now(), updatedAt: now() }),
        getDeviceAccount: deviceAccount,
        removeDeviceAccount: deviceId => void signedIn.delete(deviceId),
        listDeviceAccounts: ({ deviceId }) => [deviceAccount(deviceId)].filter(known => known),
        createDevice: (id, data) => void devices.set(id, data),
        readDevice: id => devices.get(id) ?? null,
        updateDevice: (id, data) => void devices.set(id, { ...devices.get(id), ...data }),
        deleteDevice: id => void devices.delete(id),
        createRequest: (id, data) => void requests.set(id, data),
        readRequest: id => requests.get(id) ?? null,
        updateRequest: (id, data) => void requests.set(id, { ...requests.get(id), ...data }),
        deleteRequest: id => void requests.delete(id),
        consumeRequestCode: code => {
            for (const [requestId, data] of requests) {
                if (data.code === code) return requests.delete(requestId) && { requestId, data };
            }
            return null;
        },
        createToken: (id, data, refreshToken) => void tokens.set(id, { data, refreshTokens: [refreshToken] }),
        readToken: info,
        deleteToken: id => void tokens.delete(id),
        rotateToken: (id, nextId, refreshToken, more) => {
            const { data, refreshTokens } = tokens.get(id);
            tokens.delete(id);
            tokens.set(nextId, { data: { ...data, ...more }, refreshTokens: [...refreshTokens, refreshToken] });
        },
        findTokenByRefreshToken: token => found(known => known.refreshTokens.includes(token)),
        findTokenByCode: code => found(known => known.data.code === code),
        listAccountTokens: () => [...tokens.keys()].map(info),
        findLexicon: () => null,
        storeLexicon: () => {},
        deleteLexicon: () => {},
    };
}

/** The documents that clients are known by, as if they had been fetched. */
function documents() {
    const { kty, crv, x, y, kid, alg } = setting.client_key;
    const common = {
        client_uri: "https://app.example.com",
        scope: "atproto",
        grant_types: ["authorization_code", "refresh_token"],
        response_types: ["code"],
        dpop_bound_access_tokens: true,
    };
    return {
        "https://app.example.com/native.json": {
            ...common, application_type: "native", redirect_uris: [setting.redirect_uri],
            token_endpoint_auth_method: "none",
        },
        "https://app.example.com/web.json": {
            ...common, application_type: "web", redirect_uris: ["https://app.example.com/callback"],
            token_endpoint_auth_method: "private_key_jwt", token_endpoint_auth_signing_alg: "ES256",
            jwks: { keys: [{ kty, crv, x, y, kid, alg, use: "sig" }] },
        },
    };
}

async function start() {
    const known = documents();
    const listener = createServer();
    await new Promise(resolve => listener.listen(0, "127.0.0.1", resolve));
    const issuer = `http://127.0.0.1:${listener.address().port}`;
    const provider = new OAuthProvider({
        issuer,
        keyset: [await JoseKey.generate(["ES256"], "1")],
        store: memory(),
        safeFetch: async input => {
            const url = new Request(input).url;
            if (!known[url]) return new Response("", { status: 404 });
            return Response.json({ client_id: url, ...known[url] });
        },
    });
    const routes = oauthMiddleware(provider, { onError: (_request, _response, error, text) => console.error(text, error) });
    listener.on("request", (incoming, outgoing) => {
        if (incoming.url.startsWith("/xrpc/")) return guarded(provider, incoming, outgoing);
        routes(incoming, outgoing, error => outgoing.writeHead(error ? 500 : 404).end(String(error ?? "")));
    });
    return issuer;
}

/** An API whose guard is the provider's own. */
async function guarded(provider, incoming, outgoing) {
    const url = new URL(incoming.url, provider.issuer);
    outgoing.setHeader("DPoP-Nonce", provider.nextDpopNonce());
    try {
        const claims = await provider.authenticateRequest(incoming.method, url, incoming.headers, { audience: [account.pds] });
        outgoing.writeHead(200, { "content-type": "application/json" })
            .end(JSON.stringify({ client: claims.client_id, sub: claims.sub }));
    } catch (error) {
        console.error(error);
        const challenge = error.wwwAuthenticateHeader;
        outgoing.writeHead(error.statusCode ?? 401, challenge && { "www-authenticate": challenge }).end(String(error));
    }
}

/** One request of a browser's, as the provider's pages make it. */
function send(url, method, headers, body) {
    return new Promise((resolve, reject) => {
        const outgoing = request(url, { method, headers }, incoming => {
            const parts = [];
            incoming.on("data", part => parts.push(part)).on("error", reject);
            incoming.on("end", () => resolve({ ...incoming, headers: incoming.headers, body: Buffer.concat(parts).toString() }));
        });
        outgoing.on("error", reject).end(body);
    });
}

/** Opens the authorization page, signs in, consents; gives where the provider sends the browser. */
async function signIn(begin) {
    const [page, jar] = [new URL(begin), new Map()];
    const go = async (url, method, headers, body) => {
        const cookie = [...jar].map(pair => pair.join("=")).join("; ");
        const response = await send(url, method, { cookie, ...headers }, body);
        for (const line of response.headers["set-cookie"] ?? []) {
            const [name, value] = line.split(";")[0].split(/=(.*)/s);
            jar.set(name, value);
        }
        return response;
    };
    const navigate = { "sec-fetch-mode": "navigate", "sec-fetch-dest": "document" };
    const opened = await go(page, "GET", { ...navigate, "sec-fetch-site": "none" });
    if (opened.headers.location) return opened.headers.location;
    const api = async (name, body, more) => {
        const headers = {
            "content-type": "application/json", accept: "application/json", "sec-fetch-mode": "same-origin",
            "sec-fetch-site": "same-origin", origin: page.origin, referer: page.href,
            "x-csrf-token": jar.get("csrf-token"), ...more,
        };
        const response = await go(new URL(`/@atproto/oauth-provider/~api/${name}`, page), "POST", headers, JSON.stringify(body));
        return JSON.parse(response.body);
    };
    const { ephemeralToken } = await api("sign-in", { locale: "en", username: "alice", password: "correct horse", remember: false });
    const consent = await api("consent", { did, scope: "atproto" }, { authorization: `Bearer ${ephemeralToken}` });
    if (!consent.url) throw new Error(JSON.stringify(consent));
    const sent = await go(consent.url, "GET", { ...navigate, "sec-fetch-site": "same-origin", referer: page.href });
    return sent.headers.location ?? sent.body;
}

/** Issues until the test has seen enough. */
async function issue() {
    say({ issuer: await start() });
    for (let told = await heard(); told; told = await heard()) say({ came_back: await signIn(told) });
    return {};
}

await play({ issue });
