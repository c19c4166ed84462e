//! Where one WebSocket frame ends and the next may begin (RFC 6455 §5.2). What is in them is not looked at.

use keybound_dpop::jose::crypto::random;

/// The bytes of the longest head: two, a length of eight, a mask of four.
const HEAD: usize = 14;

/// Follows the frames of one direction.
#[derive(Debug)]
pub(super) struct Frames {
    masked: bool,
    head: [u8; HEAD],
    have: usize,
    /// Bytes of the payload that are yet to come.
    payload: u64,
    closed: bool,
}

impl Frames {
    /// Of a client, which masks its own.
    pub(super) const fn by_client() -> Self {
        Self { masked: true, head: [0; HEAD], have: 0, payload: 0, closed: false }
    }

    pub(super) const fn by_server() -> Self {
        Self { masked: false, ..Self::by_client() }
    }

    pub(super) fn follow(&mut self, mut bytes: &[u8]) {
        while let Some((first, rest)) = bytes.split_first() {
            if self.payload > 0 {
                let here = usize::try_from(self.payload).unwrap_or(usize::MAX).min(bytes.len());
                self.payload -= here as u64;
                bytes = bytes.get(here..).unwrap_or_default();
                continue;
            }
            if let Some(place) = self.head.get_mut(self.have) {
                *place = *first;
            }
            self.have += 1;
            bytes = rest;
            if let Some(length) = self.length() {
                self.closed |= self.head.first().is_some_and(|first| first & 0x0f == 8);
                self.payload = length;
                self.have = 0;
            }
        }
    }

    /// The length of the payload, once the head is whole.
    fn length(&self) -> Option<u64> {
        let second = *self.head.get(1)?;
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        if self.have < 2 + extended + mask {
            return None;
        }
        let long =
            self.head.get(2..2 + extended)?.iter().fold(0, |length, byte| length << 8 | u64::from(*byte));
        Some(if extended == 0 { u64::from(second & 0x7f) } else { long })
    }

    /// A close frame (RFC 6455 §5.5.1), unless one has passed or a frame is under way.
    pub(super) fn close(&self, (code, reason): (u16, &str)) -> Option<Vec<u8>> {
        if self.closed || self.have > 0 || self.payload > 0 {
            return None;
        }
        let length = u8::try_from(2 + reason.len()).ok().filter(|length| *length < 126)?;
        let mask = self.masked.then(random::<4>).transpose().ok()?;
        let mut frame = vec![0x88, length];
        let payload = code.to_be_bytes().into_iter().chain(reason.bytes());
        match mask {
            None => frame.extend(payload),
            Some(key) => {
                if let Some(second) = frame.get_mut(1) {
                    *second |= 0x80;
                }
                frame.extend(key);
                frame.extend(payload.zip(key.into_iter().cycle()).map(|(byte, key)| byte ^ key));
            }
        }
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame with so long a payload.
    fn frame(opcode: u8, length: usize, masked: bool) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x80 | opcode];
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short @ 0..126), _) => frame.push(mask | short),
            (_, Ok(length)) => {
                frame.push(mask | 126);
                frame.extend(length.to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(std::iter::repeat_n(0x88, length + if masked { 4 } else { 0 }));
        frame
    }

    #[test]
    fn a_close_frame_stands_between_two_others() {
        for length in [0, 1, 125, 126, 200, 65_535, 65_536] {
            for masked in [false, true] {
                let bytes = frame(2, length, masked);
                for size in [1, 3, 4096, bytes.len()] {
                    let mut frames = Frames::by_server();
                    let mut seen = 0;
                    for piece in bytes.chunks(size) {
                        frames.follow(piece);
                        seen += piece.len();
                        let may_close = frames.close((1000, "")).is_some();
                        assert_eq!(may_close, seen == bytes.len(), "{length} {masked} {size} {seen}");
                    }
                }
            }
        }
    }

    #[test]
    fn nothing_follows_a_close_frame() {
        let mut frames = Frames::by_server();
        frames.follow(&frame(8, 2, false));
        assert_eq!(frames.close((1008, "")), None);
    }

    #[test]
    fn a_close_frame_by_a_client_is_masked() {
        assert_eq!(Frames::by_server().close((1008, "no")), Some(vec![0x88, 4, 0x03, 0xf0, b'n', b'o']));
        let masked = Frames::by_client().close((1008, "no")).expect("a frame");
        assert_eq!(masked[..2], [0x88, 0x84]);
        let plain: Vec<u8> =
            masked[6..].iter().zip(masked[2..6].iter().cycle()).map(|(a, b)| a ^ b).collect();
        assert_eq!(plain, [0x03, 0xf0, b'n', b'o']);
    }
}
