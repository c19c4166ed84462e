"""requests-oauth2client: it answers challenges of both kinds by itself, and keeps their nonces with the key."""

import requests
from requests_oauth2client import BearerToken, ClientSecretBasic, DPoPKey, OAuth2Client, PrivateKeyJwt, PublicApp

from play import play, setting, visit


def discover(auth):
    # `testing`: the issuer is on a loopback address and speaks http.
    return OAuth2Client.from_discovery_endpoint(
        issuer=setting["issuer"],
        auth=auth,
        redirect_uri=setting["redirect_uri"],
        dpop_bound_access_tokens=True,
        id_token_signed_response_alg="ES256",
        testing=True,
    )


def orders(token):
    session = requests.Session()
    session.auth = token
    response = session.get(setting["orders"])
    return {"status": response.status_code, "body": response.json()}


def sign_in(push):
    client = discover(PublicApp(setting["client_id"]))
    request = client.authorization_request(scope="openid email read", resource=setting["resource"], dpop=True)
    opened = client.pushed_authorization_request(request) if push else request
    answer = request.validate_callback(visit(opened.uri))
    tokens = client.authorization_code(answer, validate=False)
    # It cannot rebuild a `DPoPToken` after the checks, so they are made on a token of the other kind.
    bearer = BearerToken(tokens.access_token, id_token=tokens.id_token)
    claims = bearer.validate_id_token(client, answer).id_token
    first = orders(tokens)
    userinfo = client.userinfo(tokens)
    refreshed = client.refresh_token(tokens)
    second = orders(refreshed)
    return {
        "id": {"iss": claims.issuer, "aud": claims.audiences[0], "sub": claims.subject},
        "userinfo": userinfo,
        "jkt": tokens.dpop_key.dpop_jkt,
        "orders": [first, second],
    }


def for_itself(auth):
    client = discover(auth)
    key = DPoPKey.generate()
    tokens = client.client_credentials(scope="read", resource=setting["resource"], dpop_key=key)
    answer = orders(tokens)
    before = client.introspect_token(tokens)
    client.revoke_access_token(tokens)
    after = client.introspect_token(tokens)
    return {"jkt": key.dpop_jkt, "orders": [answer], "told": {"before": before, "after": after}}


def secret():
    return for_itself(ClientSecretBasic(setting["client_id"], setting["client_secret"]))


def key():
    return for_itself(PrivateKeyJwt(setting["client_id"], setting["client_key"]))


play({
    "public": lambda: sign_in(push=False),
    "pushed": lambda: sign_in(push=True),
    "secret": secret,
    "key": key,
})
