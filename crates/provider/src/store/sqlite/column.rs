//! How our types stand in a column, and how an SQLite error reads in the log.

use crate::store::id::{Id, SecretHash};
use crate::store::verdict::Fault;
use keybound_dpop::time::UnixTime;
use keybound_oauth::claims_request::ClaimsRequest;
use rusqlite::Row;
use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A time as a column: milliseconds. Times past the range of the column are its last one.
#[derive(Clone, Copy)]
pub(super) struct Millis(pub(super) UnixTime);

impl ToSql for Millis {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(i64::try_from(self.0.as_millis()).unwrap_or(i64::MAX).into())
    }
}

impl FromSql for Millis {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let millis = i64::column_result(value)?;
        Ok(Self(UnixTime::from_millis(u64::try_from(millis).unwrap_or(0))))
    }
}

impl ToSql for Id {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.as_bytes().to_sql()
    }
}

impl FromSql for Id {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        FromSql::column_result(value).map(Self::from_bytes)
    }
}

impl ToSql for SecretHash {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.as_bytes().to_sql()
    }
}

impl FromSql for SecretHash {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        FromSql::column_result(value).map(Self::from_bytes)
    }
}

/// The columns of a row, in the order in which they were selected: to find one by its name costs more than to read it.
pub(super) struct Columns<'r> {
    row: &'r Row<'r>,
    at: usize,
}

impl<'r> Columns<'r> {
    pub(super) const fn of(row: &'r Row<'r>) -> Self {
        Self::from(row, 0)
    }

    /// Those from that place on.
    pub(super) const fn from(row: &'r Row<'r>, at: usize) -> Self {
        Self { row, at }
    }

    /// The place of the next one.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    pub(super) fn next<T: FromSql>(&mut self) -> rusqlite::Result<T> {
        let at = self.at;
        self.at += 1;
        self.row.get(at)
    }

    pub(super) fn time(&mut self) -> rusqlite::Result<UnixTime> {
        self.next().map(|Millis(time)| time)
    }

    pub(super) fn time_or_none(&mut self) -> rusqlite::Result<Option<UnixTime>> {
        Ok(self.next::<Option<Millis>>()?.map(|Millis(time)| time))
    }
}

/// A column that holds JSON.
pub(super) struct Json<T>(pub(super) T);

impl<T: Serialize> ToSql for Json<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let text = serde_json::to_string(&self.0);
        text.map(ToSqlOutput::from).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
    }
}

impl<T: DeserializeOwned> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        serde_json::from_str(text)
            .map(Self)
            .map_err(|error| rusqlite::types::FromSqlError::Other(error.into()))
    }
}

/// The text of a claims request that is kept.
pub(super) struct Claims(pub(super) ClaimsRequest);

impl FromSql for Claims {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let Json(json): Json<serde_json::Value> = Json::column_result(value)?;
        let claims = ClaimsRequest::from_json(&json);
        claims.map(Self).map_err(|error| rusqlite::types::FromSqlError::Other(error.into()))
    }
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::because(match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => {
                format!("the disk is full: make room for the store ({error})")
            }
            Some(rusqlite::ErrorCode::DatabaseBusy) => {
                format!("another process holds the store for too long ({error})")
            }
            Some(rusqlite::ErrorCode::ReadOnly) => format!("the store's file cannot be written ({error})"),
            Some(rusqlite::ErrorCode::DatabaseCorrupt) => {
                format!("the store's file is damaged: restore it from a backup ({error})")
            }
            _ => format!("SQLite: {error}"),
        })
    }
}
