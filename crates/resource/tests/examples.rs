//! The examples run to their end. Each of them stops where something is not as it says.
#![expect(clippy::duplicate_mod, reason = "each example is a program of its own, and they share a file")]

#[cfg(test)]
macro_rules! examples {
    ($($name:ident: $file:literal;)*) => {
        $(#[path = $file] mod $name;)*

        mod tests {
            $(#[test]
            fn $name() {
                super::$name::main().unwrap();
            })*
        }
    };
}

#[cfg(test)]
examples! {
    axum_service: "../examples/axum_service.rs";
    tower_service: "../examples/tower_service.rs";
    grpc_service: "../examples/grpc_service.rs";
    opaque_tokens: "../examples/opaque_tokens.rs";
}
