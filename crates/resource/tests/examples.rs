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

            /// The pieces of code in the guide are those that have run here.
            #[test]
            fn the_guide_shows_what_runs() {
                let guide = include_str!("../../../docs/guard-rust.md");
                let blocks: Vec<&str> = guide.split("```rust\n").skip(1).collect();
                assert!(blocks.len() > 3);
                for block in blocks {
                    let code = block.split("```").next().unwrap();
                    let mut sources = [$(include_str!($file)),*].into_iter();
                    assert!(sources.any(|source| source.contains(code)), "in no example:\n{code}");
                }
            }
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
