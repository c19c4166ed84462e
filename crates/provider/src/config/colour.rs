//! Colours, and whether text in them can be read (WCAG 2.2, 1.4.3).

use std::fmt;

/// The least contrast of text on level AA.
const LEAST: f64 = 4.5;

/// A colour of sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Colour([u8; 3]);

/// What text stands on, in one scheme: the same as in the style sheet.
pub(super) struct Scheme {
    grounds: [Colour; 2],
}

/// White and nearly so.
pub(super) const LIGHT: Scheme = Scheme { grounds: [Colour([0xff; 3]), Colour([0xf3, 0xf5, 0xf8])] };
/// Nearly black.
pub(super) const DARK: Scheme = Scheme { grounds: [Colour([0x19, 0x1f, 0x2a]), Colour([0x10, 0x14, 0x1c])] };

/// What stands on an accent: the one that can be read better.
const ON_ACCENT: [Colour; 2] = [Colour([0xff; 3]), Colour([0x0e, 0x18, 0x30])];

impl fmt::Display for Colour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl Colour {
    /// Reads `#2450c8`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6 && digits.is_ascii())?;
        let part = |place| u8::from_str_radix(digits.get(place..place + 2)?, 16).ok();
        Some(Self([part(0)?, part(2)?, part(4)?]))
    }

    /// Relative luminance.
    fn luminance(self) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        let [red, green, blue] = self.0.map(linear);
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// The contrast of two colours, from 1 to 21.
    fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// So much of the way to another, in hundredths.
    fn towards(self, other: Self, percent: u16) -> Self {
        let mix = |from: u8, to: u8| {
            let sum = u16::from(from) * (100 - percent) + u16::from(to) * percent;
            u8::try_from(sum / 100).unwrap_or(u8::MAX)
        };
        let ([r, g, b], [to_r, to_g, to_b]) = (self.0, other.0);
        Self([mix(r, to_r), mix(g, to_g), mix(b, to_b)])
    }

    /// The same, as much lighter as it takes.
    pub(super) fn lightened_for(self, scheme: &Scheme) -> Self {
        let steps = (0..=100).step_by(5).map(|percent| self.towards(Self([0xff; 3]), percent));
        let mut readable = steps.into_iter().filter(|colour| colour.check(scheme).is_ok());
        readable.next().unwrap_or(Self([0xff; 3]))
    }

    /// Whether it can be read there, and something on it; tells by how much it fails.
    pub(super) fn check(self, scheme: &Scheme) -> Result<(), String> {
        let low = scheme.grounds.iter().find(|ground| self.contrast(**ground) < LEAST);
        match low {
            None if self.contrast(self.opposite()) >= LEAST => Ok(()),
            None => Err(self.refused(self.opposite())),
            Some(ground) => Err(self.refused(*ground)),
        }
    }

    fn refused(self, other: Self) -> String {
        // Cut, not rounded: 4.499 is too little and should not look like enough.
        let ratio = (self.contrast(other) * 100.0).floor() / 100.0;
        format!(
            "{self} has a contrast of {ratio} to {other}; text can be read from {LEAST} on (WCAG 2.2, AA)"
        )
    }

    /// What is read best on it.
    fn opposite(self) -> Self {
        let [light, dark] = ON_ACCENT;
        if self.contrast(light) >= self.contrast(dark) { light } else { dark }
    }

    /// The style sheet's variables for this accent.
    pub(super) fn variables(self) -> String {
        let on = self.opposite();
        let away = if on == ON_ACCENT[0] { Self([0; 3]) } else { Self([0xff; 3]) };
        let strong = self.towards(away, 25);
        format!("--accent: {self}; --accent-strong: {strong}; --on-accent: {on};")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn colour(text: &str) -> Colour {
        Colour::parse(text).unwrap()
    }

    #[test]
    fn contrast_is_that_of_the_standard() {
        for (one, two, ratio) in
            [("#000000", "#ffffff", 21.0), ("#777777", "#ffffff", 4.478), ("#ff0000", "#ffffff", 3.998)]
        {
            let contrast = colour(one).contrast(colour(two));
            assert!((contrast - ratio).abs() < 0.001, "{one} {two}: {contrast}");
        }
        assert!(
            ["2450c8", "#2450c", "#2450c8f", "#24g0c8", "#é50c8", "blue"]
                .iter()
                .all(|t| Colour::parse(t).is_none())
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_ratio() {
        assert_eq!(colour("#2450c8").check(&LIGHT), Ok(()));
        assert_eq!(colour("#8fb0ff").check(&DARK), Ok(()));
        let told = colour("#ffcc00").check(&LIGHT).unwrap_err();
        assert!(told.starts_with("#ffcc00 has a contrast of 1.51 to #ffffff; "), "{told}");
        let told = colour("#2450c8").check(&DARK).unwrap_err();
        assert!(told.starts_with("#2450c8 has a contrast of 2.4"), "{told}");
        // Good enough on white, and not on what is around it.
        assert!(colour("#767676").check(&LIGHT).unwrap_err().contains("#f3f5f8"));
    }

    #[test]
    fn what_follows_from_an_accent_can_be_read_too() {
        for text in ["#2450c8", "#000000", "#7a0019", "#005f3c", "#5b2a86", "#ffcc00", "#ffffff"] {
            let lighter = colour(text).lightened_for(&DARK);
            assert_eq!(lighter.check(&DARK), Ok(()), "{text}");
            let variables = lighter.variables();
            let values: Vec<Colour> = variables.split([' ', ';']).filter_map(Colour::parse).collect();
            let [_, strong, on] = values.try_into().unwrap();
            assert!(strong.contrast(on) >= LEAST, "{variables}");
        }
        assert_eq!(
            colour("#2450c8").variables(),
            "--accent: #2450c8; --accent-strong: #1b3c96; --on-accent: #ffffff;"
        );
    }

    #[test]
    fn the_grounds_are_those_of_the_style_sheet() {
        let style = include_str!("../../templates/keybound.css");
        let (light, dark) = style.split_once("@media (prefers-color-scheme: dark)").unwrap();
        for (part, scheme) in [(light, LIGHT), (dark, DARK)] {
            let [card, ground] = scheme.grounds;
            assert!(
                part.contains(&format!("--card: {card};")) && part.contains(&format!("--ground: {ground};"))
            );
        }
    }
}
