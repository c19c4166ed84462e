//! The file of a certificate authority: its key and its certificate, and what it was made for.

use super::authority::AuthorityError;
use crate::private_dir::{FileLock, PrivateDir};
use crate::private_file::PrivateFileError;
use keybound_dpop::jose::base64url;
use keybound_dpop::jose::json::Object;
use std::path::Path;
use zeroize::Zeroizing;

const SUFFIX: &str = ".authority";

/// What is kept.
pub(super) struct Kept {
    /// Seconds since 1970.
    pub(super) made_at: u64,
    pub(super) subject: String,
    pub(super) hosts: Vec<String>,
    /// PKCS #8.
    pub(super) key: Zeroizing<Vec<u8>>,
    /// DER.
    pub(super) certificate: Vec<u8>,
    /// The same for people.
    pub(super) pem: String,
}

/// What is kept under that name, if there is anything.
pub(super) fn read(folder: &Path, name: &str) -> Result<Option<Kept>, AuthorityError> {
    match PrivateDir::open(folder, SUFFIX)?.read(name) {
        Ok(bytes) => parse(&bytes).map(Some).ok_or_else(|| AuthorityError::NotAnAuthority(name.to_owned())),
        Err(PrivateFileError::Missing(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Waits until nobody else makes one of that name.
pub(super) fn lock(folder: &Path, name: &str) -> Result<FileLock, AuthorityError> {
    Ok(PrivateDir::open(folder, SUFFIX)?.lock(name)?)
}

/// Keeps it, in place of what was kept.
pub(super) fn write(folder: &Path, name: &str, kept: &Kept) -> Result<(), AuthorityError> {
    let key = Zeroizing::new(base64url::encode(&kept.key));
    let json = serde_json::json!({
        "made_at": kept.made_at,
        "subject": kept.subject,
        "hosts": kept.hosts,
        "key": *key,
        "certificate": base64url::encode(&kept.certificate),
        "pem": kept.pem,
    });
    let text = Zeroizing::new(json.to_string());
    Ok(PrivateDir::open(folder, SUFFIX)?.replace(name, text.as_bytes())?)
}

fn parse(bytes: &[u8]) -> Option<Kept> {
    let object = Object::parse(bytes).ok()?;
    let text = |name| object.string(name).ok().flatten();
    Some(Kept {
        made_at: object.numeric_date("made_at").ok()??.as_secs(),
        subject: text("subject")?.to_owned(),
        hosts: object.strings("hosts").ok()??.into_iter().map(str::to_owned).collect(),
        key: Zeroizing::new(base64url::decode(text("key")?)?),
        certificate: base64url::decode(text("certificate")?)?,
        pem: text("pem")?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn atk_126_the_key_is_in_a_file_that_nobody_else_can_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path().join("agent");
        let kept = Kept {
            made_at: 1_800_000_000,
            subject: "s".to_owned(),
            hosts: vec!["a".to_owned()],
            key: vec![1, 2].into(),
            certificate: vec![3],
            pem: "p".to_owned(),
        };
        assert!(read(&folder, "work").expect("read").is_none());
        write(&folder, "work", &kept).expect("written");
        let back = read(&folder, "work").expect("read").expect("there");
        assert_eq!((back.made_at, back.subject, back.hosts), (kept.made_at, kept.subject, kept.hosts));
        assert_eq!((back.key, back.certificate, back.pem), (kept.key, kept.certificate, kept.pem));
        let mode = std::fs::metadata(folder.join("work.authority")).expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(folder.join("work.authority"), "{}").expect("written");
        assert!(matches!(read(&folder, "work"), Err(AuthorityError::NotAnAuthority(_))));
    }
}
