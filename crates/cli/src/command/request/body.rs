//! The body of a request: what is held in memory and can be sent again, and what is read while it is sent.

use crate::error::CommandError;
use crate::input;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame, SizeHint};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;

/// Bytes of a file that are read at once.
const PART_BYTES: usize = 64 * 1024;
/// Parts that are read before they are sent.
const PARTS_AHEAD: usize = 4;

/// What is sent.
#[derive(Clone, Debug)]
pub(super) enum Payload {
    /// This, or nothing. It can be sent again.
    Whole(Bytes),
    /// A file, read while it is sent. It can be read again.
    File(PathBuf),
    /// Stdin, read while it is sent.
    Stdin,
}

/// What the command line says of it, as curl has it.
#[derive(Debug, Default, clap::Args)]
pub(super) struct BodyArgs {
    /// The body: text, `@FILE`, or `@-` for stdin; several are joined with `&`
    #[arg(short, long, value_name = "TEXT|@FILE", group = "body")]
    data: Vec<String>,
    /// As --data, for JSON: sets Content-Type and Accept
    #[arg(long, value_name = "JSON|@FILE", group = "body")]
    json_body: Option<String>,
    /// Send this file, or stdin for `-`, without holding it in memory; with PUT unless told otherwise
    #[arg(short = 'T', long, value_name = "FILE", group = "body")]
    upload_file: Option<String>,
}

impl BodyArgs {
    /// The payload, with what it says of its kind, where nobody has said that yet.
    pub(super) fn payload(&self, headers: &mut HeaderMap) -> Result<Payload, CommandError> {
        let mut say = |name, value| {
            if !headers.contains_key(&name) {
                headers.insert(name, HeaderValue::from_static(value));
            }
        };
        if let Some(file) = &self.upload_file {
            return match file.as_str() {
                "-" => Ok(Payload::Stdin),
                path if Path::new(path).is_file() => Ok(Payload::File(path.into())),
                path => Err(CommandError::usage(format!("there is no file {path}"))),
            };
        }
        if let Some(json) = &self.json_body {
            say(CONTENT_TYPE, "application/json");
            say(http::header::ACCEPT, "application/json");
            return read(json).map(Payload::Whole);
        }
        if !self.data.is_empty() {
            say(CONTENT_TYPE, "application/x-www-form-urlencoded");
        }
        let parts = self.data.iter().map(|data| read(data)).collect::<Result<Vec<_>, _>>()?;
        Ok(Payload::Whole(parts.join(&b'&').into()))
    }

    /// The method that goes with it.
    pub(super) fn method(&self) -> http::Method {
        match (&self.upload_file, self.data.is_empty() && self.json_body.is_none()) {
            (Some(_), _) => http::Method::PUT,
            (None, true) => http::Method::GET,
            (None, false) => http::Method::POST,
        }
    }
}

/// The data of the command line: text, or the bytes of a file.
fn read(data: &str) -> Result<Bytes, CommandError> {
    match data.strip_prefix('@') {
        Some(file) => input::bytes(file).map(Bytes::from),
        None => Ok(Bytes::copy_from_slice(data.as_bytes())),
    }
}

impl Payload {
    /// Whether it can be sent a second time.
    pub(super) const fn is_repeatable(&self) -> bool {
        !matches!(self, Self::Stdin)
    }

    /// Bytes of it that are kept while it is sent: all that is in memory anyway.
    pub(super) fn kept_bytes(&self) -> usize {
        match self {
            Self::Whole(data) => data.len(),
            Self::File(_) | Self::Stdin => PART_BYTES,
        }
    }

    /// The body of one sending.
    pub(super) fn open(&self) -> Result<Upload, CommandError> {
        let (source, left): (Box<dyn Read + Send>, _) = match self {
            Self::Whole(data) => return Ok(Upload::Whole(data.clone())),
            Self::Stdin => (Box::new(io::stdin()), None),
            Self::File(path) => {
                let cannot = |error| CommandError::failed(format!("{}: {error}", path.display()));
                let file = File::open(path).map_err(cannot)?;
                let length = file.metadata().map_err(cannot)?.len();
                (Box::new(file), Some(length))
            }
        };
        let (parts, coming) = mpsc::channel(PARTS_AHEAD);
        std::thread::spawn(move || pump(source, &parts));
        Ok(Upload::Read { coming, left })
    }
}

/// Reads until the end, or until nobody wants more.
fn pump(mut source: Box<dyn Read + Send>, parts: &mpsc::Sender<io::Result<Bytes>>) {
    let mut buffer = vec![0; PART_BYTES];
    loop {
        let part = match source.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => Ok(Bytes::copy_from_slice(buffer.get(..count).unwrap_or_default())),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_last = part.is_err();
        if parts.blocking_send(part).is_err() || is_last {
            return;
        }
    }
}

/// A body on its way.
pub(super) enum Upload {
    Whole(Bytes),
    /// One that is being read; of a file it is known how much is left.
    Read {
        coming: mpsc::Receiver<io::Result<Bytes>>,
        left: Option<u64>,
    },
}

impl Body for Upload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        match self.get_mut() {
            Self::Whole(data) if data.is_empty() => Poll::Ready(None),
            Self::Whole(data) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(data))))),
            Self::Read { coming, left } => coming.poll_recv(context).map_ok(|part| {
                let sent = u64::try_from(part.len()).unwrap_or(u64::MAX);
                *left = left.map(|left| left.saturating_sub(sent));
                Frame::data(part)
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(data) => data.is_empty(),
            Self::Read { left, .. } => *left == Some(0),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(data) => SizeHint::with_exact(u64::try_from(data.len()).unwrap_or(u64::MAX)),
            Self::Read { left, .. } => left.map_or_else(SizeHint::default, SizeHint::with_exact),
        }
    }
}
