// oidc-provider with its adapter in memory, set up to do what Keybound is asked to do: client credentials with a proof, a
// nonce in each proof, and a signed access token.
//
// node oidc_provider.mjs THE_PACKAGE PORT CLIENT_SECRET

import { generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const [entry, port, secret] = process.argv.slice(2);
const { default: Provider } = await import(pathToFileURL(entry));

const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
const key = { ...privateKey.export({ format: "jwk" }), kid: "1", alg: "ES256", use: "sig" };
const provider = new Provider(`http://127.0.0.1:${port}`, {
  clients: [{
    client_id: "basic",
    client_secret: secret,
    token_endpoint_auth_method: "client_secret_basic",
    grant_types: ["client_credentials"],
    redirect_uris: [],
    response_types: [],
    dpop_bound_access_tokens: true,
    id_token_signed_response_alg: "ES256",
  }],
  jwks: { keys: [key] },
  cookies: { keys: [randomBytes(32).toString("hex")] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({
        scope: "read",
        audience: resource,
        accessTokenFormat: "jwt",
        accessTokenTTL: 300,
        jwt: { sign: { alg: "ES256" } },
      }),
    },
  },
});
createServer(provider.callback()).listen(Number(port), "127.0.0.1", () => console.log("ready"));
