//! The way of a browser through the authorization endpoint (RFC 6749 §4.1, OpenID Connect Core §3.1.2): judge the
//! request, have the user sign in, ask for consent, go back to the client.
//!
//! Nothing is kept between the steps. Each page carries the request, each step judges it anew, and the tokens in the
//! forms are MACs. A redirect to a client can be built from a [`ReturnAddress`] alone, and only [`judge`] makes one.

mod account;
mod address;
mod asked;
mod challenges;
mod consent;
mod cookie;
pub mod device;
mod form_token;
mod judge;
pub mod logout;
mod meant;
mod next;
mod parameters;
pub mod pushed;
mod recent;
mod remembered;
mod request_object;
mod sign_in;
mod step;
mod submission;
mod throttle;
mod visitor;

pub use account::choose;
pub use address::ReturnAddress;
pub(crate) use address::SIGNED_LIFE_SECS;
pub use asked::{Asked, MAX_REQUEST_BYTES};
pub use consent::consent;
pub use judge::{FaultyRequest, Outcome, ValidRequest, judge};
pub use meant::Meant;
pub use parameters::Begun;
pub use sign_in::sign_in;
pub use step::{carry_back, next_step, start_again};
pub use submission::Submission;
pub use visitor::Visitor;

use crate::passwords::Verifier;
use challenges::SeenChallenges;
use throttle::Throttle;

/// What is remembered of browsers for a while: bounded, and gone with the process.
#[derive(Debug, Default)]
pub struct Memory {
    verifier: Verifier,
    throttle: Throttle,
    user_codes: Throttle,
    challenges: SeenChallenges,
    pushes: pushed::Pushes,
    fetches: request_object::Fetches,
}
