//! The client for itself (RFC 6749 §4.4). Nothing is stored but an opaque token.

use super::{Asker, Found, Granted};
use crate::bind;
use crate::clients::RegisteredClient;
use crate::provider::Provider;
use crate::reach::{self, Reach, Wanted};
use crate::refusal::{Denied, Refusal};
use keybound_oauth::error::ErrorCode;

pub(super) fn find(
    provider: &Provider,
    client: &RegisteredClient,
    wanted: &Wanted,
) -> Result<Found, Refusal> {
    if client.is_public() {
        let wire = "a client that does not authenticate cannot act for itself";
        return Err(Denied::new(ErrorCode::UnauthorizedClient, "AS-CA-12", wire).into());
    }
    Ok(Found::Client(reach::decide(&provider.config, client, wanted, false)?))
}

pub(super) async fn redeem(asker: &Asker, reach: Reach) -> Result<Granted, Refusal> {
    let config = &asker.provider.config;
    let audience = reach.audience(config);
    let binding = bind::decide(config, &asker.client, &audience, asker.proof.as_ref())?;
    let mut granted = Granted {
        client: asker.client.clone(),
        subject: asker.client.id.to_string(),
        pairwise: None,
        reach,
        audience,
        binding,
        jti: asker.minted.token_id.clone(),
        refresh_token: None,
        sign_in: None,
        opaque: None,
        exchanged: None,
    };
    if let Some(write) = asker.keep(&mut granted, None)? {
        asker.provider.store.write(vec![write]).await?;
    }
    Ok(granted)
}
