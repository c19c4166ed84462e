//! Keys, as commands use them: found by name or in a file, and set to work.

use crate::error::CommandError;
use crate::{input, places};
use keybound_client::private_file::read_private;
use keybound_client::prover::{Prover, SharedSigner};
use keybound_dpop::time::SystemClock;
use std::path::Path;
use std::sync::Arc;

/// The key of that name, or in that file, whatever kind it is of.
pub(crate) fn signing_key(name: &str) -> Result<SharedSigner, CommandError> {
    let keys = places::keys()?;
    if !input::is_path(name) {
        return Ok(keys.load(name)?);
    }
    let bytes = read_private(Path::new(name)).map_err(CommandError::failed)?;
    keys.signer(name, &bytes).map_err(|error| {
        CommandError::failed(error)
            .advise("the file must hold one private JWK; `keybound key new NAME` makes a key")
    })
}

/// A prover for the key, by this machine's clock.
pub(crate) fn prover(key: SharedSigner) -> Prover {
    Prover::new(key, Arc::default(), Arc::new(SystemClock::start()))
}
