//! The provider as a process, beside limits that are measured in the same rounds: what the curve arithmetic and a bare
//! HTTP handler cost, and beside oidc-provider, which runs on Node.

mod flood;
mod flow;
mod pages;
mod scene;
mod walks;
mod wallet;

pub(crate) use pages::{rows as page_rows, train};

use crate::process::{ROUNDS, alone, beside, median_of};
use crate::table::{Figure, Goal, Row};
use keybound_bench::Failure;
use scene::{Round, Scene};

/// What a flood may add to the memory. An allocator breathes by about as much.
const GROWTH_MAX_OCTETS: f64 = 2.0 * 1024.0 * 1024.0;

pub(crate) fn rows() -> Result<Vec<Row>, Failure> {
    let mut scene = Scene::set()?;
    let rounds: Vec<Round> = (0..ROUNDS).map(|_| scene.round()).collect::<Result<_, _>>()?;
    let half = median_of(&rounds, |round| round.basic.per_wall_sec()) / 2.0;
    let times = scene.latencies(half)?;
    let p99 = median_of(&times, |[times]| times.of_100(99));
    let growth = scene.growth_octets()?;
    let (key, code) = (Goal::Ratio(0.80), Goal::Ratio(0.35));
    let ours = |load: fn(&Round) -> f64| load;
    Ok(vec![
        beside(
            "client_secret_basic / verify + sign + bare",
            &rounds,
            |round| round.limit(1.0, 1.0, 1.0),
            ours(|round| round.basic.per_cpu_sec()),
            key,
        ),
        beside(
            "  the same, with audit events alone in the log",
            &rounds,
            |round| round.limit(1.0, 1.0, 1.0),
            ours(|round| round.quiet.per_cpu_sec()),
            Goal::None,
        ),
        beside(
            "private_key_jwt / 2 verify + sign + bare",
            &rounds,
            |round| round.limit(2.0, 1.0, 1.0),
            ours(|round| round.jwt.per_cpu_sec()),
            Goal::Ratio(0.80),
        ),
        beside(
            "code flow, durable / 3 verify + 4 sign + 4 bare",
            &rounds,
            |round| round.limit(3.0, 4.0, 4.0),
            ours(|round| round.flow.per_cpu_sec()),
            code,
        ),
        beside(
            "client_secret_basic / oidc-provider on Node",
            &rounds,
            |round| round.node.per_cpu_sec(),
            ours(|round| round.basic.per_cpu_sec()),
            Goal::Ratio(5.0),
        ),
        alone("p99 at half of the saturation load", Figure::Secs(p99), Goal::Secs(0.005)),
        alone("memory that a flood of strangers adds", Figure::Bytes(growth), Goal::Bytes(GROWTH_MAX_OCTETS)),
        alone(
            "one ES256 verification",
            Figure::Secs(1.0 / median_of(&rounds, |round| round.verify)),
            Goal::None,
        ),
        alone("one ES256 signature", Figure::Secs(1.0 / median_of(&rounds, |round| round.sign)), Goal::None),
        alone(
            "one bare request",
            Figure::Secs(1.0 / median_of(&rounds, |round| round.bare.per_cpu_sec())),
            Goal::None,
        ),
        alone(
            "the generator's cost of a request, on its own core",
            Figure::Secs(median_of(&rounds, |round| round.basic.generator_secs())),
            Goal::None,
        ),
    ])
}
