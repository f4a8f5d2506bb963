//! Where a reading's event time stands and how it is written: a `strptime` format and a zone.

use jiff::civil::DateTime;
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Timestamp, Zoned};
use thiserror::Error;

use super::Pointer;
use crate::ident::Millis;

/// The format times are printed in when the topic has none of its own.
const DEFAULT_FORMAT: &str = "%Y-%m-%dT%H:%M:%S%:z";

/// An event time inside a reading.
#[derive(Clone, Debug)]
pub struct TimeField {
    /// Where it stands.
    pub at: Pointer,
    clock: WallClock,
}

impl TimeField {
    /// A time at `at`, written as `format` (`strptime`) in the IANA zone `zone`.
    ///
    /// # Errors
    /// [`TimeError`] when the zone is unknown or the format cannot express a moment.
    pub fn new(at: Pointer, format: &str, zone: &str) -> Result<Self, TimeError> {
        let zone = TimeZone::get(zone).map_err(|_| TimeError::Zone(zone.to_owned()))?;
        let clock = WallClock { format: format.into(), zone };
        let sample = Millis(1_762_225_500_000);
        let printed = clock.print(sample).ok_or_else(|| TimeError::Format(format.to_owned()))?;
        clock.parse(&printed).ok_or_else(|| TimeError::Format(format.to_owned()))?;
        Ok(Self { at, clock })
    }

    /// What decides which moment a text means, as text: compared, never read.
    pub(super) fn shape(&self) -> String {
        format!("{} {} {}", self.at, self.clock.format, self.clock.zone_name())
    }

    /// The moment `text` names: of an ambiguous local time the earlier; none for text that does not fit and for a
    /// local time that does not exist.
    #[must_use]
    pub fn parse(&self, text: &str) -> Option<Millis> {
        self.clock.parse(text)
    }

    /// How this field's times are written.
    #[must_use]
    pub fn clock(&self) -> &WallClock {
        &self.clock
    }
}

/// Why a time field cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TimeError {
    /// The zone database has no such name.
    #[error("unknown time zone `{0}`; use an IANA name such as `Asia/Shanghai` or `UTC`")]
    Zone(String),
    /// A time written in this format could not be read back.
    #[error("format `{0}` does not hold a whole date and time; use strptime directives such as `%Y-%m-%d %H:%M:%S`")]
    Format(String),
}

/// A format and a zone: how a topic writes moments.
#[derive(Clone, Debug)]
pub struct WallClock {
    format: Box<str>,
    zone: TimeZone,
}

impl WallClock {
    /// The zone's name; empty where it has none.
    pub(super) fn zone_name(&self) -> &str {
        self.zone.iana_name().unwrap_or_default()
    }

    /// RFC 3339 in UTC, for topics without a time field.
    #[must_use]
    pub fn utc() -> Self {
        Self { format: DEFAULT_FORMAT.into(), zone: TimeZone::UTC }
    }

    /// The zone.
    #[must_use]
    pub fn zone(&self) -> &TimeZone {
        &self.zone
    }

    /// `moment` as text; none when it lies outside the years -9999 to 9999.
    #[must_use]
    pub fn print(&self, moment: Millis) -> Option<Box<str>> {
        let local = Zoned::new(Timestamp::from_millisecond(moment.0).ok()?, self.zone.clone());
        strtime::format(self.format.as_bytes(), &local).ok().map(String::into)
    }

    fn parse(&self, text: &str) -> Option<Millis> {
        let parts = BrokenDownTime::parse(self.format.as_bytes(), text.as_bytes()).ok()?;
        if parts.offset().is_some() || parts.timestamp().is_some() {
            return parts.to_timestamp().ok().map(|moment| Millis(moment.as_millisecond()));
        }
        self.resolve(parts.to_datetime().ok()?)
    }

    fn resolve(&self, local: DateTime) -> Option<Millis> {
        let ambiguous = self.zone.to_ambiguous_timestamp(local);
        if let AmbiguousOffset::Gap { .. } = ambiguous.offset() {
            return None;
        }
        ambiguous.earlier().ok().map(|moment| Millis(moment.as_millisecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(format: &str, zone: &str) -> TimeField {
        TimeField::new(Pointer::parse("/t").expect("pointer"), format, zone).expect("time field")
    }

    #[test]
    fn naive_local_text_is_read_in_the_topics_zone() {
        let shanghai = field("%Y-%m-%d %H:%M:%S", "Asia/Shanghai");
        assert_eq!(shanghai.parse("2025-11-04 11:05:00"), Some(Millis(1_762_225_500_000)));
        assert_eq!(shanghai.clock().print(Millis(1_762_225_500_000)).as_deref(), Some("2025-11-04 11:05:00"));
        assert_eq!(shanghai.parse("2025/11/04 09:00"), None);
    }

    #[test]
    fn an_ambiguous_local_time_is_its_earlier_instant_and_a_skipped_one_is_none() {
        let berlin = field("%Y-%m-%d %H:%M:%S", "Europe/Berlin");
        assert_eq!(berlin.parse("2025-10-26 02:30:00"), Some(Millis(1_761_438_600_000)));
        assert_eq!(berlin.parse("2025-03-30 02:30:00"), None);
    }

    #[test]
    fn an_offset_in_the_text_wins_over_the_zone() {
        let offset = field("%Y-%m-%dT%H:%M:%S%z", "UTC");
        assert_eq!(offset.parse("2025-11-04T11:05:00+0800"), Some(Millis(1_762_225_500_000)));
    }

    #[test]
    fn a_format_without_a_whole_moment_is_refused() {
        let at = Pointer::parse("/t").expect("pointer");
        assert!(matches!(TimeField::new(at.clone(), "%H:%M", "UTC"), Err(TimeError::Format(_))));
        assert!(matches!(TimeField::new(at, "%Y", "Mars/Base"), Err(TimeError::Zone(_))));
    }
}
