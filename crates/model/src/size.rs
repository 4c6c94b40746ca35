//! Byte sizes.

use std::fmt;

/// A number of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(pub u64);

/// Why a byte size could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseByteSizeError {
    /// What was given.
    pub text: String,
}

impl fmt::Display for ParseByteSizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is not a byte size: write a number and one of B, KB, MB, GB, TB, PB, EB (powers of 1024)",
            self.text
        )
    }
}

impl std::error::Error for ParseByteSizeError {}

impl ByteSize {
    /// Reads `512MB`, `1.5GiB`, `4096`: units are powers of 1024, as in Prometheus' flags and Loki's limits.
    pub fn parse(text: &str) -> Result<Self, ParseByteSizeError> {
        let fail = || ParseByteSizeError { text: text.to_owned() };
        let trimmed = text.trim();
        let split = trimmed.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(trimmed.len());
        let number: f64 = trimmed[..split].parse().map_err(|_| fail())?;
        let power = match trimmed[split..].trim().to_ascii_uppercase().as_str() {
            "" | "B" => 0,
            "K" | "KB" | "KIB" => 1,
            "M" | "MB" | "MIB" => 2,
            "G" | "GB" | "GIB" => 3,
            "T" | "TB" | "TIB" => 4,
            "P" | "PB" | "PIB" => 5,
            "E" | "EB" | "EIB" => 6,
            _ => return Err(fail()),
        };
        Ok(Self((number * 1024f64.powi(power)) as u64))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        let mut value = self.0 as f64;
        let mut unit = 0;
        while value >= 1024.0 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        let decimals = if unit == 0 || value >= 100.0 || value.fract() == 0.0 { 0 } else { 1 };
        write!(f, "{value:.decimals$} {}", UNITS[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes) in
            [("0", 0), ("4096", 4096), ("512MB", 512 << 20), ("1.5GiB", 3 << 29), ("256KB", 256 << 10)]
        {
            assert_eq!(ByteSize::parse(text), Ok(ByteSize(bytes)));
        }
        assert!(
            ByteSize::parse("12XB").is_err()
                && ByteSize::parse("").is_err()
                && ByteSize::parse("MB").is_err()
        );
        assert_eq!(ByteSize(3 << 29).to_string(), "1.5 GiB");
    }
}
