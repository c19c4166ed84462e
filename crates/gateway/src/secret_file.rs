//! Files with secrets.

use std::fs::File;
use std::io::{Error, Read, Result};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use zeroize::Zeroizing;

/// Anything for anybody but the owner.
pub(crate) const ALL_BUT_OWNER: u32 = 0o077;
/// Writing for the group, or anything for others, as for the key of our own certificate.
pub(crate) const ALL_BUT_READERS: u32 = 0o027;

/// The content, wiped after use, of a file that grants nothing of `too_open`.
pub(crate) fn read(path: &Path, too_open: u32) -> Result<Zeroizing<Vec<u8>>> {
    let mut file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode() & 0o777;
    if mode & too_open != 0 {
        return Err(Error::other(format!("others may read it (mode {mode:o}): chmod 600")));
    }
    let mut content = Zeroizing::new(Vec::new());
    file.read_to_end(&mut content)?;
    Ok(content)
}
