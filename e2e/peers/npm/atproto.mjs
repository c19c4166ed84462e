// @atproto/oauth-client: its `fetch` with proofs, which answers challenges of both kinds by itself and remembers a nonce
// for each origin. The client around it speaks to providers of its own network only, so the messages are written here.

import { createHash } from "node:crypto";
import { JoseKey } from "@atproto/jwk-jose";
// Not among what the package exports.
import { dpopFetchWrapper } from "../node_modules/@atproto/oauth-client/dist/fetch-dpop.js";
import { play, setting, visit } from "./play.mjs";

const sha256 = text => createHash("sha256").update(text).digest("base64url");
const random = () => crypto.randomUUID() + crypto.randomUUID();

async function signIn() {
    const server = await (await fetch(`${setting.issuer}/.well-known/oauth-authorization-server`)).json();
    const key = await JoseKey.generate(["ES256"]);
    const { crv, kty, x, y } = key.bareJwk;
    const jkt = sha256(JSON.stringify({ crv, kty, x, y }));
    const wrap = isAuthServer => dpopFetchWrapper({
        key,
        supportedAlgs: server.dpop_signing_alg_values_supported,
        nonces: new Map(),
        isAuthServer,
    });
    const [atProvider, atResource] = [wrap(true), wrap(false)];
    const token = async parameters => {
        const body = new URLSearchParams({ client_id: setting.client_id, ...parameters });
        const response = await atProvider(server.token_endpoint, { method: "POST", body });
        if (!response.ok) throw new Error(await response.text());
        return response.json();
    };
    const call = async (url, tokens) => {
        const response = await atResource(url, { headers: { Authorization: `DPoP ${tokens.access_token}` } });
        return { status: response.status, body: await response.json() };
    };
    const [verifier, state] = [random(), random()];
    const url = new URL(server.authorization_endpoint);
    url.search = new URLSearchParams({
        response_type: "code",
        client_id: setting.client_id,
        redirect_uri: setting.redirect_uri,
        scope: "openid email read",
        resource: setting.resource,
        code_challenge: sha256(verifier),
        code_challenge_method: "S256",
        dpop_jkt: jkt,
        state,
    });
    const answer = (await visit(url)).searchParams;
    if (answer.get("state") !== state || answer.get("iss") !== setting.issuer) throw new Error(String(answer));
    const tokens = await token({
        grant_type: "authorization_code",
        code: answer.get("code"),
        code_verifier: verifier,
        redirect_uri: setting.redirect_uri,
    });
    const id = JSON.parse(Buffer.from(tokens.id_token.split(".")[1], "base64url"));
    const first = await call(setting.orders, tokens);
    const userinfo = await call(server.userinfo_endpoint, tokens);
    const refreshed = await token({ grant_type: "refresh_token", refresh_token: tokens.refresh_token });
    const second = await call(setting.orders, refreshed);
    return { id, userinfo: userinfo.body, jkt, orders: [first, second] };
}

await play({ public: signIn });
