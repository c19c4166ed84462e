//! What a guard says of its resources, and where its challenges say that this is (RFC 9728).

use crate::world::{API, ISSUER, Refused, World, get};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::routing::get as route;
use http::request::Parts;
use http::{Request, Response};
use keybound_dpop::challenge::Challenge;
use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
use keybound_dpop::jose::signer::Signer;
use keybound_dpop::target::Target;
use keybound_oauth::identifier::ResourceId;
use keybound_oauth::resource_metadata::{ResourceMetadata, Told};
use keybound_oauth::scope::Scope;
use keybound_resource::{
    Demand, DpopUse, GuardConfig, GuardLayer, MetadataService, PublicUrl, RequireScopeLayer,
};
use serde_json::{Value, json};
use std::sync::Arc;
use tower::{Layer, ServiceExt};

const WELL_KNOWN: &str = "https://api.example/.well-known/oauth-protected-resource";

/// What the guard that was changed so says, with these demands of its routes.
fn said(change: impl FnOnce(&mut GuardConfig), demands: impl FnOnce(&Demand) -> Vec<Demand>) -> Value {
    let world = World::with(change);
    let demands = demands(world.guard.demand());
    let all = world.guard.config().metadata(&demands);
    let all: Vec<String> = all.iter().map(ResourceMetadata::to_json).collect();
    serde_json::from_str(&format!("[{}]", all.join(","))).expect("JSON")
}

fn scope(text: &str) -> Scope {
    Scope::parse(text).expect("a scope")
}

/// A guard that publishes, and the service that does it.
fn publishing(change: impl FnOnce(&mut GuardConfig)) -> (World, MetadataService) {
    let public = PublicUrl::parse("https://api.example").expect("a URL");
    let mut service = None;
    let world = World::with(|config| {
        change(config);
        let published = MetadataService::new(&public, config.metadata(&[]));
        config.metadata = published.urls();
        service = Some(published);
    });
    (world, service.expect("a service"))
}

async fn ask(service: &MetadataService, method: &str, url: &str, fields: &[(&str, &str)]) -> Response<Body> {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    let response = service.clone().oneshot(request.body(()).expect("a request")).await.expect("infallible");
    response.map(Body::new)
}

#[test]
fn rs_prm_03_what_is_said_is_what_is_done() {
    let of = |scopes: Value, bearer: Value, required: bool, algorithms: Value| {
        json!([{
            "resource": API, "authorization_servers": [ISSUER], "scopes_supported": scopes,
            "bearer_methods_supported": bearer, "dpop_bound_access_tokens_required": required,
            "dpop_signing_alg_values_supported": algorithms,
        }])
    };
    let es256 = |config: &mut GuardConfig| config.proof.algorithms = AlgorithmSet::of(&[Algorithm::Es256]);
    let strict = said(
        |config| {
            es256(config);
            config.scope = Some(scope("api"));
        },
        |_| Vec::new(),
    );
    assert_eq!(strict, of(json!(["api"]), json!([]), true, json!(["ES256"])));
    let route = |demand: &Demand, dpop: DpopUse, needed: &str| Demand {
        dpop,
        scope: scope(needed),
        ..demand.clone()
    };
    // One route that takes bearer tokens is enough: not all need be bound.
    let mixed = said(es256, |demand| {
        vec![route(demand, DpopUse::Required, "write read"), route(demand, DpopUse::Allowed, "read")]
    });
    assert_eq!(mixed, of(json!(["read", "write"]), json!(["header"]), false, json!(["ES256"])));
}

#[test]
fn rs_prm_02_rs_prm_08_a_document_for_each_identifier_that_has_a_place() {
    let change = |config: &mut GuardConfig| {
        let names = [API, "https://api.example", "urn:api", "https://api.example/v1", "http://api.example/x"];
        config.audience = names.map(str::to_owned).to_vec();
    };
    let demands = |demand: &Demand| {
        let other = Demand {
            audience: Some(vec!["https://api.example/other".to_owned()]),
            scope: scope("other"),
            ..demand.clone()
        };
        vec![demand.clone(), other]
    };
    let all = said(change, demands);
    let named: Vec<(&str, Option<&str>)> = all
        .as_array()
        .expect("an array")
        .iter()
        .map(|one| (one["resource"].as_str().expect("a resource"), one["scopes_supported"][0].as_str()))
        .collect();
    let expected =
        [(API, None), ("https://api.example/v1", None), ("https://api.example/other", Some("other"))];
    assert_eq!(named, expected);
    assert!(!all.to_string().contains("\"scopes_supported\":[]"), "RS-PRM-04: {all}");
}

#[tokio::test]
async fn rs_prm_01_rs_prm_07_it_is_there_for_everybody() {
    let (_, service) = publishing(|config| {
        config.audience = vec![API.to_owned(), "https://api.example/v1?t=a".to_owned()];
    });
    let rows = [(API, WELL_KNOWN.to_owned()), ("https://api.example/v1?t=a", format!("{WELL_KNOWN}/v1?t=a"))];
    for (resource, url) in rows {
        let response = ask(&service, "GET", &url, &[]).await;
        assert_eq!(response.status(), 200);
        let one = |name: &str| response.headers()[name].to_str().expect("ASCII").to_owned();
        let told = ["content-type", "cache-control", "access-control-allow-origin"].map(one);
        assert_eq!(told, ["application/json", "public, max-age=300", "*"]);
        let body = to_bytes(response.into_body(), 10_000).await.expect("a body");
        let resource = ResourceId::parse(resource).expect("a resource");
        assert!(ResourceMetadata::parse(&body, &resource).is_ok(), "{resource}");
    }
    for (method, url, status) in [
        ("HEAD", WELL_KNOWN.to_owned(), 200),
        ("POST", WELL_KNOWN.to_owned(), 405),
        ("GET", format!("{WELL_KNOWN}/"), 404),
        ("GET", format!("{WELL_KNOWN}/v1"), 404),
        ("GET", format!("{WELL_KNOWN}?t=a"), 404),
        ("GET", API.to_owned(), 404),
    ] {
        assert_eq!(ask(&service, method, &url, &[]).await.status(), status, "{method} {url}");
    }
    let preflight = [("origin", "https://app.example"), ("access-control-request-method", "GET")];
    let response = ask(&service, "OPTIONS", WELL_KNOWN, &preflight).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["access-control-allow-origin"]),
        (204, &"*".parse().expect("a value"))
    );
}

#[tokio::test]
async fn rs_prm_05_rs_chl_08_each_challenge_names_it_once_and_the_url_resolves() {
    let (world, service) = publishing(|config| {
        (config.dpop, config.nonce) = (DpopUse::Allowed, None);
        (config.realm, config.scope) = (Some("things".to_owned()), Some(scope("read")));
    });
    let refused = [
        world.refused(get(&[])).await,
        world.refused(get(&[("authorization", &format!("Bearer {}", world.token()))])).await,
        world.refused(get(&[("authorization", &format!("DPoP {}", world.token()))])).await,
    ];
    let mut schemes = Vec::new();
    for refused in &refused {
        for (line, challenge) in refused.lines.iter().zip(&refused.challenges) {
            schemes.push(challenge.scheme.as_str());
            for name in ["realm", "scope", "error", "error_description", "algs", "resource_metadata"] {
                assert!(line.matches(&format!("{name}=\"")).count() <= 1, "{name}: {line}");
            }
            let url = challenge.get("resource_metadata").expect("a URL");
            assert_eq!(ask(&service, "GET", url, &[]).await.status(), 200, "{url}");
        }
    }
    assert_eq!(schemes, ["DPoP", "Bearer", "DPoP", "Bearer", "DPoP"]);
    // Where nothing is published nothing is named.
    assert_eq!(World::new().refused(get(&[])).await.challenges[0].get("resource_metadata"), None);
}

#[tokio::test]
async fn rs_prm_05_a_route_with_an_audience_of_its_own_names_its_own() {
    let other = "https://api.example/other";
    let world = World::with(|config| {
        let demand = Demand { audience: Some(vec![other.to_owned()]), ..World::new().guard.demand().clone() };
        let public = PublicUrl::parse("https://api.example").expect("a URL");
        config.metadata = MetadataService::new(&public, config.metadata(&[demand])).urls();
    });
    let target = Target::parse(other).expect("a target");
    let parts: Parts = get(&[]).into_parts().0;
    for (audience, url) in [
        (vec!["urn:other".to_owned(), other.to_owned()], Some(format!("{WELL_KNOWN}/other"))),
        (vec!["https://api.example/unknown".to_owned()], None),
    ] {
        let demand = Demand { audience: Some(audience), ..world.guard.demand().clone() };
        let rejection = world.guard.check_for(&parts, &target, &demand).await.expect_err("refused");
        assert_eq!(Refused::of(rejection).challenges[0].get("resource_metadata"), url.as_deref());
    }
}

#[tokio::test]
async fn rs_prm_05_rs_chk_05_who_asks_for_more_behind_the_guard_names_what_the_route_names() {
    let other = "https://api.example/other";
    let public = PublicUrl::parse("https://api.example").expect("a URL");
    let demand = |base: &Demand| Demand {
        audience: Some(vec![other.to_owned()]),
        dpop: DpopUse::Allowed,
        ..base.clone()
    };
    let world = World::with(|config| {
        config.nonce = None;
        let routes = [World::new().guard.demand().clone(), demand(World::new().guard.demand())];
        config.metadata = MetadataService::new(&public, config.metadata(&routes)).urls();
    });
    let mut claims = world.unbound_claims();
    claims["aud"] = other.into();
    let token = world.sign(&claims);
    let inner = tower::service_fn(async |_: Request<()>| {
        Ok::<_, std::convert::Infallible>(Response::new(http_body_util::Full::<bytes::Bytes>::default()))
    });
    let needed = Scope::parse("admin").expect("a scope");
    let inner = RequireScopeLayer::new(Arc::clone(&world.guard), needed).layer(inner);
    let layer =
        GuardLayer::new(Arc::clone(&world.guard), public.clone()).asking(demand(world.guard.demand()));
    let request = get(&[("authorization", &format!("Bearer {token}"))]);
    let response = layer.layer(inner).oneshot(request).await.expect("answered");
    let lines =
        response.headers().get_all("www-authenticate").iter().map(|line| line.to_str().expect("ASCII"));
    let challenges = Challenge::parse_all(lines);
    let told: Vec<_> =
        challenges.iter().map(|challenge| (challenge.scheme.as_str(), challenge.get("error"))).collect();
    assert_eq!(told, [("DPoP", None), ("Bearer", Some("insufficient_scope"))]);
    for challenge in &challenges {
        assert_eq!(challenge.get("resource_metadata"), Some(format!("{WELL_KNOWN}/other").as_str()));
    }
}

#[tokio::test]
async fn rs_prm_06_what_is_signed_is_published_as_it_is() {
    let world = World::new();
    let public = PublicUrl::parse("https://api.example").expect("a URL");
    let mut metadata = world.guard.config().metadata(&[]).remove(0);
    metadata.for_people.tell(Told::Name, None, "Things");
    let signed = metadata.clone().sign(API, &world.issuer_key, Some("k1")).expect("signed");
    let service = MetadataService::new(&public, [signed]);
    let body =
        to_bytes(ask(&service, "GET", WELL_KNOWN, &[]).await.into_body(), 10_000).await.expect("a body");
    let read = ResourceMetadata::parse(&body, &metadata.resource).expect("metadata");
    let keys = std::iter::once(world.issuer_key.public_jwk());
    assert_eq!(read.signed(AlgorithmSet::default(), keys), Ok(Some((API.to_owned(), metadata))));
}

#[tokio::test]
async fn it_stands_beside_what_is_guarded() {
    let (world, service) = publishing(|_| {});
    let public = PublicUrl::parse("https://api.example").expect("a URL");
    let guarded = Router::new().route("/things", route(|| async { "things" }));
    let app = guarded
        .layer(GuardLayer::new(world.guard, public))
        .route_service("/.well-known/oauth-protected-resource", service);
    for (path, status) in [("/things", 401), ("/.well-known/oauth-protected-resource", 200)] {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        assert_eq!(app.clone().oneshot(request).await.expect("infallible").status(), status, "{path}");
    }
}
