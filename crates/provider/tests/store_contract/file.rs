//! What is true of SQLite's file alone.

use crate::record::{code, credential, grant, redeem, refresh_token, session, with_code};
use crate::{Backend, Sqlite};
use keybound_provider::store::{AccessToken, Code, OpenError, RefreshToken, Session, Store, Write};
use std::path::Path;
use std::time::Duration;

#[cfg(unix)]
#[tokio::test]
async fn ops_key_05_only_the_owner_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let backend = Sqlite::fresh();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let store = backend.open();
    with_code(&store).await;
    let files: Vec<_> =
        std::fs::read_dir(backend.folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 3, "the file, its log and the log's index: {files:?}");
    for file in &files {
        assert_eq!(mode(file), 0o600, "{}", file.display());
    }
    drop(store);

    std::fs::set_permissions(backend.path(), std::fs::Permissions::from_mode(0o644)).unwrap();
    drop(backend.open());
    assert_eq!(mode(&backend.path()), 0o600);
}

#[tokio::test]
async fn a_closed_store_is_one_file() {
    let backend = Sqlite::fresh();
    let store = backend.open();
    with_code(&store).await;
    drop(store);
    let files: Vec<_> =
        std::fs::read_dir(backend.folder.path()).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(files, [backend.path()]);
}

fn log_len(backend: &Sqlite) -> u64 {
    let name = format!("{}-wal", backend.path().file_name().unwrap().display());
    std::fs::metadata(backend.folder.path().join(name)).unwrap().len()
}

/// The look that stands for the sake of others does not stand in the way: the log can be emptied by whoever wants to.
#[tokio::test]
async fn an_open_store_lets_others_fold_the_log_in() {
    let backend = Sqlite::fresh();
    let store = backend.open();
    with_code(&store).await;
    let other = rusqlite::Connection::open(backend.path()).unwrap();
    other.busy_timeout(Duration::from_secs(5)).unwrap();
    other.execute("CREATE TABLE of_another (id INTEGER)", []).unwrap();
    let is_done = || {
        let fold = "PRAGMA wal_checkpoint(TRUNCATE)";
        other.query_row(fold, [], |row| row.get::<_, bool>("busy")).is_ok_and(|is_busy| !is_busy)
    };
    // The first can meet the store's own fold, and is refused at once.
    assert!(is_done() || is_done());
    assert_eq!(log_len(&backend), 0);
}

/// Not in that of somebody who writes without a rest either, as one does who adds many users. The waits are how long that
/// one writes.
#[tokio::test]
async fn an_open_store_lets_others_write_without_a_rest() {
    let backend = Sqlite::fresh();
    let store = backend.open();
    with_code(&store).await;
    let other = rusqlite::Connection::open(backend.path()).unwrap();
    other.execute("CREATE TABLE of_another (data BLOB)", []).unwrap();
    let (stop, stopped) = std::sync::mpsc::channel::<()>();
    let writing = tokio::task::spawn_blocking(move || {
        let mut commits = 0_u32;
        while stopped.try_recv().is_err() {
            other.execute("INSERT INTO of_another VALUES (zeroblob(10000))", []).unwrap();
            other.execute("DELETE FROM of_another", []).unwrap();
            commits += 2;
        }
        commits
    });
    tokio::time::sleep(Duration::from_secs(4)).await;
    let before = log_len(&backend);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after = log_len(&backend);
    stop.send(()).unwrap();
    let commits = writing.await.unwrap();
    assert!(commits > 100, "{commits} commits");
    assert!(after < before + 8 * 1024 * 1024, "the log grows: {before}, {after}");
}

#[test]
fn many_processes_open_a_new_file_at_once() {
    let backend = Sqlite::fresh();
    std::thread::scope(|scope| {
        let opened: Vec<_> = (0..8).map(|_| scope.spawn(|| Store::open(&backend.path()))).collect();
        for store in opened {
            store.join().unwrap().unwrap();
        }
    });
}

#[test]
fn a_file_that_cannot_be_a_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let refused = |name: &str| Store::open(&path(name)).map(drop).unwrap_err();

    assert!(matches!(refused("no/such/folder.db"), OpenError::FolderMissing { .. }));
    assert!(matches!(refused("."), OpenError::NotAFile { .. }));

    std::fs::write(path("letter.txt"), "Dear reader, ".repeat(1000)).unwrap();
    assert!(matches!(refused("letter.txt"), OpenError::NotADatabase { .. }));
    assert_eq!(std::fs::read(path("letter.txt")).unwrap(), "Dear reader, ".repeat(1000).as_bytes());

    let foreign = rusqlite::Connection::open(path("foreign.db")).unwrap();
    foreign.execute_batch("CREATE TABLE recipes (name TEXT)").unwrap();
    drop(foreign);
    let before = std::fs::read(path("foreign.db")).unwrap();
    assert!(matches!(refused("foreign.db"), OpenError::Foreign { .. }));
    assert_eq!(std::fs::read(path("foreign.db")).unwrap(), before);

    drop(Store::open(&path("newer.db")).unwrap());
    let newer = rusqlite::Connection::open(path("newer.db")).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    let error = refused("newer.db");
    assert!(matches!(error, OpenError::NewerSchema { found: 99, .. }));
    assert!(error.to_string().contains("run the version that wrote it"), "{error}");
}

#[tokio::test]
async fn as_rt_14_no_usable_secret_is_stored() {
    let backend = Sqlite::fresh();
    let store = backend.open();
    let grant = grant(None);
    let mut secrets = Vec::new();
    let mut mint = || {
        let (id, text, hash) = credential();
        secrets.push(text.reveal().split_once('.').unwrap().1.to_owned());
        (id, hash)
    };
    let (id, secret_hash) = mint();
    let code = Code { id, secret_hash, ..code(&grant) };
    let (id, secret_hash) = mint();
    let token = RefreshToken { id, secret_hash, ..refresh_token(&grant, true) };
    let (id, secret_hash) = mint();
    let session = Session { id, secret_hash, ..session("sub-1") };
    let (id, secret_hash) = mint();
    let access_token = AccessToken {
        id,
        secret_hash,
        grant_id: None,
        expires_at: token.expires_at,
        claims: serde_json::Map::new(),
    };
    let writes = vec![
        Write::InsertGrant(grant),
        Write::InsertCode(Box::new(code.clone())),
        Write::InsertRefreshToken(Box::new(token.clone())),
        Write::InsertSession(session),
        Write::InsertAccessToken(Box::new(access_token)),
    ];
    store.write(writes).await.unwrap();
    redeem(&store, &code).await;

    let dump = || -> Vec<u8> {
        let files = std::fs::read_dir(backend.folder.path()).unwrap();
        files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
    };
    let open = dump();
    drop(store);
    let closed = dump();
    for dump in [open, closed] {
        assert!(holds(&dump, token.secret_hash.as_bytes()), "the dump is not of what was written");
        assert!(holds(&dump, b"https://app.example/callback"), "the dump is not of what was written");
        for secret in &secrets {
            let bytes = data_encoding::BASE64URL_NOPAD.decode(secret.as_bytes()).unwrap();
            assert!(!holds(&dump, secret.as_bytes()));
            assert!(!holds(&dump, &bytes));
        }
    }
}

fn holds(dump: &[u8], part: &[u8]) -> bool {
    dump.windows(part.len()).any(|window| window == part)
}
