//! What fuzzing has collected for forms, run again as a plain test.

#[cfg(test)]
#[path = "../../../fuzz/bodies/form.rs"]
mod form;
#[cfg(test)]
#[path = "../../../fuzz/bodies/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::{form, replay};

    #[test]
    fn ops_lim_08_forms_hold_what_their_fuzz_target_asserts() {
        replay::corpus("form", form::check);
    }
}
