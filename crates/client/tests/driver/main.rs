//! The driver against servers on loopback that behave as odd servers do.

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod calls;
#[cfg(test)]
mod clocks;
#[cfg(test)]
mod device;
#[cfg(test)]
mod discovery;
#[cfg(test)]
mod echoes;
#[cfg(test)]
mod grants;
#[cfg(test)]
mod layer;
#[cfg(test)]
mod login;
#[cfg(test)]
mod mix_up;
#[cfg(test)]
mod mock;
#[cfg(test)]
mod nonces;
#[cfg(test)]
mod odd_resources;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod pushed;
#[cfg(test)]
mod registration;
#[cfg(test)]
mod renewal;
#[cfg(feature = "reqwest")]
#[cfg(test)]
mod reqwest_client;
#[cfg(test)]
mod review;
#[cfg(test)]
mod rotation;
#[cfg(test)]
mod sendings;
#[cfg(test)]
mod signed;
#[cfg(test)]
mod streaming;
#[cfg(test)]
mod tokens;
#[cfg(test)]
mod userinfo;
