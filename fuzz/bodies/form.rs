//! Form-encoded bytes: what is read and written again is read alike.

use keybound_oauth::form::{Form, FormWriter, MAX_FORM_BYTES, MAX_PARAMETERS};

/// Names and values survive being written.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(form) = Form::parse(bytes) else { return };
    let mut names: Vec<&str> = form.names().collect();
    assert!(names.len() <= MAX_PARAMETERS, "{} parameters were read", names.len());
    names.sort_unstable();
    names.dedup();
    let written = names.iter().fold(FormWriter::new(), |writer, name| writer.each(name, form.all(name)));
    let written = written.finish();
    if written.len() > MAX_FORM_BYTES {
        return;
    }
    let again = Form::parse(written.as_bytes());
    let again = again.unwrap_or_else(|error| panic!("{written}: {error}"));
    assert_eq!(form.names().count(), again.names().count(), "{written}");
    for name in names {
        assert!(form.has(name) && form.all(name).eq(again.all(name)), "{name} in {written}");
    }
}
