//! Signing in on another device (RFC 8628): a code is shown here, and typed there.

use super::Begun;
use crate::error::CommandError;
use crate::facts::span;
use crate::output::{self, Style};
use keybound_client::client::Client;
use keybound_client::error::ClientError;
use keybound_client::flow::ask::TokenAsk;
use keybound_client::flow::device::PendingDevice;
use keybound_client::tokens::Tokens;
use keybound_dpop::time::UnixTime;
use keybound_oauth::error::{ErrorBody, ErrorCode};
use std::io::IsTerminal as _;
use std::time::Duration;

pub(super) async fn sign_in(begun: &Begun) -> Result<Tokens, ClientError> {
    let profile = &begun.server.profile;
    let ask = TokenAsk {
        scope: profile.scope.clone(),
        resources: profile.resources.clone(),
        ..TokenAsk::default()
    };
    let pending = begun.client.begin_device(ask).await?;
    let waiting = Waiting { client: &begun.client, until: pending.expires_at() };
    waiting.begin(&pending);
    let tokens = begun.client.finish_device(pending, |time| waiting.sleep(time)).await;
    waiting.clear();
    tokens
}

/// Whether the server does not let this client sign users in so.
pub(super) fn is_not_allowed(error: &ClientError) -> bool {
    crate::error::refusal(error).and_then(ErrorBody::code) == Some(ErrorCode::UnauthorizedClient)
}

/// What is seen while the user is elsewhere.
struct Waiting<'a> {
    client: &'a Client,
    until: UnixTime,
}

impl Waiting<'_> {
    fn begin(&self, pending: &PendingDevice) {
        let style = Style::of_stderr();
        let mut text = format!(
            "To sign in, open on any device\n  {}\nand type the code\n  {}\n",
            pending.verification_uri(),
            style.strong(&output::plain(pending.user_code().reveal()))
        );
        if let Some(uri) = pending.verification_uri_complete() {
            text.push_str(&format!("or open this, and see that it shows the same code\n  {uri}\n"));
        }
        text.push_str(&format!("Waiting, for {} at the most\n", span(self.left())));
        say(&text);
    }

    /// Waits; on a terminal the time that is left runs down.
    async fn sleep(&self, time: Duration) {
        if !std::io::stderr().is_terminal() {
            return tokio::time::sleep(time).await;
        }
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(Duration::from_secs(1));
            say(&format!("\r\x1b[K{} left ", span(self.left())));
            tokio::time::sleep(step).await;
            left = left.saturating_sub(step);
        }
    }

    fn clear(&self) {
        if std::io::stderr().is_terminal() {
            say("\r\x1b[K");
        }
    }

    fn left(&self) -> u64 {
        self.until.as_secs().saturating_sub(self.client.prover().now().as_secs())
    }
}

/// Nobody may be looking any more; the sign-in goes on all the same.
fn say(text: &str) {
    if let Err(CommandError { .. }) = output::note(text) {
        tracing::debug!("stderr cannot be written");
    }
}
