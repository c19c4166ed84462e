//! What the test `counts` runs under valgrind, once for each of the four works. What is counted is what happens inside
//! the functions whose names begin with `counted_`.

use keybound_bench::Failure;
use keybound_bench::scene::{Scene, request};
use keybound_dpop::jose::algorithm::Algorithm;
use keybound_dpop::replay::{MemoryLog, Recorded, ReplayEntry, ReplayKey};
use keybound_dpop::time::{Now, UnixTime};
use std::hint::black_box;
use std::time::Duration;

use http::HeaderMap;

/// How often each of the four does its work, not counting the first time, which sets up what lasts.
const TIMES: u64 = 50;
/// Records are cheap and their tables grow in leaps: more of them, so that the leaps average out.
const RECORDS: u64 = 20_000;

fn main() -> Result<(), Failure> {
    let scene = || Scene::new(Algorithm::Es256);
    match std::env::args().nth(1).as_deref() {
        Some("check") => {
            let scene = scene()?;
            let (requests, log) = (requests_of(&scene.proofs(TIMES + 1)?)?, scene.log());
            let (first, others) = requests.split_first().ok_or("no request")?;
            scene.check(first, &log)?;
            counted_check(&scene, others, &log)
        }
        Some("refusal") => {
            let scene = scene()?;
            let requests = requests_of(&scene.junk(TIMES + 1)?)?;
            let (first, others) = requests.split_first().ok_or("no request")?;
            scene.refuse(first)?;
            counted_refusal(&scene, others)
        }
        Some("make") => {
            let scene = scene()?;
            scene.make(TIMES)?;
            counted_make(&scene)
        }
        Some("record") => {
            let now = Now { unix: UnixTime::from_secs(1_800_000_000), monotonic: Duration::ZERO };
            counted_record(&MemoryLog::new(2 * usize::try_from(RECORDS)?, now), now)
        }
        _ => Err("usage: counts check|refusal|make|record".into()),
    }
}

fn requests_of(proofs: &[String]) -> Result<Vec<HeaderMap>, Failure> {
    proofs.iter().map(|proof| request(proof)).collect()
}

#[inline(never)]
fn counted_check(scene: &Scene, requests: &[HeaderMap], log: &MemoryLog) -> Result<(), Failure> {
    for request in requests {
        black_box(scene.check(request, log)?);
    }
    Ok(())
}

#[inline(never)]
fn counted_refusal(scene: &Scene, junk: &[HeaderMap]) -> Result<(), Failure> {
    for request in junk {
        scene.refuse(request)?;
    }
    Ok(())
}

#[inline(never)]
fn counted_make(scene: &Scene) -> Result<(), Failure> {
    for number in 0..TIMES {
        black_box(scene.make(number)?);
    }
    Ok(())
}

#[inline(never)]
fn counted_record(log: &MemoryLog, now: Now) -> Result<(), Failure> {
    for number in 1..=u128::from(RECORDS) {
        // An odd factor spreads the numbers over all bits, and no two fall together.
        let key = ReplayKey(number.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        let entry = ReplayEntry { key, from: None, until: now.unix.plus_secs(120) };
        if log.record(entry, now) != Recorded::Fresh {
            return Err("a record that was there".into());
        }
    }
    Ok(())
}
