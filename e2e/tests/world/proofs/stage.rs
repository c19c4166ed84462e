//! Both places at which the provider takes proofs, seen alike.

use axum::body::Body;
use http::{HeaderName, HeaderValue, Method, Request};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::signer::{Signer, SigningKey};
use keybound_dpop::secret::Secret;
use keybound_e2e::answer::{assert_e_as, assert_n_as};
use keybound_e2e::forge::{jkt, new_key};
use keybound_e2e::world::*;
use keybound_e2e::{Answer, Forge, Settings, World};
use serde_json::Value;
use std::sync::{Arc, LazyLock};

/// An RSA key, made once: making one takes long.
pub static RSA: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let key = SigningKey::generate(Algorithm::Ps256).expect("a key");
    key.to_pkcs8().expect("PKCS #8").to_vec()
});

/// The RSA key for that algorithm.
pub fn rsa(algorithm: Algorithm) -> SigningKey {
    SigningKey::from_pkcs8(algorithm, &RSA).expect("a key")
}

/// A new key for that algorithm.
pub fn key_for(algorithm: Algorithm) -> SigningKey {
    SigningKey::generate(algorithm).expect("a key")
}

/// The public key as JSON.
pub fn jwk(key: &SigningKey) -> Value {
    serde_json::from_str(&key.public_jwk().to_json()).expect("JSON")
}

/// Where a proof is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The token endpoint, by a public client with a code.
    Token,
    /// UserInfo, with a token that is bound to the stage's key.
    UserInfo,
}

/// A World with a key, a token bound to it, and a code that every bad proof is shown with.
pub struct Stage {
    pub world: World,
    pub key: SigningKey,
    pub token: String,
    /// The nonce that good proofs carry, where the World asks for one.
    pub nonce: Option<String>,
    code: Secret,
    algs: &'static str,
}

/// The default list (DPOP-ALG-07).
const ALGS: &str = "ES256 PS256 EdDSA Ed25519";

impl Stage {
    /// Without nonces, all by default.
    pub async fn new() -> Self {
        Self::of(Settings::default(), new_key(), ALGS).await
    }

    /// With nonces.
    pub async fn with_nonces() -> Self {
        Self::of(Settings::with_nonces(), new_key(), ALGS).await
    }

    /// Without nonces, with a key of that algorithm.
    pub async fn by(key: SigningKey) -> Self {
        Self::of(Settings::default(), key, ALGS).await
    }

    /// Without nonces, where exactly these algorithms are taken.
    pub async fn taking(algs: &'static str, key: SigningKey) -> Self {
        let names: Vec<String> = algs.split(' ').map(|name| format!("\"{name}\"")).collect();
        let config = format!("[proof]\nalgorithms = [{}]\n[nonce]\nmode = \"off\"\n", names.join(","));
        Self::of(Settings { config }, key, algs).await
    }

    async fn of(settings: Settings, key: SigningKey, algs: &'static str) -> Self {
        let world = World::with(settings).await;
        // Old enough that no proof of the last minutes may have been used before its start (OPS-REP-09).
        world.clock.pass(600);
        let code = long_lived_code(&world).await;
        let nonce =
            world.provider.uses_nonces().then(|| world.provider.nonces.issue(world.now()).to_string());
        let mut proof = Forge::new(&key, "POST", TOKEN, world.now());
        if let Some(nonce) = &nonce {
            proof = proof.nonce(nonce);
        }
        let tokens = world.redeem(&long_lived_code(&world).await, Some(&proof.sign(&key))).await;
        assert_eq!(tokens.status, 200, "{tokens:?}");
        let token = tokens.text("access_token");
        Self { world, key, token, nonce, code, algs }
    }

    /// Plays a row at both places; afterwards a good proof is let through, with the very code that was shown with the
    /// bad ones: nothing was spent.
    pub async fn play(self, row: impl AsyncFn(&At)) {
        let stage = Arc::new(self);
        for place in [Place::Token, Place::UserInfo] {
            let at = At { stage: Arc::clone(&stage), place };
            row(&at).await;
            let good = at.sign(&at.good());
            let answer = at.show(&[good.as_bytes()]).await;
            at.assert_taken(&answer);
        }
    }
}

/// A code of the client `app` that lives as long as the clock is turned in any row.
async fn long_lived_code(world: &World) -> Secret {
    world.code_with("app", |code| code.expires_at = code.expires_at.plus_secs(3600)).await
}

/// Plays a row at both places, without nonces.
pub async fn both(row: impl AsyncFn(&At)) {
    Stage::new().await.play(row).await;
}

/// One place of a stage.
pub struct At {
    pub stage: Arc<Stage>,
    pub place: Place,
}

impl At {
    pub fn is_resource(&self) -> bool {
        self.place == Place::UserInfo
    }

    pub fn method(&self) -> &'static str {
        if self.is_resource() { "GET" } else { "POST" }
    }

    pub fn url(&self) -> &'static str {
        if self.is_resource() { USERINFO } else { TOKEN }
    }

    pub fn now(&self) -> u64 {
        self.stage.world.now().as_secs()
    }

    /// A good proof.
    pub fn good(&self) -> Forge {
        let proof = self.good_by(&self.stage.key);
        match &self.stage.nonce {
            Some(nonce) => proof.nonce(nonce),
            None => proof,
        }
    }

    /// A proof that is good but for its key, and its nonce where one is asked for.
    pub fn good_by(&self, key: &SigningKey) -> Forge {
        let proof = Forge::new(key, self.method(), self.url(), self.stage.world.now());
        if self.is_resource() { proof.token(&self.stage.token) } else { proof }
    }

    /// Signs with the stage's key.
    pub fn sign(&self, proof: &Forge) -> String {
        proof.sign(&self.stage.key)
    }

    /// A proof whose JSON is written by hand, signed with the stage's key.
    pub fn sign_raw(&self, header: &[u8], claims: &[u8]) -> String {
        sign_raw(&self.stage.key, header, claims)
    }

    /// The request with these `DPoP` field lines.
    pub fn request(&self, lines: &[&[u8]]) -> Request<Body> {
        self.request_with(&self.stage.code, lines)
    }

    fn request_with(&self, code: &Secret, lines: &[&[u8]]) -> Request<Body> {
        let mut request = match self.place {
            Place::Token => post(TOKEN, code_form(code).pair("client_id", "app"), &[]),
            Place::UserInfo => {
                get(USERINFO, &[("authorization", format!("DPoP {}", self.stage.token).as_str())])
            }
        };
        for line in lines {
            let value = HeaderValue::from_bytes(line).expect("a value that HTTP can carry");
            request.headers_mut().append(HeaderName::from_static("dpop"), value);
        }
        request
    }

    /// Sends any request.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        self.stage.world.send(request).await
    }

    /// Shows these field lines.
    pub async fn show(&self, lines: &[&[u8]]) -> Answer {
        self.send(self.request(lines)).await
    }

    /// The proof is taken: `OK`. At the token endpoint it comes with a code of its own.
    pub async fn takes(&self, proof: &str) -> Answer {
        let code = match self.place {
            Place::Token => long_lived_code(&self.stage.world).await,
            Place::UserInfo => self.stage.code.clone(),
        };
        let answer = self.send(self.request_with(&code, &[proof.as_bytes()])).await;
        self.assert_taken(&answer);
        answer
    }

    /// The proof is refused for that row: `E-AS`, `E-RS`.
    pub async fn refuses(&self, row: &str, proof: &str) {
        self.refuses_lines(row, &[proof.as_bytes()]).await;
    }

    /// So are these field lines.
    pub async fn refuses_lines(&self, row: &str, lines: &[&[u8]]) {
        let answer = self.show(lines).await;
        self.assert_refused(row, &answer);
    }

    /// The proof is answered with a nonce: `N-AS`, `N-RS`.
    pub async fn challenges(&self, row: &str, proof: &str) -> String {
        let answer = self.show(&[proof.as_bytes()]).await;
        match self.place {
            Place::Token => {
                assert_n_as(&answer);
            }
            Place::UserInfo => self.assert_challenge("use_dpop_nonce", &answer),
        }
        assert!(self.told(&answer).starts_with(row), "{row} at {:?}: {answer:?}", self.place);
        answer.nonce()
    }

    #[track_caller]
    pub fn assert_taken(&self, answer: &Answer) {
        assert_eq!(answer.status, 200, "{:?}: {answer:?}", self.place);
        match self.place {
            Place::Token => {
                assert_eq!(answer.text("token_type"), "DPoP");
                assert_eq!(answer.claims("access_token")["cnf"]["jkt"], jkt(&self.stage.key));
            }
            Place::UserInfo => assert_eq!(answer.json()["sub"], "subject-of-alice"),
        }
    }

    #[track_caller]
    pub fn assert_refused(&self, row: &str, answer: &Answer) {
        match self.place {
            Place::Token => assert_e_as(answer),
            Place::UserInfo => self.assert_challenge("invalid_dpop_proof", answer),
        }
        assert!(self.told(answer).starts_with(row), "{row} at {:?}: {answer:?}", self.place);
    }

    /// 401 with exactly one challenge, which is a `DPoP` one with that error, and nothing of the handler's.
    #[track_caller]
    pub fn assert_challenge(&self, error: &str, answer: &Answer) {
        let (lines, challenges) = (answer.header("www-authenticate"), answer.challenges());
        assert_eq!((answer.status.as_u16(), lines.len(), challenges.len()), (401, 1, 1), "{answer:?}");
        assert!(lines[0].starts_with("DPoP "), "{answer:?}");
        assert_eq!(challenges[0].get("error"), Some(error), "{answer:?}");
        assert_eq!(challenges[0].get("algs"), Some(self.stage.algs), "{answer:?}");
        assert_eq!(answer.header("cache-control"), ["no-store"], "{answer:?}");
        assert!(!String::from_utf8_lossy(&answer.body).contains("subject-of-alice"), "{answer:?}");
    }

    /// What the caller is told, for people.
    fn told(&self, answer: &Answer) -> String {
        match self.place {
            Place::Token => answer.text("error_description"),
            Place::UserInfo => answer.challenges()[0].get("error_description").unwrap_or_default().to_owned(),
        }
    }
}

/// A JWS over these bytes, whatever they are.
pub fn sign_raw(key: &SigningKey, header: &[u8], claims: &[u8]) -> String {
    let input = format!("{}.{}", base64url::encode(header), base64url::encode(claims));
    let signature = key.sign(input.as_bytes()).expect("signed");
    format!("{input}.{}", base64url::encode(&signature))
}

/// The same proof under another signature.
pub fn resigned(proof: &str, signature: &[u8]) -> String {
    let (input, _) = proof.rsplit_once('.').expect("three parts");
    format!("{input}.{}", base64url::encode(signature))
}

/// The signature of a proof.
pub fn signature_of(proof: &str) -> Vec<u8> {
    let (_, signature) = proof.rsplit_once('.').expect("three parts");
    base64url::decode(signature).expect("base64url")
}

/// The request under another method.
pub fn under(mut request: Request<Body>, method: Method) -> Request<Body> {
    *request.method_mut() = method;
    request
}
