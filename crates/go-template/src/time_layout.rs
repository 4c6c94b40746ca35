//! Go's layouts of times: a reference time that shows how each part is written.

use std::fmt::Write as _;

use jiff::civil::Weekday;
use jiff::{Timestamp, Zoned, tz::Offset, tz::TimeZone};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part<'l> {
    Literal(&'l str),
    LongMonth,
    Month,
    NumMonth,
    ZeroMonth,
    LongWeekday,
    Weekday,
    Day,
    SpaceDay,
    ZeroDay,
    SpaceYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    Pm {
        upper: bool,
    },
    ZoneName,
    /// An offset: `Z` for UTC or not, with a colon or not, and how many of hour, minute, second.
    Offset {
        z: bool,
        colon: bool,
        fields: usize,
    },
    /// A fraction of a second with its separator; zeros are kept or cut.
    Fraction {
        separator: char,
        digits: usize,
        cut: bool,
    },
}

const FIXED: [(&str, Part<'static>); 33] = [
    ("January", Part::LongMonth),
    ("Jan", Part::Month),
    ("Monday", Part::LongWeekday),
    ("Mon", Part::Weekday),
    ("MST", Part::ZoneName),
    ("2006", Part::LongYear),
    ("__2", Part::SpaceYearDay),
    ("002", Part::ZeroYearDay),
    ("_2", Part::SpaceDay),
    ("Z07:00:00", Part::Offset { z: true, colon: true, fields: 3 }),
    ("Z070000", Part::Offset { z: true, colon: false, fields: 3 }),
    ("Z07:00", Part::Offset { z: true, colon: true, fields: 2 }),
    ("Z0700", Part::Offset { z: true, colon: false, fields: 2 }),
    ("Z07", Part::Offset { z: true, colon: false, fields: 1 }),
    ("-07:00:00", Part::Offset { z: false, colon: true, fields: 3 }),
    ("-070000", Part::Offset { z: false, colon: false, fields: 3 }),
    ("-07:00", Part::Offset { z: false, colon: true, fields: 2 }),
    ("-0700", Part::Offset { z: false, colon: false, fields: 2 }),
    ("-07", Part::Offset { z: false, colon: false, fields: 1 }),
    ("01", Part::ZeroMonth),
    ("02", Part::ZeroDay),
    ("03", Part::ZeroHour12),
    ("04", Part::ZeroMinute),
    ("05", Part::ZeroSecond),
    ("06", Part::Year),
    ("15", Part::Hour),
    ("PM", Part::Pm { upper: true }),
    ("pm", Part::Pm { upper: false }),
    ("1", Part::NumMonth),
    ("2", Part::Day),
    ("3", Part::Hour12),
    ("4", Part::Minute),
    ("5", Part::Second),
];

fn parts(layout: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut literal_start = 0;
    let mut at = 0;
    while at < layout.len() {
        let rest = &layout[at..];
        let found = fraction(rest)
            .or_else(|| {
                FIXED.iter().find(|(text, _)| rest.starts_with(text)).map(|(text, part)| (text.len(), *part))
            })
            // "Jan" and "Mon" are not parts of longer words.
            .filter(|(len, part)| {
                !matches!(part, Part::Month | Part::Weekday)
                    || !rest[*len..].starts_with(|c: char| c.is_ascii_lowercase())
            });
        match found {
            Some((len, part)) => {
                if literal_start < at {
                    parts.push(Part::Literal(&layout[literal_start..at]));
                }
                parts.push(part);
                at += len;
                literal_start = at;
            }
            None => at += rest.chars().next().map_or(1, char::len_utf8),
        }
    }
    if literal_start < layout.len() {
        parts.push(Part::Literal(&layout[literal_start..]));
    }
    parts
}

fn fraction(rest: &str) -> Option<(usize, Part<'static>)> {
    let separator = rest.chars().next().filter(|c| matches!(c, '.' | ','))?;
    let digit = rest[1..].chars().next().filter(|c| matches!(c, '0' | '9'))?;
    let digits = rest[1..].chars().take_while(|c| *c == digit).count();
    let ends = !rest[1 + digits..].starts_with(|c: char| c.is_ascii_digit());
    ends.then_some((1 + digits, Part::Fraction { separator, digits, cut: digit == '9' }))
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

pub(crate) fn month_name(month: i8) -> &'static str {
    MONTHS[(month - 1).clamp(0, 11) as usize]
}

pub(crate) fn weekday_name(weekday: Weekday) -> &'static str {
    WEEKDAYS[weekday.to_sunday_zero_offset() as usize]
}

/// Writes a time in a layout.
pub fn format_time(time: &Zoned, layout: &str) -> String {
    let mut out = String::with_capacity(layout.len() + 8);
    for part in parts(layout) {
        write_part(&mut out, time, part).expect("writing to a string can't fail");
    }
    out
}

fn write_part(out: &mut String, time: &Zoned, part: Part<'_>) -> std::fmt::Result {
    let hour12 = match time.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    match part {
        Part::Literal(text) => out.write_str(text),
        Part::LongMonth => out.write_str(month_name(time.month())),
        Part::Month => out.write_str(&month_name(time.month())[..3]),
        Part::NumMonth => write!(out, "{}", time.month()),
        Part::ZeroMonth => write!(out, "{:02}", time.month()),
        Part::LongWeekday => out.write_str(weekday_name(time.weekday())),
        Part::Weekday => out.write_str(&weekday_name(time.weekday())[..3]),
        Part::Day => write!(out, "{}", time.day()),
        Part::SpaceDay => write!(out, "{:2}", time.day()),
        Part::ZeroDay => write!(out, "{:02}", time.day()),
        Part::SpaceYearDay => write!(out, "{:3}", time.day_of_year()),
        Part::ZeroYearDay => write!(out, "{:03}", time.day_of_year()),
        Part::Hour => write!(out, "{:02}", time.hour()),
        Part::Hour12 => write!(out, "{hour12}"),
        Part::ZeroHour12 => write!(out, "{hour12:02}"),
        Part::Minute => write!(out, "{}", time.minute()),
        Part::ZeroMinute => write!(out, "{:02}", time.minute()),
        Part::Second => write!(out, "{}", time.second()),
        Part::ZeroSecond => write!(out, "{:02}", time.second()),
        Part::LongYear => write!(out, "{:04}", time.year()),
        Part::Year => write!(out, "{:02}", time.year().rem_euclid(100)),
        Part::Pm { upper } => out.write_str(match (time.hour() >= 12, upper) {
            (true, true) => "PM",
            (false, true) => "AM",
            (true, false) => "pm",
            (false, false) => "am",
        }),
        Part::ZoneName => out.write_str(&zone_name(time)),
        Part::Offset { z, colon, fields } => write_offset(out, time.offset(), z, colon, fields),
        Part::Fraction { separator, digits, cut } => {
            write_fraction(out, time.subsec_nanosecond(), separator, digits, cut)
        }
    }
}

fn zone_name(time: &Zoned) -> String {
    time.time_zone().to_offset_info(time.timestamp()).abbreviation().to_owned()
}

fn write_offset(out: &mut String, offset: Offset, z: bool, colon: bool, fields: usize) -> std::fmt::Result {
    let seconds = offset.seconds();
    if z && seconds == 0 {
        return out.write_str("Z");
    }
    let magnitude = seconds.unsigned_abs();
    let colon = if colon { ":" } else { "" };
    write!(out, "{}{:02}", if seconds < 0 { '-' } else { '+' }, magnitude / 3600)?;
    if fields > 1 {
        write!(out, "{colon}{:02}", magnitude / 60 % 60)?;
    }
    if fields > 2 {
        write!(out, "{colon}{:02}", magnitude % 60)?;
    }
    Ok(())
}

fn write_fraction(
    out: &mut String,
    nanos: i32,
    separator: char,
    digits: usize,
    cut: bool,
) -> std::fmt::Result {
    let all = format!("{nanos:09}");
    let mut shown: &str = &all[..digits.min(9)];
    if cut {
        shown = shown.trim_end_matches('0');
        if shown.is_empty() {
            return Ok(());
        }
    }
    write!(out, "{separator}{shown}")
}

/// Reads a time that is written in a layout, in `zone` where the text names no offset. `None` where it does not fit.
pub fn parse_time(layout: &str, text: &str, zone: &TimeZone) -> Option<Zoned> {
    let mut read = Read { rest: text, year: 0, month: 1, day: 1, ..Read::default() };
    for part in parts(layout) {
        read.part(part)?;
    }
    if !read.rest.is_empty() {
        return None;
    }
    read.build(zone)
}

#[derive(Default)]
struct Read<'t> {
    rest: &'t str,
    year: i16,
    month: i8,
    day: i8,
    year_day: Option<i16>,
    hour: i8,
    minute: i8,
    second: i8,
    nanos: i32,
    pm: Option<bool>,
    offset: Option<Offset>,
}

impl Read<'_> {
    fn part(&mut self, part: Part<'_>) -> Option<()> {
        match part {
            Part::Literal(text) => self.rest = self.rest.strip_prefix(text)?,
            Part::LongMonth => self.month = self.name(&MONTHS, 0)? as i8 + 1,
            Part::Month => self.month = self.name(&MONTHS, 3)? as i8 + 1,
            Part::LongWeekday => drop(self.name(&WEEKDAYS, 0)?),
            Part::Weekday => drop(self.name(&WEEKDAYS, 3)?),
            Part::NumMonth => self.month = self.number(1, 2)? as i8,
            Part::ZeroMonth => self.month = self.number(2, 2)? as i8,
            Part::Day | Part::SpaceDay => {
                self.rest = self.rest.trim_start_matches(' ');
                self.day = self.number(1, 2)? as i8;
            }
            Part::ZeroDay => self.day = self.number(2, 2)? as i8,
            Part::SpaceYearDay | Part::ZeroYearDay => {
                self.rest = self.rest.trim_start_matches(' ');
                self.year_day = Some(self.number(1, 3)? as i16);
            }
            Part::Hour | Part::ZeroHour12 => self.hour = self.number(2, 2)? as i8,
            Part::Hour12 => self.hour = self.number(1, 2)? as i8,
            Part::Minute => self.minute = self.number(1, 2)? as i8,
            Part::ZeroMinute => self.minute = self.number(2, 2)? as i8,
            Part::Second => self.second = self.number(1, 2)? as i8,
            Part::ZeroSecond => {
                self.second = self.number(2, 2)? as i8;
                // A fraction is read even where the layout has none.
                self.fraction();
            }
            Part::LongYear => self.year = self.number(4, 4)? as i16,
            Part::Year => {
                let year = self.number(2, 2)? as i16;
                self.year = year + if year >= 69 { 1900 } else { 2000 };
            }
            Part::Pm { .. } => {
                let half = self.rest.get(..2)?.to_ascii_lowercase();
                self.pm = Some(match half.as_str() {
                    "pm" => true,
                    "am" => false,
                    _ => return None,
                });
                self.rest = &self.rest[2..];
            }
            Part::ZoneName => {
                let len = self.rest.bytes().take_while(u8::is_ascii_uppercase).count();
                let name = &self.rest[..len];
                if len < 3 {
                    return None;
                }
                if matches!(name, "UTC" | "GMT") {
                    self.offset = Some(Offset::UTC);
                }
                self.rest = &self.rest[len..];
            }
            Part::Offset { z, colon, fields } => self.read_offset(z, colon, fields)?,
            Part::Fraction { .. } => self.fraction(),
        }
        Some(())
    }

    fn number(&mut self, digits_min: usize, digits_max: usize) -> Option<u32> {
        let len = self.rest.bytes().take(digits_max).take_while(u8::is_ascii_digit).count();
        if len < digits_min {
            return None;
        }
        let (digits, rest) = self.rest.split_at(len);
        self.rest = rest;
        digits.parse().ok()
    }

    fn name(&mut self, names: &[&str], letters: usize) -> Option<usize> {
        let shown = |name: &str| if letters == 0 { name.len() } else { letters };
        let idx = names.iter().position(|name| {
            let len = shown(name);
            self.rest.get(..len).is_some_and(|text| text.eq_ignore_ascii_case(&name[..len]))
        })?;
        self.rest = &self.rest[shown(names[idx])..];
        Some(idx)
    }

    fn fraction(&mut self) {
        let Some(rest) = self.rest.strip_prefix(['.', ',']) else {
            return;
        };
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        if digits == 0 {
            return;
        }
        self.nanos = rest[..digits]
            .bytes()
            .chain(std::iter::repeat(b'0'))
            .take(9)
            .fold(0, |n, digit| n * 10 + i32::from(digit - b'0'));
        self.rest = &rest[digits..];
    }

    fn read_offset(&mut self, z: bool, colon: bool, fields: usize) -> Option<()> {
        if z && let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            self.offset = Some(Offset::UTC);
            return Some(());
        }
        let negative = match self.rest.as_bytes().first()? {
            b'+' => false,
            b'-' => true,
            _ => return None,
        };
        self.rest = &self.rest[1..];
        let mut seconds = 0;
        for (idx, scale) in [3600, 60, 1].into_iter().take(fields).enumerate() {
            if colon && idx > 0 {
                self.rest = self.rest.strip_prefix(':')?;
            }
            seconds += self.number(2, 2)? as i32 * scale;
        }
        self.offset = Some(Offset::from_seconds(if negative { -seconds } else { seconds }).ok()?);
        Some(())
    }

    fn build(self, zone: &TimeZone) -> Option<Zoned> {
        let hour = match self.pm {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let date = match self.year_day {
            Some(day) => {
                jiff::civil::Date::new(self.year, 1, 1).ok()?.with().day_of_year(day).build().ok()?
            }
            None => jiff::civil::Date::new(self.year, self.month, self.day).ok()?,
        };
        let time = jiff::civil::Time::new(hour, self.minute, self.second, self.nanos).ok()?;
        let zone = match self.offset {
            Some(offset) if offset == Offset::UTC => TimeZone::UTC,
            Some(offset) => TimeZone::fixed(offset),
            None => zone.clone(),
        };
        date.to_datetime(time).to_zoned(zone).ok()
    }
}

/// The start of year 1 in UTC, which Go calls the zero time.
pub(crate) fn zero_timestamp() -> Timestamp {
    Timestamp::from_second(-62_135_596_800).expect("the year 1 lies within jiff's range")
}
