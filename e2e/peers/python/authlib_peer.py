"""Authlib: OpenID Connect as it was before DPoP."""

from authlib.common.urls import add_params_to_uri
from authlib.integrations.requests_client import OAuth2Session
from authlib.oidc.core import CodeIDToken
from joserfc import jwt
from joserfc.jwk import KeySet

from play import play, setting, visit


def sign_in():
    session = OAuth2Session(
        setting["client_id"],
        setting["client_secret"],
        scope="openid email",
        redirect_uri=setting["redirect_uri"],
        code_challenge_method="S256",
    )
    metadata = session.request("GET", setting["issuer"] + "/.well-known/openid-configuration", withhold_token=True).json()
    verifier, nonce = "v" * 64, "an-unguessable-nonce"
    url, state = session.create_authorization_url(metadata["authorization_endpoint"], code_verifier=verifier, nonce=nonce)
    tokens = session.fetch_token(
        metadata["token_endpoint"], authorization_response=visit(url), state=state, code_verifier=verifier
    )
    keys = session.request("GET", metadata["jwks_uri"], withhold_token=True).json()
    decoded = jwt.decode(tokens["id_token"], KeySet.import_key_set(keys), algorithms=["ES256"])
    claims = CodeIDToken(
        decoded.claims,
        decoded.header,
        options={"iss": {"essential": True, "values": [setting["issuer"]]}},
        params={"client_id": setting["client_id"], "nonce": nonce, "access_token": tokens["access_token"]},
    )
    claims.validate()
    first = session.get(metadata["userinfo_endpoint"]).json()
    session.refresh_token(metadata["token_endpoint"], tokens["refresh_token"])
    second = session.get(metadata["userinfo_endpoint"]).json()
    leave = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": setting["redirect_uri"], "state": "bye"}
    left = visit(add_params_to_uri(metadata["end_session_endpoint"], leave.items()))
    return {"id": dict(claims), "userinfo": [first, second], "left": left}


play({"legacy": sign_in})
