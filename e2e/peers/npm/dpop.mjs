// dpop: it makes proofs and nothing else. Everything around them is fetch, so that each thing can also be done wrongly.

import * as DPoP from "dpop";
import { play, setting } from "./play.mjs";

const htu = url => String(url).split("?")[0];

/** An access token of the client, bound to the key. The first answer brings the nonce. */
async function obtain(key) {
    const metadata = await (await fetch(`${setting.issuer}/.well-known/openid-configuration`)).json();
    const url = metadata.token_endpoint;
    const basic = [setting.client_id, setting.client_secret].map(encodeURIComponent).join(":");
    const send = async nonce => fetch(url, {
        method: "POST",
        headers: { authorization: `Basic ${btoa(basic)}`, dpop: await DPoP.generateProof(key, url, "POST", nonce) },
        body: new URLSearchParams({ grant_type: "client_credentials", scope: "read", resource: setting.resource }),
    });
    const challenge = await send();
    return (await (await send(challenge.headers.get("dpop-nonce"))).json()).access_token;
}

async function told(response) {
    const challenge = response.headers.get("www-authenticate");
    return {
        status: response.status,
        scheme: challenge?.split(" ")[0],
        error: challenge?.match(/error="([^"]*)"/)?.[1],
        body: response.ok ? await response.json() : undefined,
    };
}

/** Through the gateway: challenged, served, served again, and refused whatever is not as it should be. */
async function gate() {
    const [key, other] = [await DPoP.generateKeyPair("ES256"), await DPoP.generateKeyPair("ES256")];
    const token = await obtain(key);
    const call = (proof, { method = "GET", scheme = "DPoP", url = setting.orders } = {}) =>
        fetch(url, { method, headers: { authorization: `${scheme} ${token}`, ...(proof && { dpop: proof }) } });
    const proof = (nonce, { by = key, url = setting.orders, method = "GET", ath = token } = {}) =>
        DPoP.generateProof(by, htu(url), method, nonce, ath ?? undefined);

    const first = await call(await proof());
    const nonce = first.headers.get("dpop-nonce");
    const served = [];
    for (let times = 0; times < 3; times++) {
        served.push(await told(await call(await proof(nonce))));
    }
    const once = await proof(nonce);
    await call(once);
    const refused = {
        again: await call(once),
        otherMethod: await call(await proof(nonce, { method: "POST" })),
        sentAsPost: await call(await proof(nonce), { method: "POST" }),
        otherUrl: await call(await proof(nonce, { url: htu(setting.orders) + "/1" })),
        otherToken: await call(await proof(nonce, { ath: token + "x" })),
        noToken: await call(await proof(nonce, { ath: null })),
        otherKey: await call(await proof(nonce, { by: other })),
        otherNonce: await call(await proof("other")),
        bearer: await call(await proof(nonce), { scheme: "Bearer" }),
        bearerAlone: await call(undefined, { scheme: "Bearer" }),
        noProof: await call(undefined),
    };
    for (const name in refused) refused[name] = await told(refused[name]);
    return { jkt: await DPoP.calculateThumbprint(key.publicKey), first: await told(first), served, refused };
}

await play({ gate });
