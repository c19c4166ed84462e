// oauth4webapi: it makes each request once, so that what a nonce challenge leads to stands here.

import * as oauth from "oauth4webapi";
import { clientKey, play, setting, visit } from "./play.mjs";

const insecure = { [oauth.allowInsecureRequests]: true };
const client = { client_id: setting.client_id };

async function discover(issuer = new URL(setting.issuer)) {
    const response = await oauth.discoveryRequest(issuer, { algorithm: "oauth2", ...insecure });
    const server = await oauth.processDiscoveryResponse(issuer, response);
    const DPoP = oauth.DPoP(client, await oauth.generateKeyPair("ES256"));
    return { server, DPoP };
}

/** Sends a request and reads its answer, and once more if it was answered with a nonce. */
async function withNonce(send, read) {
    try {
        return await read(await send());
    } catch (error) {
        if (!oauth.isDPoPNonceError(error)) throw error;
        return await read(await send());
    }
}

function orders(DPoP, token) {
    const url = new URL(setting.orders);
    const send = () => oauth.protectedResourceRequest(token, "GET", url, undefined, undefined, { DPoP, ...insecure });
    return withNonce(send, async response => ({ status: response.status, body: await response.json() }));
}

async function pushed(server, DPoP, parameters) {
    const { request_uri } = await withNonce(
        () => oauth.pushedAuthorizationRequest(server, client, oauth.None(), parameters, { DPoP, ...insecure }),
        response => oauth.processPushedAuthorizationResponse(server, client, response),
    );
    return { client_id: client.client_id, request_uri };
}

async function signIn(push) {
    const { server, DPoP } = await discover();
    const verifier = oauth.generateRandomCodeVerifier();
    const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()];
    const parameters = {
        response_type: "code",
        client_id: client.client_id,
        redirect_uri: setting.redirect_uri,
        scope: "openid email read",
        resource: setting.resource,
        code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
        code_challenge_method: "S256",
        dpop_jkt: await DPoP.calculateThumbprint(),
        state,
        nonce,
    };
    const url = new URL(server.authorization_endpoint);
    url.search = new URLSearchParams(push ? await pushed(server, DPoP, parameters) : parameters);
    const answer = oauth.validateAuthResponse(server, client, await visit(url), state);
    const options = { DPoP, ...insecure };
    const tokens = await withNonce(
        () => oauth.authorizationCodeGrantRequest(
            server, client, oauth.None(), answer, setting.redirect_uri, verifier, options),
        async response => {
            const tokens = await oauth.processAuthorizationCodeResponse(
                server, client, response, { expectedNonce: nonce, requireIdToken: true });
            await oauth.validateApplicationLevelSignature(server, response, insecure);
            return tokens;
        },
    );
    const id = oauth.getValidatedIdTokenClaims(tokens);
    const first = await orders(DPoP, tokens.access_token);
    const userinfo = await withNonce(
        () => oauth.userInfoRequest(server, client, tokens.access_token, options),
        response => oauth.processUserInfoResponse(server, client, id.sub, response),
    );
    const refreshed = await withNonce(
        () => oauth.refreshTokenGrantRequest(server, client, oauth.None(), tokens.refresh_token, options),
        response => oauth.processRefreshTokenResponse(server, client, response),
    );
    const second = await orders(DPoP, refreshed.access_token);
    return { id, userinfo, jkt: await DPoP.calculateThumbprint(), orders: [first, second] };
}

/** Reads what the resource says of itself, gets a token from the server that it names, calls, and calls wrongly. */
async function gate(authentication) {
    const resource = new URL(setting.resource);
    const metadata = await oauth.processResourceDiscoveryResponse(
        resource, await oauth.resourceDiscoveryRequest(resource, insecure));
    const { server, DPoP } = await discover(new URL(metadata.authorization_servers[0]));
    const parameters = { scope: metadata.scopes_supported.join(" "), resource: metadata.resource };
    const { access_token } = await withNonce(
        () => oauth.clientCredentialsGrantRequest(
            server, client, authentication, parameters, { DPoP, ...insecure }),
        response => oauth.processClientCredentialsResponse(server, client, response),
    );
    const call = async (by = DPoP, change = {}) => {
        const customFetch = (url, init) => fetch(url, { ...init, ...change });
        const options = { DPoP: by, [oauth.customFetch]: customFetch, ...insecure };
        const url = new URL(setting.orders);
        try {
            const response = await oauth.protectedResourceRequest(
                access_token, "GET", url, undefined, undefined, options);
            return { status: response.status, body: await response.json() };
        } catch (error) {
            if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error;
            const [{ scheme, parameters }] = error.cause;
            return { status: error.status, scheme, error: parameters.error, metadata: parameters.resource_metadata };
        }
    };
    const first = await call();
    const served = [await call(), await call(), await call()];
    const other = oauth.DPoP(client, await oauth.generateKeyPair("ES256"));
    // The first answer brings the nonce to the other key.
    await call(other);
    const refused = {
        otherKey: await call(other),
        sentAsPost: await call(DPoP, { method: "POST" }),
        bearerAlone: await call(undefined, { headers: { authorization: `Bearer ${access_token}` } }),
    };
    return { metadata, jkt: await DPoP.calculateThumbprint(), first, served, refused };
}

async function forItself(authentication) {
    const { server, DPoP } = await discover();
    const parameters = { scope: "read", resource: setting.resource };
    const tokens = await withNonce(
        () => oauth.clientCredentialsGrantRequest(
            server, client, authentication, parameters, { DPoP, ...insecure }),
        response => oauth.processClientCredentialsResponse(server, client, response),
    );
    const answer = await orders(DPoP, tokens.access_token);
    const introspect = async () => oauth.processIntrospectionResponse(
        server, client,
        await oauth.introspectionRequest(server, client, authentication, tokens.access_token, insecure));
    const before = await introspect();
    await oauth.processRevocationResponse(
        await oauth.revocationRequest(server, client, authentication, tokens.access_token, insecure));
    const after = await introspect();
    return { jkt: await DPoP.calculateThumbprint(), orders: [answer], told: { before, after } };
}

await play({
    public: () => signIn(false),
    pushed: () => signIn(true),
    secret: () => forItself(oauth.ClientSecretBasic(setting.client_secret)),
    gate: () => gate(oauth.ClientSecretBasic(setting.client_secret)),
    key: async () => forItself(oauth.PrivateKeyJwt(await clientKey())),
});
