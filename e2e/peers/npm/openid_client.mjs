// openid-client: it repeats a request that was answered with a nonce by itself.

import * as client from "openid-client";
import { clientKey, play, setting, visit } from "./play.mjs";

async function discover(authentication) {
    const options = { execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks] };
    const issuer = new URL(setting.issuer);
    const config = await client.discovery(issuer, setting.client_id, undefined, authentication, options);
    const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256"));
    return { config, DPoP };
}

async function orders(config, DPoP, token) {
    const url = new URL(setting.orders);
    const response = await client.fetchProtectedResource(config, token, url, "GET", null, undefined, { DPoP });
    return { status: response.status, body: await response.json() };
}

async function signIn(authentication, build = client.buildAuthorizationUrl) {
    const { config, DPoP } = await discover(authentication);
    const pkceCodeVerifier = client.randomPKCECodeVerifier();
    const [expectedState, expectedNonce] = [client.randomState(), client.randomNonce()];
    const parameters = {
        redirect_uri: setting.redirect_uri,
        scope: "openid email read",
        resource: setting.resource,
        code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
        code_challenge_method: "S256",
        dpop_jkt: await DPoP.calculateThumbprint(),
        state: expectedState,
        nonce: expectedNonce,
    };
    const url = await build(config, parameters, { DPoP });
    const checks = { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true };
    const tokens = await client.authorizationCodeGrant(config, await visit(url), checks, undefined, { DPoP });
    const id = tokens.claims();
    const first = await orders(config, DPoP, tokens.access_token);
    const userinfo = await client.fetchUserInfo(config, tokens.access_token, id.sub, { DPoP });
    const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
    const second = await orders(config, DPoP, refreshed.access_token);
    return { id, userinfo, jkt: await DPoP.calculateThumbprint(), orders: [first, second] };
}

async function forItself(authentication) {
    const { config, DPoP } = await discover(authentication);
    const parameters = { scope: "read", resource: setting.resource };
    const tokens = await client.clientCredentialsGrant(config, parameters, { DPoP });
    const answer = await orders(config, DPoP, tokens.access_token);
    const before = await client.tokenIntrospection(config, tokens.access_token);
    await client.tokenRevocation(config, tokens.access_token);
    const after = await client.tokenIntrospection(config, tokens.access_token);
    return { jkt: await DPoP.calculateThumbprint(), orders: [answer], told: { before, after } };
}

await play({
    public: () => signIn(client.None()),
    pushed: () => signIn(client.None(), client.buildAuthorizationUrlWithPAR),
    secret: () => forItself(client.ClientSecretBasic(setting.client_secret)),
    key: async () => forItself(client.PrivateKeyJwt(await clientKey())),
});
