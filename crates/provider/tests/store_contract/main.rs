//! The contract of the store, held against every backend. A backend is a way to open a handle; a contract is a
//! function over it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a contract that fails panics"
)]

mod access_token;
mod account;
mod client;
mod code;
mod consent;
mod device;
mod file;
mod logout;
mod pushed;
mod record;
mod refresh_token;
mod session;

use keybound_provider::store::Store;
use std::path::PathBuf;
use tempfile::TempDir;

/// Somewhere to keep a store, which any number of handles can open.
trait Backend: Send + Sync {
    fn open(&self) -> Store;
}

struct Sqlite {
    folder: TempDir,
}

impl Sqlite {
    fn fresh() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("keybound.db")
    }
}

impl Backend for Sqlite {
    fn open(&self) -> Store {
        Store::open(&self.path()).unwrap()
    }
}

/// One test a contract, for each backend.
macro_rules! contract {
    ($($name:ident)*) => {
        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $name() {
                    super::$name(&crate::Sqlite::fresh()).await;
                }
            )*
        }
    };
}
use contract;
