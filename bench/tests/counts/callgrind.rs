//! Reads what `valgrind --tool=callgrind` writes, as far as it is needed here.
//!
//! The format is a list of lines: `fn=` begins a function and what it did itself, a line and a cost each; `calls=` is
//! followed by what the called function did, all told. A name stands only once, behind a number in parentheses.

use std::collections::HashMap;

/// What the names of the crypto library begin with, in C and in Rust. Which of its code runs depends on the processor.
const CRYPTO: &str = "aws_lc_";

/// What was counted.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    total: u64,
    calls: Vec<Call>,
}

/// A call from one function to another, summed over all of them.
#[derive(Debug)]
struct Call {
    from: String,
    to: String,
    leaves_program: bool,
    times: u64,
    instructions: u64,
}

impl Profile {
    /// Instructions without those that our functions had the crypto library and the C library run.
    pub(crate) fn of_ours(&self) -> u64 {
        let outside = self.calls.iter().filter(|call| call.is_outward());
        self.total - outside.map(|call| call.instructions).sum::<u64>()
    }

    /// How often our functions called the crypto library.
    pub(crate) fn calls_of_crypto(&self) -> u64 {
        let to_crypto = self.calls.iter().filter(|call| call.is_outward() && call.to.starts_with(CRYPTO));
        to_crypto.map(|call| call.times).sum()
    }

    /// Reads a dump.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut reader = Reader::default();
        for (index, line) in text.lines().enumerate() {
            reader.take(line).map_err(|error| format!("line {}: {error}: {line}", index + 1))?;
        }
        Ok(reader.profile)
    }
}

impl Call {
    /// From our Rust, whose names have colons, to the crypto library or out of the program. The allocator is inside.
    fn is_outward(&self) -> bool {
        let from_ours = self.from.contains("::") && !self.from.starts_with(CRYPTO);
        from_ours && (self.leaves_program || self.to.starts_with(CRYPTO))
    }
}

#[derive(Default)]
struct Reader {
    profile: Profile,
    functions: HashMap<String, String>,
    objects: HashMap<String, String>,
    function: String,
    object: String,
    called: String,
    called_object: Option<String>,
    /// How often; the next line says how many instructions.
    times: Option<u64>,
}

impl Reader {
    fn take(&mut self, line: &str) -> Result<(), String> {
        if let Some(total) = line.strip_prefix("totals: ") {
            self.profile.total = number(total)?;
        } else if let Some(name) = line.strip_prefix("ob=") {
            self.object = long(&mut self.objects, name)?;
        } else if let Some(name) = line.strip_prefix("fn=") {
            self.function = long(&mut self.functions, name)?;
        } else if let Some(name) = line.strip_prefix("cob=") {
            self.called_object = Some(long(&mut self.objects, name)?);
        } else if let Some(name) = line.strip_prefix("cfn=") {
            self.called = long(&mut self.functions, name)?;
        } else if let Some(calls) = line.strip_prefix("calls=") {
            self.times = Some(number(calls.split(' ').next().unwrap_or_default())?);
        } else if let Some(times) = self.times.take() {
            let instructions = number(line.split(' ').nth(1).unwrap_or_default())?;
            let leaves_program = self.called_object.take().is_some_and(|object| object != self.object);
            let (from, to) = (self.function.clone(), self.called.clone());
            self.profile.calls.push(Call { from, to, leaves_program, times, instructions });
        }
        Ok(())
    }
}

/// The name behind `(number)`, which is written out where it comes first.
fn long(known: &mut HashMap<String, String>, short: &str) -> Result<String, String> {
    let (short, name) = short.split_once(' ').unwrap_or((short, ""));
    if !name.is_empty() {
        known.insert(short.to_owned(), name.to_owned());
    }
    known.get(short).cloned().ok_or_else(|| "a name that was never written out".to_owned())
}

fn number(text: &str) -> Result<u64, String> {
    text.trim().parse().map_err(|_| format!("`{text}` is not a number"))
}

#[test]
fn a_profile_is_read_and_the_libraries_are_left_out() {
    let text = "ob=(1) /p\nfn=(1) ours::check\n10 100\n\
        cfn=(2) aws_lc_verify\ncalls=3 0\n11 5000\n\
        cob=(2) /libc\ncfn=(3) memcpy\ncalls=7 0\n* 70\n\
        cfn=(4) mi_malloc\ncalls=1 0\n+1 30\n\
        cfn=(5) aws_lc_rs::sign\ncalls=1 0\n+1 20\n\
        fn=(5)\n0 5\ncfn=(2)\ncalls=1 0\n0 15\n\
        fn=(2)\n0 4015\ncob=(2)\ncfn=(3)\ncalls=1 0\n0 1000\n\
        totals: 5220\n";
    let profile = Profile::parse(text).expect("a profile");
    assert_eq!((profile.of_ours(), profile.calls_of_crypto()), (130, 4));
    assert!(Profile::parse("fn=(9)\n").is_err());
}
