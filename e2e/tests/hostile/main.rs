//! The client among servers that mean it harm: each records every octet that it gets, and answers as no honest server
//! would.

#[cfg(test)]
mod callback;
#[cfg(test)]
mod challenges;
#[cfg(test)]
mod floods;
#[cfg(test)]
mod forgery;
#[cfg(test)]
mod id_tokens;
#[cfg(test)]
mod keys;
#[cfg(test)]
mod mix_up;
#[cfg(test)]
mod nonces;
#[cfg(test)]
mod redirects;
#[cfg(test)]
mod response_jwt;
#[cfg(test)]
mod server;
#[cfg(test)]
mod side;
#[cfg(test)]
mod time;
#[cfg(test)]
mod token_types;
#[cfg(test)]
mod victim;
