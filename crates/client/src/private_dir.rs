//! A folder of files that nobody else can read: keys and sessions. Files appear whole or not at all.

use crate::private_file::{PrivateFileError, open, read, write_over};
use rustix::fs::{FlockOperation, OFlags, flock};
use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::PathBuf;
use zeroize::Zeroizing;

/// What the names of files begin with that are being written.
const UNFINISHED: &str = ".new-";

/// A folder with mode 0700, whose files have mode 0600.
#[derive(Clone, Debug)]
pub struct PrivateDir {
    path: PathBuf,
    suffix: &'static str,
}

impl PrivateDir {
    /// Opens the folder, and makes it where it is not there. Its files end in `suffix`. What writes that were cut off have
    /// left behind is removed.
    ///
    /// # Errors
    /// [`PrivateFileError::Exposed`] where others can get into it.
    pub fn open(path: impl Into<PathBuf>, suffix: &'static str) -> Result<Self, PrivateFileError> {
        let path = path.into();
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.map_err(|source| PrivateFileError::Io { path: path.clone(), source })?;
        let folder = open(&path, OFlags::RDONLY | OFlags::DIRECTORY, 0o700)?;
        let dir = Self { path, suffix };
        dir.sweep(&folder);
        Ok(dir)
    }

    /// The names of the files, sorted.
    ///
    /// # Errors
    /// [`PrivateFileError::Io`]
    pub fn names(&self) -> Result<Vec<String>, PrivateFileError> {
        let entries =
            std::fs::read_dir(&self.path).map_err(|source| PrivateFileError::io(&self.path, source))?;
        let mut names = Vec::new();
        for entry in entries {
            let file_name = entry.map_err(|source| PrivateFileError::io(&self.path, source))?.file_name();
            let name = file_name.to_str().and_then(|name| name.strip_suffix(self.suffix));
            names.extend(name.filter(|name| is_name(name)).map(str::to_owned));
        }
        names.sort();
        Ok(names)
    }

    /// The bytes of a file that only we can read.
    ///
    /// # Errors
    /// [`PrivateFileError`]
    pub fn read(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, PrivateFileError> {
        let path = self.path_of(name)?;
        read(open(&path, OFlags::RDONLY, 0o600)?).map_err(|source| PrivateFileError::io(&path, source))
    }

    /// Whether there could be a new file of that name: before work is done that would be lost.
    ///
    /// # Errors
    /// [`PrivateFileError::Name`], [`PrivateFileError::Present`]
    pub fn check_new(&self, name: &str) -> Result<(), PrivateFileError> {
        let path = self.path_of(name)?;
        match std::fs::symlink_metadata(&path) {
            Ok(_) => Err(PrivateFileError::Present(path)),
            Err(_) => Ok(()),
        }
    }

    /// Writes a new file.
    ///
    /// # Errors
    /// [`PrivateFileError::Present`] where there is one of that name.
    pub fn create(&self, name: &str, bytes: &[u8]) -> Result<(), PrivateFileError> {
        let path = self.path_of(name)?;
        let _writing = self.writing();
        let written = self.write_aside(bytes)?;
        written.persist_noclobber(&path).map_err(|error| match error.error.kind() {
            io::ErrorKind::AlreadyExists => PrivateFileError::Present(path.clone()),
            _ => PrivateFileError::io(&path, error.error),
        })?;
        self.sync()
    }

    /// Writes a file, in place of the one of that name. Whatever happens meanwhile, one of the two is there, whole.
    ///
    /// # Errors
    /// [`PrivateFileError`]
    pub fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), PrivateFileError> {
        let path = self.path_of(name)?;
        let _writing = self.writing();
        let written = self.write_aside(bytes)?;
        written.persist(&path).map_err(|error| PrivateFileError::io(&path, error.error))?;
        self.sync()
    }

    /// Writes a file, in place of the one of that name, which is then written over with zeros.
    ///
    /// # Errors
    /// [`PrivateFileError::Missing`] where there is none.
    pub fn replace_for_good(&self, name: &str, bytes: &[u8]) -> Result<(), PrivateFileError> {
        let path = self.path_of(name)?;
        let former = open(&path, OFlags::WRONLY, 0o600)?;
        self.replace(name, bytes)?;
        write_over(&former).map_err(|source| PrivateFileError::io(&path, source))
    }

    /// Removes a file, after it was written over with zeros: so far as the file system writes in place, it is gone from
    /// the disk too.
    ///
    /// # Errors
    /// [`PrivateFileError::Missing`] where there is none.
    pub fn remove(&self, name: &str) -> Result<(), PrivateFileError> {
        let path = self.path_of(name)?;
        match open(&path, OFlags::WRONLY, 0o600) {
            Ok(file) => write_over(&file).map_err(|source| PrivateFileError::io(&path, source))?,
            // A link or somebody else's file: it goes, and what is in it is not ours to change.
            Err(PrivateFileError::NotAFile(_) | PrivateFileError::Foreign { .. }) => {}
            Err(error) => return Err(error),
        }
        std::fs::remove_file(&path).map_err(|source| PrivateFileError::io(&path, source))?;
        self.sync()
    }

    /// Waits until no other process holds the lock of that name, and takes it. It is given back when dropped, or when
    /// the process ends. Blocks the thread.
    ///
    /// # Errors
    /// [`PrivateFileError`]
    pub fn lock(&self, name: &str) -> Result<FileLock, PrivateFileError> {
        let path = self.path_of(name)?.with_extension("lock");
        let file = open(&path, OFlags::WRONLY | OFlags::CREATE, 0o600)?;
        flock(&file, FlockOperation::LockExclusive)
            .map_err(|error| PrivateFileError::io(&path, error.into()))?;
        Ok(FileLock { _file: file })
    }

    fn path_of(&self, name: &str) -> Result<PathBuf, PrivateFileError> {
        if !is_name(name) {
            return Err(PrivateFileError::Name(name.escape_debug().take(80).collect()));
        }
        Ok(self.path.join(format!("{name}{}", self.suffix)))
    }

    /// A temporary file has mode 0600 from its first moment.
    fn write_aside(&self, bytes: &[u8]) -> Result<tempfile::NamedTempFile, PrivateFileError> {
        let io = |source| PrivateFileError::io(&self.path, source);
        let only_ours = Permissions::from_mode(0o600);
        let made = tempfile::Builder::new().prefix(UNFINISHED).permissions(only_ours).tempfile_in(&self.path);
        let mut file = made.map_err(io)?;
        file.write_all(bytes).map_err(io)?;
        file.as_file().sync_all().map_err(io)?;
        Ok(file)
    }

    /// As long as it is there, somebody writes here.
    fn writing(&self) -> Option<File> {
        File::open(&self.path).ok().filter(|folder| flock(folder, FlockOperation::LockShared).is_ok())
    }

    /// Removes what is unfinished, unless somebody may still be writing it.
    fn sweep(&self, folder: &File) {
        if flock(folder, FlockOperation::NonBlockingLockExclusive).is_err() {
            return;
        }
        let entries = std::fs::read_dir(&self.path).into_iter().flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            let name = path.file_name().and_then(|name| name.to_str());
            if name.is_some_and(|name| name.starts_with(UNFINISHED)) {
                let wiped = open(&path, OFlags::WRONLY, 0o600).map(|file| write_over(&file));
                let removed = std::fs::remove_file(&path);
                tracing::debug!(?wiped, ?removed, "an unfinished file was left behind");
            }
        }
    }

    fn sync(&self) -> Result<(), PrivateFileError> {
        File::open(&self.path)
            .and_then(|folder| folder.sync_all())
            .map_err(|source| PrivateFileError::io(&self.path, source))
    }
}

/// A lock that other processes respect.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with('.')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::Mode;
    use rustix::process::geteuid;
    use std::path::Path;

    fn dir() -> (tempfile::TempDir, PrivateDir) {
        let outer = tempfile::tempdir().expect("a folder");
        let dir = PrivateDir::open(outer.path().join("keys"), ".json").expect("a private folder");
        (outer, dir)
    }

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).expect("metadata").permissions().mode() & 0o777
    }

    #[test]
    fn cl_key_07_folders_are_0700_and_files_0600() {
        let (_outer, dir) = dir();
        dir.create("a", b"1").expect("created");
        dir.replace("a", b"2").expect("replaced");
        assert_eq!((mode(&dir.path), mode(&dir.path.join("a.json"))), (0o700, 0o600));
        assert_eq!(dir.read("a").expect("read").as_slice(), b"2");
        assert_eq!(dir.names().expect("names"), ["a"]);
    }

    #[test]
    fn cl_key_07_what_others_can_read_is_refused() {
        let (_outer, dir) = dir();
        dir.create("a", b"1").expect("created");
        for open in [0o640, 0o604, 0o660] {
            std::fs::set_permissions(dir.path.join("a.json"), Permissions::from_mode(open)).expect("set");
            assert!(matches!(dir.read("a"), Err(PrivateFileError::Exposed { mode, .. }) if mode == open));
        }
        std::fs::set_permissions(&dir.path, Permissions::from_mode(0o750)).expect("set");
        let told = PrivateDir::open(&dir.path, ".json").expect_err("refused").to_string();
        assert!(told.contains("chmod 700"), "{told}");
    }

    #[test]
    fn cl_key_07_atk_126_links_and_pipes_are_refused() {
        let (outer, dir) = dir();
        dir.create("a", b"1").expect("created");
        std::os::unix::fs::symlink(dir.path.join("a.json"), dir.path.join("b.json")).expect("linked");
        assert!(matches!(dir.read("b"), Err(PrivateFileError::NotAFile(_))));
        dir.remove("b").expect("removed");
        assert_eq!(dir.read("a").expect("read").as_slice(), b"1", "the link went, not what it led to");
        let pipe = dir.path.join("c.json");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, Mode::RUSR | Mode::WUSR).expect("a pipe");
        assert!(matches!(dir.read("c"), Err(PrivateFileError::NotAFile(_))));
        dir.remove("c").expect("removed");
        std::os::unix::fs::symlink(&dir.path, outer.path().join("other")).expect("linked");
        let linked = PrivateDir::open(outer.path().join("other"), ".json");
        assert!(matches!(linked, Err(PrivateFileError::NotAFile(_))));
        std::os::unix::fs::symlink("/etc/hostname", dir.path.join("d.lock")).expect("linked");
        assert!(matches!(dir.lock("d"), Err(PrivateFileError::NotAFile(_))));
    }

    #[test]
    fn cl_key_07_atk_126_what_belongs_to_somebody_else_is_refused() {
        // The root of the file system is root's, or its mode tells that it is everybody's.
        let refused = PrivateDir::open("/", ".json").expect_err("refused");
        let told = matches!(refused, PrivateFileError::Foreign { .. } | PrivateFileError::Exposed { .. });
        assert!(told, "{refused}");
        let (_outer, dir) = dir();
        dir.create("a", b"1").expect("created");
        if geteuid().is_root() {
            std::os::unix::fs::chown(dir.path.join("a.json"), Some(12345), None).expect("given away");
            let refused = dir.read("a").expect_err("refused");
            assert!(refused.to_string().contains("belongs to user 12345"), "{refused}");
        }
    }

    #[test]
    fn cl_key_10_a_file_is_written_over_before_it_is_removed() {
        let (_outer, dir) = dir();
        dir.create("a", b"a secret").expect("created");
        let kept_open = File::open(dir.path.join("a.json")).expect("opened");
        dir.remove("a").expect("removed");
        let left = read(kept_open).expect("read");
        assert_eq!(left.as_slice(), &[0; 8]);
    }

    #[test]
    fn names_cannot_lead_elsewhere() {
        let (_outer, dir) = dir();
        for bad in ["", ".", "..", "../a", "a/b", ".hidden", "a b", "é", &"a".repeat(65)] {
            assert!(matches!(dir.read(bad), Err(PrivateFileError::Name(_))), "{bad}");
        }
        assert!(matches!(dir.read("none"), Err(PrivateFileError::Missing(_))));
        dir.create("a", b"1").expect("created");
        assert!(matches!(dir.create("a", b"2"), Err(PrivateFileError::Present(_))));
        assert_eq!(dir.read("a").expect("read").as_slice(), b"1");
    }

    #[test]
    fn cl_tok_05_a_write_that_never_ended_leaves_the_old_file() {
        let (_outer, dir) = dir();
        dir.create("a", b"old").expect("created");
        let half = dir.write_aside(b"ne").expect("written");
        assert_eq!(dir.read("a").expect("read").as_slice(), b"old");
        assert_eq!(dir.names().expect("names"), ["a"]);
        drop(half);
        dir.replace("a", b"new").expect("replaced");
        assert_eq!(dir.read("a").expect("read").as_slice(), b"new");
    }

    #[test]
    fn cl_key_02_atk_126_what_a_crash_left_is_wiped_and_what_is_being_written_is_not() {
        let (_outer, dir) = dir();
        let half = dir.write_aside(b"a secret").expect("written");
        let (kept_open, path) = (half.reopen().expect("opened"), half.path().to_owned());
        let writing = dir.writing().expect("locked");
        PrivateDir::open(&dir.path, ".json").expect("opened");
        assert!(path.exists(), "it is being written");
        // The process dies: its lock goes, its file stays.
        drop((writing, half.keep().expect("left behind")));
        dir.create("a", b"1").expect("created");
        PrivateDir::open(&dir.path, ".json").expect("opened");
        assert!(!path.exists() && read(kept_open).expect("read").as_slice() == [0; 8]);
        assert_eq!(dir.read("a").expect("read").as_slice(), b"1");
    }

    #[test]
    fn cl_key_10_a_file_that_is_replaced_for_good_is_written_over() {
        let (_outer, dir) = dir();
        dir.create("a", b"a secret").expect("created");
        let kept_open = File::open(dir.path.join("a.json")).expect("opened");
        dir.replace_for_good("a", b"sealed").expect("replaced");
        assert_eq!(read(kept_open).expect("read").as_slice(), &[0; 8]);
        assert_eq!(dir.read("a").expect("read").as_slice(), b"sealed");
    }

    #[test]
    fn a_lock_is_held_by_one_at_a_time() {
        let (_outer, dir) = dir();
        let first = dir.lock("a").expect("locked");
        let path = dir.path.join("a.lock");
        let other = std::fs::OpenOptions::new().write(true).open(&path).expect("opened");
        assert!(flock(&other, FlockOperation::NonBlockingLockExclusive).is_err());
        drop(first);
        assert!(flock(&other, FlockOperation::NonBlockingLockExclusive).is_ok());
    }
}
