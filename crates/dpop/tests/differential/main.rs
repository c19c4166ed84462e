//! Another JOSE library beside ours, on the same tokens: what one signs the other verifies, what was tampered with both
//! refuse, and where they differ a list says how and why.
//!
//! Both stand on one cryptographic library, so this compares how tokens and keys are read, not the arithmetic.

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod differences;
#[cfg(test)]
mod pair;
#[cfg(test)]
mod tampering;
