//! What a route asks for where the guard asks for something else, and looking on without deciding.

use crate::world::{API, ISSUER, Refused, URL, World, dpop, get};
use http::Request;
use keybound_dpop::nonce::Nonce;
use keybound_dpop::target::Target;
use keybound_oauth::scope::Scope;
use keybound_resource::{Access, Authentication, Demand, DpopUse, Observed, Rejection, Scheme};
use serde_json::json;

impl World {
    fn demand(&self, change: impl FnOnce(&mut Demand)) -> Demand {
        let mut demand = self.guard.demand().clone();
        change(&mut demand);
        demand
    }

    async fn check_for(&self, request: Request<()>, demand: &Demand) -> Result<Access, Rejection> {
        let target = Target::parse(URL).expect("a target");
        self.guard.check_for(&request.into_parts().0, &target, demand).await
    }

    async fn refused_for(&self, request: Request<()>, demand: &Demand) -> Refused {
        Refused::of(self.check_for(request, demand).await.expect_err("must be refused"))
    }

    async fn observe(&self, request: Request<()>, demand: &Demand) -> Observed {
        let target = Target::parse(URL).expect("a target");
        self.guard.observe(&request.into_parts().0, &target, demand).await
    }
}

fn scope(text: &str) -> Scope {
    Scope::parse(text).expect("a scope")
}

fn step_up(acr_values: &[&str], max_age_secs: Option<u64>) -> Authentication {
    Authentication { acr_values: acr_values.iter().map(|&acr| acr.to_owned()).collect(), max_age_secs }
}

#[tokio::test]
async fn rs_chk_05_fapi_rs_03_a_route_asks_for_its_scope() {
    let world = World::new();
    let token = world.token();
    let small = world.demand(|demand| demand.scope = scope("write"));
    let large = world.demand(|demand| demand.scope = scope("write admin"));
    assert!(world.check_for(dpop(&token, &world.proof(&token)), &small).await.is_ok());
    let refused = world.refused_for(dpop(&token, &world.proof(&token)), &large).await;
    assert_eq!(refused.told(), (403, vec![("DPoP", Some("insufficient_scope"))]));
    assert_eq!(refused.challenges[0].get("scope"), Some("write admin"));
    let nobody = world.refused_for(get(&[]), &large).await;
    assert_eq!(nobody.told(), (401, vec![("DPoP", None)]));
    assert_eq!(nobody.challenges[0].get("scope"), Some("write admin"));
}

#[tokio::test]
async fn rs_chk_05_a_route_has_an_audience_of_its_own() {
    let world = World::new();
    let (token, mut claims) = (world.token(), world.claims());
    claims["aud"] = json!("https://api.example/payments");
    let payments = world.sign(&claims);
    let demand =
        world.demand(|demand| demand.audience = Some(vec!["https://api.example/payments".to_owned()]));
    assert!(world.check_for(dpop(&payments, &world.proof(&payments)), &demand).await.is_ok());
    let refused = world.refused(dpop(&payments, &world.proof(&payments))).await;
    assert_eq!(refused.told(), (401, vec![("DPoP", Some("invalid_token"))]));
    assert!(world.check(dpop(&token, &world.proof(&token))).await.is_ok(), "for {API}");
    let refused = world.refused_for(dpop(&token, &world.proof(&token)), &demand).await;
    assert_eq!(refused.told(), (401, vec![("DPoP", Some("invalid_token"))]), "though remembered as good");
}

#[tokio::test]
async fn rs_dwn_03_a_route_takes_bearer_tokens_or_does_not() {
    let world = World::new();
    let token = world.bearer_token();
    let bearer = || get(&[("authorization", &format!("Bearer {token}"))]);
    let allowed = world.demand(|demand| demand.dpop = DpopUse::Allowed);
    assert!(world.check_for(bearer(), &allowed).await.is_ok());
    assert_eq!(world.refused(bearer()).await.told(), (401, vec![("DPoP", Some("invalid_token"))]));
    let both = world.refused_for(get(&[]), &allowed).await;
    assert_eq!(both.told(), (401, vec![("DPoP", None), ("Bearer", None)]));
}

#[tokio::test]
async fn rs_non_01_a_route_asks_for_nonces_or_does_not() {
    let world = World::new();
    let (token, demand) = (world.token(), world.demand(|demand| demand.nonces = true));
    assert!(world.check(dpop(&token, &world.proof(&token))).await.is_ok());
    let refused = world.refused_for(dpop(&token, &world.proof(&token)), &demand).await;
    assert_eq!(refused.told(), (401, vec![("DPoP", Some("use_dpop_nonce"))]));
    let nonce = Nonce::parse(&refused.nonces[0]).expect("a nonce");
    let proof = world.proof_with(&world.client_key, &token, Some(&nonce));
    let access = world.check_for(dpop(&token, &proof), &demand).await.expect("with a nonce");
    let mut headers = http::HeaderMap::new();
    headers.insert("dpop-nonce", "of-the-service".parse().expect("a value"));
    world.guard.complete(&access, &mut headers);
    assert!(!headers.contains_key("dpop-nonce"), "one server, one sort of nonces");

    let world = World::with(|_| {});
    let demand = world.demand(|demand| demand.nonces = false);
    let token = world.token();
    let access = world.check_for(dpop(&token, &world.proof(&token)), &demand).await.expect("without a nonce");
    let mut headers = http::HeaderMap::new();
    headers.insert("dpop-nonce", "of-the-service".parse().expect("a value"));
    world.guard.complete(&access, &mut headers);
    assert_eq!(headers["dpop-nonce"], "of-the-service");
}

#[tokio::test]
async fn rs_stp_01_rs_stp_02_a_weak_or_old_sign_in_is_challenged() {
    let world = World::new();
    let demand = world.demand(|demand| {
        demand.authentication = Some(step_up(&["phr", "phrh"], Some(300)));
        demand.scope = scope("write");
    });
    let mut claims = world.claims();
    for (acr, auth_time, good) in [
        (Some("phrh"), Some(world.now() - 300), true),
        (Some("phr"), Some(world.now()), true),
        (Some("phr"), Some(world.now() - 301), false),
        (Some("pwd"), Some(world.now()), false),
        (Some("phr"), Some(world.now() + 3600), false),
        (Some("phr"), None, false),
        (None, Some(world.now()), false),
    ] {
        claims["acr"] = json!(acr);
        claims["auth_time"] = json!(auth_time);
        let object = claims.as_object_mut().expect("an object");
        object.retain(|_, value| !value.is_null());
        let token = world.sign(&claims);
        let request = dpop(&token, &world.proof(&token));
        if good {
            assert!(world.check_for(request, &demand).await.is_ok(), "{acr:?} {auth_time:?}");
            continue;
        }
        let refused = world.refused_for(request, &demand).await;
        assert_eq!(refused.told(), (401, vec![("DPoP", Some("insufficient_user_authentication"))]));
        let challenge = &refused.challenges[0];
        assert_eq!((challenge.get("acr_values"), challenge.get("max_age")), (Some("phr phrh"), Some("300")));
        assert_eq!(challenge.get("scope"), Some("write"), "so that one request asks for both");
        assert!(challenge.get("algs").is_some());
    }
}

#[tokio::test]
async fn rs_stp_01_only_what_is_asked_for_is_in_the_challenge() {
    let world = World::new();
    let token = world.token();
    for (asked, acr_values, max_age) in
        [(step_up(&["phr"], None), Some("phr"), None), (step_up(&[], Some(60)), None, Some("60"))]
    {
        let demand = world.demand(|demand| demand.authentication = Some(asked));
        let refused = world.refused_for(dpop(&token, &world.proof(&token)), &demand).await;
        let challenge = &refused.challenges[0];
        assert_eq!((challenge.get("acr_values"), challenge.get("max_age")), (acr_values, max_age));
    }
}

#[tokio::test]
async fn who_looks_on_says_what_would_have_been() {
    let world = World::with(|_| {});
    let demand = world.guard.demand();
    let token = world.token();
    let proof = world.proof(&token);
    let seen = world.observe(dpop(&token, &proof), demand).await;
    assert!(seen.would_pass(), "no proof can carry a nonce that nobody gave out");
    assert_eq!(
        (seen.scheme(), seen.client_id(), seen.is_bound()),
        (Some(Scheme::Dpop), Some("app"), Some(true))
    );
    let again = world.observe(dpop(&token, &proof), demand).await;
    let row = |seen: &Observed| seen.reason().map(|reason| reason.row());
    assert_eq!((row(&again), again.client_id()), (Some("DPOP-JTI-04"), Some("app")), "its record is kept");

    let foreign = Nonce::parse("of-the-api-itself").expect("a nonce");
    let proof = world.proof_with(&world.client_key, &token, Some(&foreign));
    assert!(world.observe(dpop(&token, &proof), demand).await.would_pass());

    let seen = world.observe(get(&[("authorization", &format!("Bearer {token}"))]), demand).await;
    assert_eq!(
        (row(&seen), seen.scheme(), seen.is_bound()),
        (Some("RS-DWN-01"), Some(Scheme::Bearer), Some(true))
    );
    let bearer = world.bearer_token();
    let seen = world.observe(get(&[("authorization", &format!("Bearer {bearer}"))]), demand).await;
    assert_eq!(
        (row(&seen), seen.is_bound(), seen.client_id()),
        (Some("RS-DWN-03"), Some(false), Some("app"))
    );
    let seen = world.observe(get(&[("authorization", "Bearer x.y.z")]), demand).await;
    assert_eq!((seen.client_id(), seen.is_bound(), seen.would_pass()), (None, None, false));
    let seen = world.observe(get(&[]), demand).await;
    assert_eq!((row(&seen), seen.scheme()), (Some("RS-CHL-01"), None));
    let narrow = world.demand(|demand| demand.scope = scope("admin"));
    let seen = world.observe(dpop(&token, &world.proof(&token)), &narrow).await;
    assert_eq!((row(&seen), seen.issuer()), (Some("RS-CHK-05"), Some(ISSUER)));
}
