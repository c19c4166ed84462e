//! A client that knows OpenID Connect only: it signs a user in, redeems its code without a proof, and calls UserInfo.

use crate::common::{Answer, CALLBACK, Page, World};
use http::Request;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::jws::UnverifiedJwt;
use keybound_oauth::form::FormWriter;
use serde_json::{Map, Value, json};

pub(crate) const SECRET: &str = "a secret of the relying party";
/// The verifier of RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

/// Metadata of the client `rp`, with some members changed.
pub(crate) fn metadata(changes: Value) -> Value {
    let mut metadata = json!({
        "client_id": "rp", "client_secret": SECRET, "redirect_uris": [CALLBACK], "legacy_oidc": true,
        "grant_types": ["authorization_code", "refresh_token"],
    });
    metadata.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    metadata
}

/// A provider with that client alone, where `ada` is known by these claims.
pub(crate) async fn world(changes: Value, claims: Value) -> World {
    let world = World::with_clients(&[metadata(changes)]).await;
    know(&world, claims).await;
    world
}

/// Has `ada` known by these claims.
pub(crate) async fn know(world: &World, claims: Value) {
    let claims = claims.as_object().unwrap().clone();
    assert!(world.provider.store.set_claims("ada", claims, world.provider.unix()).await.unwrap());
}

/// What a token request brought.
pub(crate) struct Tokens {
    pub(crate) page: Page,
    pub(crate) json: Value,
}

impl Tokens {
    pub(crate) fn text(&self, name: &str) -> &str {
        self.json[name].as_str().unwrap_or_default()
    }

    /// Header and claims of a token that we signed.
    pub(crate) fn verified(&self, world: &World, name: &str) -> (Value, Value) {
        verified(world, self.text(name))
    }

    pub(crate) fn id_token(&self, world: &World) -> Value {
        self.verified(world, "id_token").1
    }
}

/// Header and claims of a JWT that is signed with a published key.
pub(crate) fn verified(world: &World, compact: &str) -> (Value, Value) {
    let jwt = UnverifiedJwt::parse(compact).unwrap();
    let keys = world.provider.signing_keys.key_set(world.provider.unix());
    let header = jwt.header().unwrap();
    let algorithm = Algorithm::parse(header.string("alg").unwrap().unwrap()).unwrap();
    let kid = jwt.kid().unwrap().expect("a kid");
    assert!(keys.has_kid(&kid));
    let verified =
        jwt.verify(AlgorithmSet::of(&Algorithm::ALL), keys.candidates(Some(&kid), algorithm)).unwrap();
    let kid = json!({ "alg": algorithm.name(), "kid": kid });
    (kid, serde_json::from_slice(verified.payload()).unwrap())
}

/// `ada` signs in and allows; the parameters are those of `rp` with `openid`, changed.
pub(crate) async fn allow(world: &World, changes: &[(&str, &str)]) -> Answer {
    let all = [&[("client_id", "rp"), ("scope", "openid")], changes].concat();
    world.browser().allow(&all).await
}

/// The tokens that come of it.
pub(crate) async fn tokens(world: &World, changes: &[(&str, &str)]) -> Tokens {
    let answer = allow(world, changes).await;
    let tokens = redeem(world, answer.get("code")).await;
    assert_eq!(tokens.page.status, 200, "{}", tokens.page.body);
    tokens
}

pub(crate) async fn redeem(world: &World, code: &str) -> Tokens {
    let form = FormWriter::new().pair("grant_type", "authorization_code").pair("code", code);
    let form = form.pair("redirect_uri", CALLBACK).pair("code_verifier", VERIFIER);
    request(world, "rp", form).await
}

pub(crate) async fn refresh(world: &World, refresh_token: &str) -> Tokens {
    let form = FormWriter::new().pair("grant_type", "refresh_token").pair("refresh_token", refresh_token);
    request(world, "rp", form).await
}

/// A token request of a client with the usual secret.
pub(crate) async fn request(world: &World, client_id: &str, form: FormWriter) -> Tokens {
    let page = post(world, "/token", form, &[("authorization", &basic(client_id))]).await;
    Tokens { json: serde_json::from_str(&page.body).unwrap(), page }
}

pub(crate) fn basic(client_id: &str) -> String {
    let encoded = |text: &str| keybound_oauth::form::encode(text);
    let pair = format!("{}:{}", encoded(client_id), encoded(SECRET));
    format!("Basic {}", data_encoding::BASE64.encode(pair.as_bytes()))
}

pub(crate) async fn post(world: &World, path: &str, form: FormWriter, headers: &[(&str, &str)]) -> Page {
    let request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    world.browser().send(request.body(form.finish().into()).unwrap()).await
}

/// What UserInfo answers to a bearer token.
pub(crate) async fn call_userinfo(world: &World, token: &str) -> Page {
    let request = Request::get("/userinfo").header(AUTHORIZATION, format!("Bearer {token}"));
    world.browser().send(request.body(String::new().into()).unwrap()).await
}

/// The claims that UserInfo tells, without `sub`.
pub(crate) async fn told(world: &World, tokens: &Tokens) -> Map<String, Value> {
    let page = call_userinfo(world, tokens.text("access_token")).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let mut claims: Map<String, Value> = serde_json::from_str(&page.body).unwrap();
    claims.remove("sub").expect("sub");
    claims
}
