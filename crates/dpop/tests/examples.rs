//! The examples run to their end. Each of them stops where something is not as it says.

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
    make_a_proof: "../examples/make_a_proof.rs";
    check_a_proof: "../examples/check_a_proof.rs";
    inspect_a_proof: "../examples/inspect_a_proof.rs";
    sign_elsewhere: "../examples/sign_elsewhere.rs";
    record_elsewhere: "../examples/record_elsewhere.rs";
}
