//! Single rules, seen through a report: it shows a rule that fails whatever the others say, so no proof here is signed.

#[cfg(test)]
mod tests {
    use keybound_dpop::header::ProofHeader;
    use keybound_dpop::jose::base64url;
    use keybound_dpop::proof::check::Policy;
    use keybound_dpop::proof::inspect::{Against, Verdict, inspect};
    use keybound_dpop::time::UnixTime;

    /// What the rule of that name says to the wire, if it fails.
    fn failure(rule: &str, header: &str, claims: &str, against: &Against<'_>) -> Option<String> {
        let proof = [header, claims, "signature"].map(|part| base64url::encode(part.as_bytes())).join(".");
        let report = inspect(ProofHeader::One(proof.as_bytes()), against, &Policy::default());
        let finding = report.findings.into_iter().find(|finding| finding.name == rule).expect("a rule");
        match finding.verdict {
            Verdict::Fails(refusal) => Some(refusal.for_wire()),
            _ => None,
        }
    }

    #[test]
    fn dpop_typ_01_the_long_form_has_the_prefix_application() {
        let fails =
            |typ: &str| failure("typ", &format!(r#"{{"typ":"{typ}"}}"#), "{}", &Against::default()).is_some();
        for fine in ["dpop+jwt", "DPoP+JWT", "application/dpop+jwt", "Application/DPOP+jwt"] {
            assert!(!fails(fine), "{fine}");
        }
        for other in ["multipart/x/dpop+jwt", "application/application/dpop+jwt", "/dpop+jwt", "dpop+jwt "] {
            assert!(fails(other), "{other}");
        }
    }

    #[test]
    fn dpop_jwk_02_dpop_jwk_04_the_member_at_fault_is_named() {
        let without_y = format!(r#"{{"kty":"EC","crv":"P-256","x":"{}"}}"#, base64url::encode(&[1; 32]));
        for (jwk, member) in [(r#"{"kty":"EC","dp":"AA"}"#, "`dp`"), (without_y.as_str(), "`y`")] {
            let told = failure("no private key", &format!(r#"{{"jwk":{jwk}}}"#), "{}", &Against::default());
            assert!(told.as_ref().is_some_and(|told| told.contains(member)), "{told:?}");
        }
    }

    #[test]
    fn as_err_07_a_clock_that_is_off_is_told_by_how_much() {
        let against = Against { time: Some(UnixTime::from_secs(1_800_000_000)), ..Against::default() };
        for (iat, offset) in
            [(1_799_999_000_u64, "your offset -1000 s"), (1_800_000_500, "your offset 500 s")]
        {
            let told = failure("iat", "{}", &format!(r#"{{"iat":{iat}}}"#), &against);
            let ending = format!("server time 1800000000, {offset}");
            assert!(told.as_ref().is_some_and(|told| told.ends_with(&ending)), "{told:?}");
        }
    }
}
