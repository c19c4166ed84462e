// Calls of a page to servers that want proofs (RFC 9449). The private key is made so that no script can read it, and is
// kept in this origin's IndexedDB.

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
const [STORE, NAME] = ["keys", "dpop"];

/** The key pair of this page: the one that is kept, or a new one. */
export async function key() {
    const kept = await inStore("readonly", store => store.get(NAME));
    if (kept) return kept;
    const made = await crypto.subtle.generateKey(ALGORITHM, false, ["sign"]);
    await inStore("readwrite", store => store.put(made, NAME));
    return made;
}

/** Forgets the key: with it go all tokens that are bound to it. To be called when the user signs out. */
export async function forget() {
    await inStore("readwrite", store => store.delete(NAME));
}

/** What tokens are bound to: `dpop_jkt` of an authorization request (RFC 7638). */
export async function thumbprint() {
    const { crv, kty, x, y } = await publicJwk(await key());
    return base64url(await digest(JSON.stringify({ crv, kty, x, y })));
}

/** A proof for one request. */
export async function proof(method, url, { token, nonce } = {}) {
    const pair = await key();
    const header = { typ: "dpop+jwt", alg: "ES256", jwk: await publicJwk(pair) };
    const { origin, pathname } = new URL(url);
    const claims = {
        jti: crypto.randomUUID(),
        htm: method,
        htu: origin + pathname,
        iat: Math.floor(Date.now() / 1000),
        ...(nonce && { nonce }),
        ...(token && { ath: base64url(await digest(token)) }),
    };
    const signed = [header, claims].map(part => base64url(utf8(JSON.stringify(part)))).join(".");
    return `${signed}.${base64url(await crypto.subtle.sign(ALGORITHM, pair.privateKey, utf8(signed)))}`;
}

/** The nonces that servers gave, by origin. */
const nonces = new Map();

/** As `fetch`, with a proof, and under the token if there is one. Asks again once, if the answer is a nonce. */
export async function call(url, { token, method = "GET", headers, ...more } = {}) {
    const { origin } = new URL(url);
    const send = async nonce => {
        const all = new Headers(headers);
        all.set("DPoP", await proof(method, url, { token, nonce }));
        if (token) all.set("Authorization", `DPoP ${token}`);
        const response = await fetch(url, { ...more, method, headers: all });
        if (response.headers.has("DPoP-Nonce")) nonces.set(origin, response.headers.get("DPoP-Nonce"));
        return response;
    };
    const had = nonces.get(origin);
    const response = await send(had);
    const isRefused = response.status === 400 || response.status === 401;
    return isRefused && nonces.get(origin) !== had ? send(nonces.get(origin)) : response;
}

async function publicJwk(pair) {
    const { kty, crv, x, y } = await crypto.subtle.exportKey("jwk", pair.publicKey);
    return { kty, crv, x, y };
}

function utf8(text) {
    return new TextEncoder().encode(text);
}

function digest(text) {
    return crypto.subtle.digest("SHA-256", utf8(text));
}

function base64url(bytes) {
    const text = btoa(String.fromCharCode(...new Uint8Array(bytes)));
    return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

async function inStore(mode, use) {
    const opening = indexedDB.open(STORE, 1);
    opening.onupgradeneeded = () => opening.result.createObjectStore(STORE);
    const database = await done(opening);
    try {
        return await done(use(database.transaction(STORE, mode).objectStore(STORE)));
    } finally {
        database.close();
    }
}

function done(request) {
    return new Promise((resolve, reject) => {
        request.onsuccess = () => resolve(request.result);
        request.onerror = () => reject(request.error);
    });
}
