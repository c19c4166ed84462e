//! AES-256-GCM (NIST SP 800-38D): what is kept sealed under a key.

use super::CryptoError;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use zeroize::Zeroizing;

/// Octets of a key.
pub const KEY_LEN: usize = 32;
/// Octets of an initialization vector.
pub const IV_LEN: usize = 12;

/// The ciphertext with its tag at the end. `associated` is not in it, but has to be the same when it is opened. A key must
/// not seal twice under one initialization vector.
///
/// # Errors
/// [`CryptoError`] where the library fails.
pub fn seal(
    key: &[u8; KEY_LEN],
    iv: [u8; IV_LEN],
    associated: &[u8],
    plaintext: &[u8],
) -> Result<Vec<u8>, CryptoError> {
    // Room for the tag, so that the plaintext is never copied to elsewhere.
    let mut sealed = Vec::with_capacity(plaintext.len() + AES_256_GCM.tag_len());
    sealed.extend_from_slice(plaintext);
    let iv = Nonce::assume_unique_for_key(iv);
    prepared(key)?
        .seal_in_place_append_tag(iv, Aad::from(associated), &mut sealed)
        .map_err(|_| CryptoError)?;
    Ok(sealed)
}

/// The plaintext of what [`seal`] made.
///
/// # Errors
/// [`CryptoError`] for another key, and for anything that was altered.
pub fn open(
    key: &[u8; KEY_LEN],
    iv: [u8; IV_LEN],
    associated: &[u8],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, CryptoError> {
    let mut opened = Zeroizing::new(sealed.to_vec());
    let iv = Nonce::assume_unique_for_key(iv);
    let plaintext =
        prepared(key)?.open_in_place(iv, Aad::from(associated), &mut opened).map_err(|_| CryptoError)?;
    let len = plaintext.len();
    opened.truncate(len);
    Ok(opened)
}

fn prepared(key: &[u8; KEY_LEN]) -> Result<LessSafeKey, CryptoError> {
    UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new).map_err(|_| CryptoError)
}

#[cfg(test)]
mod tests {
    use super::*;
    use data_encoding::HEXLOWER;

    #[test]
    fn it_is_the_algorithm_of_the_standard() {
        // The GCM specification, test case 14: no associated data, all zero.
        let sealed = seal(&[0; 32], [0; 12], b"", &[0; 16]).expect("sealed");
        assert_eq!(
            HEXLOWER.encode(&sealed),
            "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"
        );
        assert_eq!(open(&[0; 32], [0; 12], b"", &sealed).expect("opened").as_slice(), &[0; 16]);
    }

    #[test]
    fn whatever_was_altered_does_not_open() {
        let sealed = seal(&[7; 32], [1; 12], b"header", b"text").expect("sealed");
        assert_eq!(open(&[7; 32], [1; 12], b"header", &sealed).expect("opened").as_slice(), b"text");
        for at in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[at] ^= 1;
            assert!(open(&[7; 32], [1; 12], b"header", &altered).is_err(), "octet {at}");
        }
        assert!(open(&[7; 32], [1; 12], b"heaper", &sealed).is_err());
        assert!(open(&[8; 32], [1; 12], b"header", &sealed).is_err());
        assert!(open(&[7; 32], [2; 12], b"header", &sealed).is_err());
        assert!(open(&[7; 32], [1; 12], b"header", &sealed[..15]).is_err());
    }
}
