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

/// Registers itself, signs in, asks who it is, refreshes, signs out, and finds itself signed out.
async function registered() {
    const execute = [client.allowInsecureRequests, client.enableNonRepudiationChecks];
    const metadata = {
        client_name: "A client that came by itself",
        redirect_uris: [setting.redirect_uri],
        post_logout_redirect_uris: [setting.redirect_uri],
        grant_types: ["authorization_code", "refresh_token"],
    };
    const issuer = new URL(setting.issuer);
    const config = await client.dynamicClientRegistration(issuer, metadata, client.ClientSecretBasic(), { execute });
    const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256"));
    const pkceCodeVerifier = client.randomPKCECodeVerifier();
    const authorize = async (more) => {
        const parameters = {
            redirect_uri: setting.redirect_uri,
            scope: "openid email",
            code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
            code_challenge_method: "S256",
            ...more,
        };
        return new URL(await visit(client.buildAuthorizationUrl(config, parameters)));
    };
    const expectedNonce = client.randomNonce();
    const answer = await authorize({ nonce: expectedNonce });
    const checks = { pkceCodeVerifier, expectedNonce, idTokenExpected: true };
    const tokens = await client.authorizationCodeGrant(config, answer, checks, undefined, { DPoP });
    const id = tokens.claims();
    const first = await client.fetchUserInfo(config, tokens.access_token, id.sub, { DPoP });
    const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
    const second = await client.fetchUserInfo(config, refreshed.access_token, id.sub, { DPoP });
    const leave = { post_logout_redirect_uri: setting.redirect_uri, id_token_hint: tokens.id_token, state: "bye" };
    const left = new URL(await visit(client.buildEndSessionUrl(config, leave)));
    const silent = await authorize({ prompt: "none" });
    const dead = await client.refreshTokenGrant(config, refreshed.refresh_token ?? tokens.refresh_token, undefined, { DPoP })
        .then(() => "refreshed", (error) => error.error);
    return {
        client: config.clientMetadata(),
        algorithm: JSON.parse(Buffer.from(tokens.id_token.split(".")[0], "base64url")).alg,
        id,
        userinfo: [first, second],
        left: Object.fromEntries(left.searchParams),
        silent: silent.searchParams.get("error"),
        dead,
    };
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
    registered,
    secret: () => forItself(client.ClientSecretBasic(setting.client_secret)),
    key: async () => forItself(client.PrivateKeyJwt(await clientKey())),
});
