//! Keys in tokens: SoftHSM, and a TPM 2.0 that swtpm plays, behind tpm2-pkcs11. `cargo xtask setup` installs them.

mod flow;
mod keys;
mod stage;
mod trouble;

/// The same test for each kind of token, in a process of its own: libraries read their environment once.
macro_rules! for_each_token {
    ($($test:ident)*) => {
        crate::for_each_token!(@ softhsm SoftHsm $($test)*);
        crate::for_each_token!(@ tpm Tpm $($test)*);
    };
    (@ $module:ident $kind:ident $($test:ident)*) => {
        mod $module {
            $(#[test]
            fn $test() {
                let name = concat!(module_path!(), "::", stringify!($test));
                crate::stage::within(crate::stage::Kind::$kind, name, super::$test);
            })*
        }
    };
}
pub(crate) use for_each_token;
