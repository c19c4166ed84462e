//! For what and how a key signs: each pair has keys of its own (RFC 8725 §3.1).

use crate::store::KeyUse;
use keybound_dpop::jose::algorithm::Algorithm;

/// The algorithms that we sign with, in the order in which metadata lists them.
pub const ALGORITHMS: [Algorithm; 4] =
    [Algorithm::Es256, Algorithm::EdDsa, Algorithm::Ps256, Algorithm::Rs256];

/// The place of the keys of one purpose and one algorithm; one of them signs at any time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    /// What they sign.
    pub key_use: KeyUse,
    /// The algorithm that they sign under.
    pub algorithm: Algorithm,
    index: u8,
}

impl Slot {
    /// How many there are.
    pub const COUNT: usize = KeyUse::ALL.len() * ALGORITHMS.len();

    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        let row = |key_use| ALGORITHMS.into_iter().filter_map(move |algorithm| Self::of(key_use, algorithm));
        KeyUse::ALL.into_iter().flat_map(row)
    }

    /// The slot of that purpose and algorithm; none where we do not sign under it.
    #[must_use]
    pub fn of(key_use: KeyUse, algorithm: Algorithm) -> Option<Self> {
        let row = KeyUse::ALL.iter().position(|known| *known == key_use)?;
        let column = ALGORITHMS.iter().position(|known| *known == algorithm)?;
        let index = u8::try_from(row * ALGORITHMS.len() + column).ok()?;
        Some(Self { key_use, algorithm, index })
    }

    /// Its place among all of them.
    #[must_use]
    pub fn index(self) -> usize {
        usize::from(self.index)
    }
}

/// A set of slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slots(u8);

impl Slots {
    /// From its bits.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// As bits.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set of these pairs; those that we do not sign with are left out.
    #[must_use]
    pub fn of(pairs: impl IntoIterator<Item = (KeyUse, Algorithm)>) -> Self {
        let slots = pairs.into_iter().filter_map(|(key_use, algorithm)| Slot::of(key_use, algorithm));
        slots.fold(Self::default(), |all, slot| all.or(Self(1 << slot.index)))
    }

    /// Both together.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the slot is in it.
    #[must_use]
    pub const fn has(self, slot: Slot) -> bool {
        self.0 & (1 << slot.index) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ops_key_04_every_purpose_and_algorithm_has_a_place_of_its_own() {
        let places: Vec<usize> = Slot::all().map(Slot::index).collect();
        assert_eq!(places, (0..Slot::COUNT).collect::<Vec<_>>());
        let tokens = Slots::of([(KeyUse::Tokens, Algorithm::Rs256), (KeyUse::Tokens, Algorithm::Es512)]);
        let held: Vec<Slot> = Slot::all().filter(|slot| tokens.has(*slot)).collect();
        assert_eq!(held, Slot::of(KeyUse::Tokens, Algorithm::Rs256).into_iter().collect::<Vec<_>>());
        assert_eq!(Slots::from_bits(tokens.bits()), tokens);
    }

    #[test]
    fn as_at_02_we_sign_with_no_mac_and_not_without_an_algorithm() {
        let names = ALGORITHMS.map(Algorithm::name);
        assert_eq!(names, ["ES256", "EdDSA", "PS256", "RS256"]);
    }
}
