//! A file that nobody else can read: what is opened is judged before it is believed.

use rustix::fs::{Mode, OFlags};
use rustix::process::geteuid;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Bytes of one file, at the most.
const MAX_FILE_BYTES: u64 = 1024 * 1024;
/// The permission bits of group and others.
const NOT_OURS: u32 = 0o077;

/// Why a private file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PrivateFileError {
    /// The name could lead elsewhere.
    #[error(
        "`{0}` is no name for a file here: use 1 to 64 letters, digits, dots, dashes and underscores, not a dot first"
    )]
    Name(String),
    /// Others can get at it.
    #[error("{path} can be read by others (mode {mode:03o}); set it right with `chmod {fit:o} {path}`", path = path.display())]
    Exposed {
        /// The file or folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// The mode that it should have.
        fit: u32,
    },
    /// It belongs to somebody else, who could put there what they like.
    #[error("{path} belongs to user {owner}, and this program runs as user {us}; use a folder of your own", path = path.display())]
    Foreign {
        /// The file or folder.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        us: u32,
    },
    /// It leads elsewhere, or is no file at all.
    #[error("{} is a symbolic link or no ordinary file; put the file itself there", .0.display())]
    NotAFile(PathBuf),
    /// There is no such file.
    #[error("there is no {}", .0.display())]
    Missing(PathBuf),
    /// There is one already.
    #[error("{} is there already; delete it first or choose another name", .0.display())]
    Present(PathBuf),
    /// The system said no.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl PrivateFileError {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound => Self::Missing(path),
            _ => Self::Io { path, source },
        }
    }
}

/// Opens a file of ours that nobody else can get at. The file that was opened is the one that is judged.
pub(crate) fn open(path: &Path, flags: OFlags, fit: u32) -> Result<File, PrivateFileError> {
    let io = |source| PrivateFileError::io(path, source);
    // A pipe that somebody put there must not hold us up.
    let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::open(path, flags, Mode::RUSR | Mode::WUSR) {
        Ok(file) => File::from(file),
        Err(error) if is_link(path) || error == rustix::io::Errno::NXIO => {
            return Err(PrivateFileError::NotAFile(path.to_owned()));
        }
        Err(error) => return Err(io(error.into())),
    };
    let found = file.metadata().map_err(io)?;
    if found.is_dir() != flags.contains(OFlags::DIRECTORY) || !(found.is_dir() || found.is_file()) {
        return Err(PrivateFileError::NotAFile(path.to_owned()));
    }
    let us = geteuid().as_raw();
    if found.uid() != us {
        return Err(PrivateFileError::Foreign { path: path.to_owned(), owner: found.uid(), us });
    }
    let mode = found.permissions().mode() & 0o777;
    match mode & NOT_OURS {
        0 => Ok(file),
        _ => Err(PrivateFileError::Exposed { path: path.to_owned(), mode, fit }),
    }
}

fn is_link(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink())
}

/// The bytes of a file that only we can read, wherever it is.
///
/// # Errors
/// [`PrivateFileError`]
pub fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, PrivateFileError> {
    let file = open(path, OFlags::RDONLY, 0o600)?;
    read(file).map_err(|source| PrivateFileError::Io { path: path.to_owned(), source })
}

pub(crate) fn read(file: File) -> io::Result<Zeroizing<Vec<u8>>> {
    let len = file.metadata()?.len().min(MAX_FILE_BYTES);
    // Room for all of it, so that no part is left behind where it was before it grew.
    let room = usize::try_from(len).unwrap_or_default() + 1;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    file.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes zeros over all of it.
pub(crate) fn write_over(mut file: &File) -> io::Result<()> {
    let len = usize::try_from(file.metadata()?.len()).unwrap_or_default();
    file.write_all(&vec![0; len])?;
    file.sync_all()
}
