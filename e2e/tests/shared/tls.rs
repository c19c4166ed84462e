//! A log behind TLS.

