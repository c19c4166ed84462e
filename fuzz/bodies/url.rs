//! Text as the URL of a request: the normal form is normal, and what a client signs is what a server compares.

use keybound_dpop::proof::create::htu;
use keybound_dpop::target::{MAX_HTU_LEN, Target};

/// Normalising twice is normalising once.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let target = Target::parse(text);
    if let Ok(target) = &target {
        assert!(target.as_str().len() <= MAX_HTU_LEN, "{target}");
        assert_eq!(Target::parse(target.as_str()).as_ref(), Ok(target), "{text}");
        assert_eq!(target.at(target.path()).as_ref(), Ok(target), "{text}");
        assert_eq!(format!("{}{}", target.origin(), target.path()), target.as_str());
        assert!(target.path().starts_with('/') && !target.as_str().contains(['?', '#']), "{target}");
        assert_eq!(target.is_https(), target.origin().starts_with("https://"));
    }
    let Ok(signed) = htu(text) else { return };
    let compared = Target::parse(&signed);
    assert!(compared.is_ok(), "{signed} is not what a server takes");
    assert!(!signed.contains(['?', '#']), "{signed}");
    if target.is_ok() {
        assert_eq!(compared, target, "{signed} is not {text}");
    }
}
