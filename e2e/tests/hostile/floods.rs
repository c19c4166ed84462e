//! Answers that are too long, too slow or not whole, where metadata, keys, tokens and resources are expected.

use crate::server::{Hostile, Says, head, says};
use crate::victim::{CODE, begin, client_of, client_over, get, metadata, session, settings, transport};
use keybound_client::api::{Api, ApiSettings};
use keybound_client::client::Client;
use keybound_client::client_auth::ClientAuth;
use keybound_client::error::ClientError;
use keybound_client::transport::Transport;
use keybound_dpop::secret::Secret;
use keybound_fetch::{FetchError, Fetcher, Settings};
use keybound_oauth::identifier::Issuer;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// For how long a client waits that is in a hurry.
const HURRY: Duration = Duration::from_millis(700);

/// With the time that a busy machine takes besides; a drip takes longer than three minutes.
const BOUND: Duration = Duration::from_secs(60);

/// Octets that may have been taken of a gigabyte: what we read, and what the system's buffers hold.
const TAKEN: usize = 32 << 20;

/// What the client asks for in each of its ways; the answer has to be an error.
#[derive(Clone, Copy, Debug)]
enum Way {
    Metadata,
    Keys,
    Token,
    Resource,
}

const WAYS: [Way; 4] = [Way::Metadata, Way::Keys, Way::Token, Way::Resource];

impl Way {
    async fn go(self, transport: &Transport, hostile: &Hostile) -> ClientError {
        let client = client_over(transport.clone(), &metadata(&hostile.origin), ClientAuth::None);
        match self {
            Self::Metadata => {
                let issuer = Issuer::parse(&hostile.origin).expect("an issuer");
                transport.discover(&issuer).await.map(drop)
            }
            Self::Keys => {
                let (login, sent) = begin(&client).await;
                let state = sent.state.expect("a state");
                let query = format!("code={CODE}&state={state}&iss={}", hostile.origin);
                client.finish_login(login, &Secret::new(query)).await.map(drop)
            }
            Self::Token => client.client_credentials(None, Vec::new()).await.map(drop),
            Self::Resource => {
                let session = session(client.prover(), &hostile.origin, &[&hostile.origin]);
                let settings = ApiSettings::default();
                let api = Api::new(transport.clone(), client.prover().clone(), session, settings);
                api.expect("an API").send(get(&hostile.origin)).await.map(drop)
            }
        }
        .expect_err("no answer that can be used")
    }

    /// A server that is honest but where this is asked for.
    async fn server(self, make: fn() -> Says) -> Hostile {
        let is_here = move |target: &str| match self {
            Self::Metadata => target.starts_with("/.well-known/"),
            Self::Keys => target == "/jwks",
            Self::Token => target == "/token",
            Self::Resource => target.starts_with("/orders"),
        };
        Hostile::start(move |asked, _| match asked.target() {
            target if is_here(target) => make(),
            _ => says(200, &[], r#"{"access_token":"a","token_type":"DPoP","id_token":"eyJhbGciOiJFUzI1NiIsImtpZCI6ImsifQ.e30.AA"}"#),
        })
        .await
    }
}

async fn refused(make: fn() -> Says, is_right: impl Fn(&FetchError) -> bool) {
    refused_by(&transport(), make, is_right).await;
}

async fn refused_by(transport: &Transport, make: fn() -> Says, is_right: impl Fn(&FetchError) -> bool) {
    for way in WAYS {
        let hostile = way.server(make).await;
        let error = timeout(BOUND, way.go(transport, &hostile)).await.expect("refused in time");
        assert!(matches!(&error, ClientError::Fetch(error) if is_right(error)), "{way:?}: {error:?}");
        assert!(hostile.said() < TAKEN, "{way:?}: {} octets", hostile.said());
    }
}

#[tokio::test]
async fn cl_dsc_04_ops_key_07_atk_128_a_gigabyte_is_not_read() {
    let too_large = |error: &FetchError| matches!(error, FetchError::TooLarge { .. });
    refused(
        || Says::Flood([head(200, &[("Content-Length", "1073741824")]), b"\r\n".to_vec()].concat()),
        too_large,
    )
    .await;
    refused(|| Says::Flood([head(200, &[]), b"\r\n".to_vec()].concat()), too_large).await;
    let chunked = || {
        let begin = b"\r\n40000000\r\n".to_vec();
        Says::Flood([head(200, &[("Transfer-Encoding", "chunked")]), begin].concat())
    };
    refused(chunked, too_large).await;
}

#[tokio::test]
async fn cl_dsc_04_ops_key_07_atk_128_a_slow_drip_ends_in_time() {
    let late = |error: &FetchError| matches!(error, FetchError::Timeout { .. });
    let hurry = Settings { timeout: HURRY, ..settings() };
    let hurry = Transport::over(Fetcher::for_operator(&hurry).expect("a fetcher"));
    let drip = || Says::Drip([head(200, &[]), b"\r\n".to_vec(), vec![b' '; 10_000]].concat());
    refused_by(&hurry, drip, late).await;
}

#[tokio::test]
async fn ops_key_07_atk_128_what_is_not_whole_is_not_used() {
    let broken = |error: &FetchError| matches!(error, FetchError::Exchange { .. });
    // Shorter than it says, in the middle of a chunk, of a head, and no HTTP at all.
    refused(
        || Says::Octets([head(200, &[("Content-Length", "4096")]), b"\r\n{\"keys\":[]}".to_vec()].concat()),
        broken,
    )
    .await;
    let chunk = || {
        let body = b"\r\n100\r\n{\"access_token\":\"a\"".to_vec();
        Says::Octets([head(200, &[("Transfer-Encoding", "chunked")]), body].concat())
    };
    refused(chunk, broken).await;
    refused(|| Says::Octets(b"HTTP/1.1 200 OK\r\nContent-Ty".to_vec()), broken).await;
    refused(|| Says::Octets(b"SSH-2.0-evil\r\n".to_vec()), broken).await;
    refused(|| Says::Octets(Vec::new()), broken).await;
}

/// Two lengths, or a length and chunks: what one reader takes for a body another takes for the next answer.
#[tokio::test]
async fn ops_key_07_atk_128_two_lengths_are_none() {
    let broken = |error: &FetchError| matches!(error, FetchError::Exchange { .. });
    let two = || {
        let lengths = [("Content-Length", "2"), ("Content-Length", "40")];
        Says::Octets([head(200, &lengths), b"\r\n{}".to_vec()].concat())
    };
    refused(two, broken).await;
}

/// A gzip member with this in it (RFC 1952), stored as it is.
fn gzip(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("a short text");
    let sum = !text.bytes().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| (sum >> 1) ^ (0xEDB8_8320 * (sum & 1)))
    });
    let head = b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01".to_vec();
    let lengths = [length.to_le_bytes(), (!length).to_le_bytes()].concat();
    [head, lengths, text.into(), sum.to_le_bytes().into(), u32::from(length).to_le_bytes().into()].concat()
}

/// Nothing is inflated, so that nothing can be made huge by it: what is good but for its being compressed is not read.
#[tokio::test]
async fn cl_dsc_04_ops_key_07_atk_128_nothing_is_inflated() {
    for coding in ["gzip", "identity"] {
        let hostile = Hostile::start(move |asked, _| {
            let said = match asked.target() {
                "/token" => r#"{"access_token":"a","token_type":"DPoP"}"#.to_owned(),
                _ => metadata(&format!("http://{}", asked.header("host")[0])).to_string(),
            };
            let body = if coding == "gzip" { gzip(&said) } else { said.into_bytes() };
            let length = body.len().to_string();
            let lines = [("Content-Encoding", coding), ("Content-Length", &length)];
            Says::Octets([head(200, &lines), b"\r\n".to_vec(), body].concat())
        })
        .await;
        let found = transport().discover(&Issuer::parse(&hostile.origin).expect("an issuer")).await;
        let tokens = client_of(&metadata(&hostile.origin), ClientAuth::SecretBasic(Secret::new("s")));
        let tokens = tokens.client_credentials(None, Vec::new()).await;
        let is_read = coding == "identity";
        assert_eq!((found.is_ok(), tokens.is_ok()), (is_read, is_read), "{found:?} {tokens:?}");
        assert!(hostile.asked().iter().all(|one| one.header("accept-encoding").is_empty()));
    }
}

/// URLs that strangers chose lead to no address of this machine or of its network (RFC 6890), by whatever name.
#[tokio::test]
async fn ops_ssrf_01_cl_dsc_04_atk_128_strangers_do_not_choose_private_addresses() {
    let hostile = Hostile::empty().await;
    let port = hostile.origin.rsplit(':').next().expect("a port");
    let stranger = Transport::over(Fetcher::for_strangers(&settings()).expect("a fetcher"));
    for host in [
        "127.0.0.1",
        "localhost",
        "app.localhost",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "[::]",
        "169.254.169.254",
        "10.0.0.1",
        "192.168.1.1",
        "172.16.0.1",
        "100.64.0.1",
        "[fe80::1]",
        "[fd00::1]",
        "[64:ff9b::a9fe:a9fe]",
    ] {
        let issuer = Issuer::parse(&format!("https://{host}:{port}")).expect("an issuer");
        let refused = stranger.discover(&issuer).await;
        let is_refused =
            matches!(refused, Err(ClientError::Fetch(FetchError::Address { .. } | FetchError::Url { .. })));
        assert!(is_refused, "{host}: {refused:?}");
    }
    let refused = stranger.discover(&Issuer::parse(&hostile.origin).expect("an issuer")).await;
    assert!(matches!(refused, Err(ClientError::Fetch(FetchError::Url { .. }))), "{refused:?}");
    assert_eq!(hostile.asked().len(), 0);
}

/// Many unknown key names do not make as many requests for keys, whether they come one by one or at once.
#[tokio::test]
async fn cl_dsc_06_atk_128_unknown_keys_are_not_asked_for_again_and_again() {
    let hostile = Hostile::start(|asked, before| match asked.target() {
        "/jwks" => says(200, &[], r#"{"keys":[]}"#),
        _ => {
            use keybound_dpop::jose::base64url::encode;
            let header = encode(format!("{{\"alg\":\"ES256\",\"kid\":\"{before}\"}}").as_bytes());
            let body = format!(
                "{{\"access_token\":\"a\",\"token_type\":\"DPoP\",\"id_token\":\"{header}.{}.{}\"}}",
                encode(b"{}"),
                encode(&[1; 64])
            );
            says(200, &[], &body)
        }
    })
    .await;
    let client = client_of(&metadata(&hostile.origin), ClientAuth::None);
    let refused = async |client: Client, iss: String| {
        let (login, sent) = begin(&client).await;
        let query = format!("code={CODE}&state={}&iss={iss}", sent.state.expect("a state"));
        let refused = client.finish_login(login, &Secret::new(query)).await;
        assert!(matches!(refused, Err(ClientError::IdToken(_))), "{refused:?}");
    };
    for _ in 0..20 {
        refused(client.clone(), hostile.origin.clone()).await;
    }
    let mut flood = JoinSet::new();
    for _ in 0..100 {
        flood.spawn(refused(client.clone(), hostile.origin.clone()));
    }
    flood.join_all().await;
    assert_eq!(hostile.at("/token").len(), 120);
    assert!(hostile.at("/jwks").len() <= 2, "{}", hostile.at("/jwks").len());
}
