//! A [`UnixTime`] in JSON: whole milliseconds. For `#[serde(with = "time_ms")]`.

use keybound_dpop::time::UnixTime;
use serde::{Deserialize, Deserializer, Serializer};

pub(super) fn serialize<S: Serializer>(time: &UnixTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(time.as_millis())
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UnixTime, D::Error> {
    u64::deserialize(deserializer).map(UnixTime::from_millis)
}
