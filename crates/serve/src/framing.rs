//! Where heads begin and end in the bytes of an HTTP/1 connection.
//!
//! The HTTP library resolves a request that carries both `Content-Length` and `Transfer-Encoding` by dropping the
//! former, and what it hands on no longer shows that there were two. RFC 9112 §6.1 calls such a request a likely
//! smuggling attempt, so this follows the framing beside the library, and only ever adds a refusal. It also tells
//! whether the peer is in the middle of a head, which is what the header timeout runs on.

use std::io::BufRead;

const LINE_START: usize = 64;

/// The framing of the requests that one peer sends.
pub(crate) struct Framing {
    place: Place,
    line: Line,
    head: Head,
    ambiguous: bool,
}

enum Place {
    Head,
    Body(u64),
    ChunkSize,
    ChunkData(u64),
    ChunkEnd,
    Trailers,
}

/// The line being read: its first bytes, and how long it is so far.
struct Line {
    start: [u8; LINE_START],
    len: usize,
}

#[derive(Default)]
struct Head {
    begun: bool,
    length: Option<u64>,
    chunked: bool,
}

impl Framing {
    pub(crate) fn new() -> Self {
        Self {
            place: Place::Head,
            line: Line { start: [0; LINE_START], len: 0 },
            head: Head::default(),
            ambiguous: false,
        }
    }

    /// Follows the next bytes that arrived.
    pub(crate) fn follow(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.place {
                Place::Body(left) => self.place = skip(&mut bytes, left).map_or(Place::Head, Place::Body),
                Place::ChunkData(left) => {
                    self.place = skip(&mut bytes, left).map_or(Place::ChunkEnd, Place::ChunkData);
                }
                Place::Head | Place::ChunkSize | Place::ChunkEnd | Place::Trailers => {
                    self.follow_line(&mut bytes)
                }
            }
        }
    }

    /// Whether the peer has begun a head and not ended it.
    pub(crate) fn mid_head(&self) -> bool {
        matches!(self.place, Place::Head) && (self.head.begun || self.line.len > 0)
    }

    /// Whether a request came whose end two readers could see in two places (RFC 9112 §6.1, §6.3). It stays so.
    pub(crate) fn ambiguous(&self) -> bool {
        self.ambiguous
    }

    fn follow_line(&mut self, bytes: &mut &[u8]) {
        let all = *bytes;
        let taken = bytes.skip_until(b'\n').unwrap_or(all.len());
        let part = all.get(..taken).unwrap_or(all);
        self.line.push(part);
        if part.last() == Some(&b'\n') {
            self.end_line();
            self.line.len = 0;
        }
    }

    fn end_line(&mut self) {
        let empty = self.line.text().is_empty();
        match self.place {
            Place::Head if empty && self.head.begun => self.end_head(),
            Place::Head if empty => {}
            Place::Head => self.head_line(),
            Place::ChunkSize => match self.line.chunk_size() {
                Some(0) => self.place = Place::Trailers,
                Some(size) => self.place = Place::ChunkData(size),
                None => self.ambiguous = true,
            },
            Place::ChunkEnd => self.place = Place::ChunkSize,
            Place::Trailers if empty => self.place = Place::Head,
            Place::Trailers | Place::Body(_) | Place::ChunkData(_) => {}
        }
    }

    fn head_line(&mut self) {
        if !self.head.begun {
            self.head.begun = true;
        } else if let Some(value) = self.line.field(b"content-length") {
            match decimal(value) {
                Some(length) if !self.line.is_cut() => self.head.length = Some(length),
                _ => self.ambiguous = true,
            }
        } else if self.line.field(b"transfer-encoding").is_some() {
            self.head.chunked = true;
        }
    }

    fn end_head(&mut self) {
        let head = std::mem::take(&mut self.head);
        self.ambiguous |= head.chunked && head.length.is_some();
        self.place = match head.length {
            _ if head.chunked => Place::ChunkSize,
            Some(length) if length > 0 => Place::Body(length),
            _ => Place::Head,
        };
    }
}

impl Line {
    fn push(&mut self, part: &[u8]) {
        let room = self.start.get_mut(self.len..).unwrap_or_default();
        for (to, from) in room.iter_mut().zip(part) {
            *to = *from;
        }
        self.len += part.len();
    }

    /// Its first bytes, without the line end.
    fn text(&self) -> &[u8] {
        self.start.get(..self.len).unwrap_or(&self.start).trim_ascii_end()
    }

    fn is_cut(&self) -> bool {
        self.len > LINE_START
    }

    fn field(&self, name: &[u8]) -> Option<&[u8]> {
        let (start, rest) = self.text().split_at_checked(name.len())?;
        let value = rest.strip_prefix(b":")?;
        start.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
    }

    /// RFC 9112 §7.1: hexadecimal digits, then perhaps extensions.
    fn chunk_size(&self) -> Option<u64> {
        let text = self.text();
        let digits = text.split(|b| matches!(b, b';' | b' ' | b'\t')).next()?;
        if digits.len() == LINE_START {
            return None;
        }
        u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    }
}

/// Skips up to `left` bytes; what is still left, or none.
fn skip(bytes: &mut &[u8], left: u64) -> Option<u64> {
    let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
    *bytes = bytes.get(here..).unwrap_or_default();
    let still = left.saturating_sub(here as u64);
    (still > 0).then_some(still)
}

fn decimal(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(pieces: &[&str]) -> Framing {
        let mut framing = Framing::new();
        for piece in pieces {
            framing.follow(piece.as_bytes());
        }
        framing
    }

    /// The same bytes whole and one by one.
    fn ambiguous(text: &str) -> bool {
        let whole = follow(&[text]).ambiguous();
        let mut framing = Framing::new();
        text.as_bytes().chunks(1).for_each(|byte| framing.follow(byte));
        assert_eq!(whole, framing.ambiguous(), "{text:?}");
        whole
    }

    #[test]
    fn rs_gw_05_both_lengths_are_ambiguous_in_either_order() {
        assert!(ambiguous("POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"));
        assert!(ambiguous("POST / HTTP/1.1\r\ntransfer-encoding:chunked\r\ncontent-LENGTH:3\r\n\r\n"));
        assert!(ambiguous("POST / HTTP/1.1\nTransfer-Encoding: chunked\nContent-Length: 3\n\n"));
    }

    #[test]
    fn rs_gw_05_a_length_that_hides_behind_padding_is_ambiguous() {
        let padded = format!("POST / HTTP/1.1\r\nContent-Length:{}3\r\n\r\n", " ".repeat(80));
        assert!(ambiguous(&padded));
        assert!(ambiguous("POST / HTTP/1.1\r\nContent-Length: three\r\n\r\n"));
    }

    #[test]
    fn rs_gw_05_a_later_request_is_seen_after_each_kind_of_body() {
        let bad = "POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
        for first in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\nPOST / HTTP",
            "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nTrailer: 1\r\n\r\n",
        ] {
            assert!(!ambiguous(first), "{first:?}");
            assert!(ambiguous(&format!("{first}{bad}")), "{first:?}");
        }
    }

    #[test]
    fn rs_gw_05_a_body_that_looks_like_a_head_is_only_a_body() {
        let inner = "\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert!(!ambiguous(&format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{inner}", inner.len())));
        let chunk = format!("{:x}\r\n{inner}\r\n0\r\n\r\n", inner.len());
        assert!(!ambiguous(&format!("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}")));
    }

    #[test]
    fn a_head_is_open_from_its_first_byte_to_its_empty_line() {
        assert!(!follow(&[]).mid_head());
        assert!(!follow(&["\r\n"]).mid_head());
        assert!(follow(&["G"]).mid_head());
        assert!(follow(&["GET / HTTP/1.1\r\n"]).mid_head());
        assert!(!follow(&["GET / HTTP/1.1\r\n\r\n"]).mid_head());
        assert!(!follow(&["POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n", "a"]).mid_head());
        assert!(follow(&["GET / HTTP/1.1\r\n\r\n", "GET"]).mid_head());
    }
}
