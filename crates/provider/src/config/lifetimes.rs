//! How long things live: what was written, within bounds.

use super::{ConfigError, Source};
use serde::Deserialize;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// `[lifetimes]`: each key may be left out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LifetimesFile {
    /// Access tokens. Default 600, from 60 to 3600; without nonces at most 600.
    pub access_token_secs: Option<u64>,
    /// Authorization codes. Default 60, from 10 to 60.
    pub code_secs: Option<u64>,
    /// ID tokens. Default 600, from 60 to 3600.
    pub id_token_secs: Option<u64>,
    /// Refresh tokens. Default 90, from 1 to 365.
    pub refresh_token_days: Option<u64>,
    /// Refresh tokens that are not used. Default 30, from 1 to `refresh_token_days`.
    pub refresh_idle_days: Option<u64>,
    /// Sign-in sessions. Default 12, from 1 to 720.
    pub session_hours: Option<u64>,
    /// Pushed authorization requests. Default 90, from 10 to 599.
    pub pushed_request_secs: Option<u64>,
    /// Device codes. Default 600, from 60 to 1800.
    pub device_code_secs: Option<u64>,
    /// Consents that are remembered. Default 90, from 0 to 365; 0: none is.
    pub consent_days: Option<u64>,
}

/// Seconds that things live.
#[derive(Clone, Copy, Debug)]
pub struct Lifetimes {
    /// Access tokens (AS-TOK-11).
    pub access_token_secs: u64,
    /// Authorization codes (AS-AUT-07).
    pub code_secs: u64,
    /// ID tokens (OIDC-IDT-10).
    pub id_token_secs: u64,
    /// Refresh tokens, whatever happens (AS-RT-10).
    pub refresh_token_secs: u64,
    /// Refresh tokens that are not used.
    pub refresh_idle_secs: u64,
    /// Sign-in sessions.
    pub session_secs: u64,
    /// Pushed authorization requests, until a browser comes with them (AS-PAR-12).
    pub pushed_request_secs: u64,
    /// Device codes (AS-DEV-06).
    pub device_code_secs: u64,
    /// Consents that are remembered; 0: none is.
    pub consent_secs: u64,
    /// How much longer a visitor who came in time may take.
    pub begun_request_secs: u64,
    /// How long a rotated refresh token still works for the same client (DEC-26).
    pub rotation_grace_secs: u64,
}

impl Default for Lifetimes {
    fn default() -> Self {
        Self {
            access_token_secs: 600,
            code_secs: 60,
            id_token_secs: 600,
            refresh_token_secs: 90 * DAY,
            refresh_idle_secs: 30 * DAY,
            session_secs: 12 * HOUR,
            pushed_request_secs: 90,
            device_code_secs: 600,
            consent_secs: 90 * DAY,
            begun_request_secs: HOUR,
            rotation_grace_secs: 60,
        }
    }
}

impl LifetimesFile {
    pub(super) fn check(&self, source: &Source) -> Result<Lifetimes, ConfigError> {
        let held = Lifetimes::default();
        let within = |written: Option<u64>, name: &str, bounds: (u64, u64), default: u64, unit: u64| {
            let (least, most) = bounds;
            match written {
                None => Ok(default.min(most * unit)),
                Some(number) if (least..=most).contains(&number) => Ok(number * unit),
                Some(_) => {
                    Err(source.error(&format!("lifetimes.{name}"), format!("must be from {least} to {most}")))
                }
            }
        };
        let refresh_token_secs =
            within(self.refresh_token_days, "refresh_token_days", (1, 365), held.refresh_token_secs, DAY)?;
        let idle_bounds = (1, refresh_token_secs / DAY);
        Ok(Lifetimes {
            access_token_secs: within(
                self.access_token_secs,
                "access_token_secs",
                (60, 3600),
                held.access_token_secs,
                1,
            )?,
            code_secs: within(self.code_secs, "code_secs", (10, 60), held.code_secs, 1)?,
            id_token_secs: within(self.id_token_secs, "id_token_secs", (60, 3600), held.id_token_secs, 1)?,
            refresh_token_secs,
            refresh_idle_secs: within(
                self.refresh_idle_days,
                "refresh_idle_days",
                idle_bounds,
                held.refresh_idle_secs,
                DAY,
            )?,
            session_secs: within(self.session_hours, "session_hours", (1, 720), held.session_secs, HOUR)?,
            pushed_request_secs: within(
                self.pushed_request_secs,
                "pushed_request_secs",
                (10, 599),
                held.pushed_request_secs,
                1,
            )?,
            device_code_secs: within(
                self.device_code_secs,
                "device_code_secs",
                (60, 1800),
                held.device_code_secs,
                1,
            )?,
            consent_secs: within(self.consent_days, "consent_days", (0, 365), held.consent_secs, DAY)?,
            begun_request_secs: held.begun_request_secs,
            rotation_grace_secs: held.rotation_grace_secs,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(line: &str) -> Result<Lifetimes, ConfigError> {
        let file: LifetimesFile = toml::from_str(line).expect("TOML");
        file.check(&Source::new("k.toml", &format!("[lifetimes]\n{line}\n")))
    }

    #[test]
    fn fapi_as_09_fapi_az_09_as_par_12_oidc_idt_10_lifetimes_have_bounds() {
        for (name, least, most) in [
            ("access_token_secs", 60, 3600),
            ("code_secs", 10, 60),
            ("id_token_secs", 60, 3600),
            ("refresh_token_days", 1, 365),
            ("refresh_idle_days", 1, 90),
            ("session_hours", 1, 720),
            ("pushed_request_secs", 10, 599),
        ] {
            for (number, fits) in [(least - 1, false), (least, true), (most, true), (most + 1, false)] {
                let result = checked(&format!("{name} = {number}"));
                assert_eq!(result.is_ok(), fits, "{name} = {number}: {result:?}");
                if let Err(error) = result {
                    assert_eq!(error.place, format!("k.toml, line 2, `lifetimes.{name}`"));
                    assert_eq!(error.what, format!("must be from {least} to {most}"));
                }
            }
        }
    }

    #[test]
    fn as_rt_10_days_and_hours_are_seconds_and_the_idle_time_never_exceeds_the_life() {
        let short = checked("refresh_token_days = 7\nsession_hours = 2").expect("fits");
        assert_eq!((short.refresh_token_secs, short.refresh_idle_secs), (7 * DAY, 7 * DAY));
        assert_eq!(short.session_secs, 2 * HOUR);
        assert!(checked("refresh_token_days = 7\nrefresh_idle_days = 8").is_err());
    }
}
