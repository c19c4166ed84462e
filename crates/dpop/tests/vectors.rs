//! The files in `vectors/`, each held against its verdict: by the verifier, and by the inspector, which must agree.

#[cfg(test)]
mod tests {
    use keybound_dpop::header::ProofHeader;
    use keybound_dpop::jose::algorithm::{Algorithm, AlgorithmSet};
    use keybound_dpop::jose::base64url;
    use keybound_dpop::jose::json::Object;
    use keybound_dpop::jose::thumbprint::Thumbprint;
    use keybound_dpop::nonce::{NonceKeys, NonceState};
    use keybound_dpop::proof::check::{BoundToken, Expected, NotFresh, Policy, verify};
    use keybound_dpop::proof::error::{Check, Fault, Refusal};
    use keybound_dpop::proof::inspect::{Against, Verdict, inspect};
    use keybound_dpop::replay::{MemoryLog, ReplaySalt};
    use keybound_dpop::target::Target;
    use keybound_dpop::time::{Now, UnixTime};
    use keybound_dpop::token_hash::TokenHash;
    use std::collections::{BTreeMap, BTreeSet};
    use std::path::Path;
    use std::time::Duration;

    /// What `vectors/README.md` promises, at the least.
    const AT_LEAST: usize = 150;

    /// One file: its lines, and the `DPoP` field lines behind the blank one.
    struct Vector {
        name: String,
        lines: BTreeMap<String, String>,
        shown: Vec<Vec<u8>>,
    }

    fn all() -> Vec<Vector> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../vectors");
        let files = std::fs::read_dir(folder).expect("the folder of vectors");
        let paths = files.map(|file| file.expect("a file").path());
        let texts = paths.filter(|path| path.extension().is_some_and(|extension| extension == "txt"));
        let vectors: Vec<Vector> = texts.map(|path| Vector::read(&path)).collect();
        assert!(vectors.len() >= AT_LEAST, "{} vectors", vectors.len());
        vectors
    }

    impl Vector {
        fn read(path: &Path) -> Self {
            let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
            let bytes = std::fs::read(path).expect("a vector");
            let blank = bytes.windows(2).position(|two| two == b"\n\n").expect("a blank line");
            let head = std::str::from_utf8(&bytes[..blank]).expect("text");
            let lines = head.lines().map(|line| line.split_once(": ").unwrap_or((line, "")));
            let lines = lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let shown = bytes[blank + 2..].split_inclusive(|byte| *byte == b'\n');
            let shown = shown.map(|line| line.strip_suffix(b"\n").expect("a whole line").to_vec()).collect();
            Self { name, lines, shown }
        }

        fn get(&self, name: &str) -> Option<&str> {
            self.lines.get(name).map(String::as_str)
        }

        fn need(&self, name: &str) -> &str {
            self.get(name).unwrap_or_else(|| panic!("{}: no `{name}`", self.name))
        }

        fn header(&self) -> ProofHeader<'_> {
            match self.shown.as_slice() {
                [] => ProofHeader::Absent,
                [one] => ProofHeader::One(one),
                several => ProofHeader::Several(several.len()),
            }
        }

        fn time(&self) -> UnixTime {
            UnixTime::from_secs(self.need("time").parse().expect("seconds"))
        }

        fn policy(&self) -> Policy {
            let (past, future) = self.need("window").split_once('/').expect("two windows");
            let names = self.need("algorithms").split(' ');
            let algorithms: Vec<Algorithm> = names.map(|name| Algorithm::parse(name).expect(name)).collect();
            Policy {
                algorithms: AlgorithmSet::of(&algorithms),
                past_window_secs: past.parse().expect("seconds"),
                future_window_secs: future.parse().expect("seconds"),
                ..Policy::default()
            }
        }

        fn token(&self) -> Option<BoundToken> {
            let hash = TokenHash::of(self.get("token")?);
            Some(BoundToken { hash, jkt: Thumbprint::parse(self.need("jkt")).expect("a thumbprint") })
        }

        /// The nonce in the proof, where it can be read.
        fn nonce(&self) -> Option<String> {
            let text = std::str::from_utf8(self.shown.first()?).ok()?;
            let payload = base64url::decode(text.split('.').nth(1)?)?;
            Object::parse(&payload).ok()?.string("nonce").ok()?.map(str::to_owned)
        }

        /// The server's nonces, where it asks for one; that the file says the truth of its nonce is seen to first.
        fn nonce_keys(&self) -> Option<NonceKeys> {
            let keys = NonceKeys::new([7; 32], "vectors", None);
            let judged = |at| self.nonce().map(|nonce| keys.judge(&nonce, at));
            let accepted = |at| matches!(judged(at), Some(NonceState::Accepted { .. }));
            match self.need("nonce-state") {
                "none" => return None,
                "missing" => assert_eq!(self.nonce(), None, "{}", self.name),
                "accepted" => assert!(accepted(self.time()), "{}", self.name),
                "stale" => {
                    assert!(!accepted(self.time()) && accepted(self.time().minus_secs(120)), "{}", self.name);
                }
                "foreign" => assert!(!accepted(self.time()), "{}", self.name),
                other => panic!("{}: `nonce-state: {other}`", self.name),
            }
            Some(keys)
        }

        /// `ok`, or the check that failed, by the verifier and the log.
        fn verify(&self, keys: Option<&NonceKeys>) -> Result<(), Refusal> {
            let (policy, target) = (self.policy(), self.target());
            let method = self.need("method");
            let expected =
                Expected { method, target: &target, token: self.token(), nonce: keys, policy: &policy };
            let verified = verify(self.header(), &expected, self.time())?;
            let start = self.time().minus_secs(3600);
            let log = MemoryLog::new(10, Now { unix: start, monotonic: Duration::ZERO });
            let now = Now { unix: self.time(), monotonic: Duration::from_secs(3600) };
            let entry = verified.replay_entry(&ReplaySalt::new([1; 32]), "https://server.example");
            if self.get("used") == Some("yes") {
                log.record(entry, now);
            }
            match verified.after(log.record(entry, now)) {
                Ok(_) => Ok(()),
                Err(NotFresh::Replayed(refusal)) => Err(refusal),
                Err(NotFresh::Unavailable) => panic!("{}: the log is full", self.name),
            }
        }

        /// The same by the inspector, which knows of no log.
        fn inspect(&self, keys: Option<&NonceKeys>) -> Result<(), Refusal> {
            let (target, token) = (self.target(), self.token());
            let against = Against {
                method: self.get("method"),
                target: Some(&target),
                token: token.map(|token| token.hash),
                jkt: token.map(|token| token.jkt),
                nonce: keys,
                time: Some(self.time()),
            };
            let report = inspect(self.header(), &against, &self.policy());
            let failed = report.findings.into_iter().find_map(|finding| match finding.verdict {
                Verdict::Fails(refusal) => Some(refusal),
                _ => None,
            });
            failed.map_or(Ok(()), Err)
        }

        fn target(&self) -> Target {
            Target::parse(self.need("url")).expect("a URL")
        }
    }

    #[test]
    fn every_vector_gets_its_verdict() {
        for vector in all() {
            let keys = vector.nonce_keys();
            let verified = vector.verify(keys.as_ref());
            let came = match &verified {
                Ok(()) => "ok",
                Err(refusal) if refusal.check().fault() == Fault::Nonce => "nonce",
                Err(_) => "refused",
            };
            assert_eq!(came, vector.need("expect"), "{}: {verified:?}", vector.name);
            if let Err(refusal) = &verified {
                assert_eq!(refusal.check().rule().id, vector.need("row"), "{}: {refusal:?}", vector.name);
            }
        }
    }

    #[test]
    fn the_inspector_agrees_with_the_verifier() {
        for vector in all() {
            let keys = vector.nonce_keys();
            let verified = vector.verify(keys.as_ref()).map_err(|refusal| refusal.check());
            let inspected = vector.inspect(keys.as_ref()).map_err(|refusal| refusal.check());
            match verified {
                Err(Check::Replay) => assert_eq!(inspected, Ok(()), "{}", vector.name),
                verified => assert_eq!(inspected, verified, "{}", vector.name),
            }
        }
    }

    #[test]
    fn every_way_to_fail_is_shown_from_both_sides() {
        let vectors = all();
        let rows = |taken: bool| -> BTreeSet<&str> {
            let chosen = vectors.iter().filter(|vector| (vector.need("expect") == "ok") == taken);
            chosen.map(|vector| vector.need("row")).collect()
        };
        let (inside, outside) = (rows(true), rows(false));
        for check in Check::ALL {
            let row = check.rule().id;
            assert!(inside.contains(row), "{row}: no vector that just passes");
            assert!(outside.contains(row), "{row}: no vector that just fails");
        }
        assert_eq!(outside.len(), Check::ALL.len(), "a vector is refused for what is no check");
    }
}
