//! [`DayTypes`]: which days are free. A holiday is as free as a weekend; what the calendar does not name goes by weekday.

use std::collections::BTreeMap;

use jiff::civil::{Date, Weekday};
use quorate_core::contract::{ModuleError, Reading};
use serde::{Deserialize, Serialize};

/// What a day's load looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DayType {
    /// People go to work, also on a Saturday that the calendar makes a working day.
    Workday,
    /// Weekend or holiday.
    Free,
}

/// The calendar, as far as it could be read.
#[derive(Debug, Default)]
pub(crate) struct DayTypes {
    named: BTreeMap<Date, DayType>,
    /// Entries whose date is not one; they count for nothing.
    pub(crate) ignored: usize,
}

#[derive(Deserialize)]
struct Calendar {
    calendar: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Entry {
    #[serde(default)]
    date: String,
    #[serde(default)]
    is_holiday: i64,
    #[serde(default)]
    is_weekend: i64,
}

impl DayTypes {
    /// Reads `{"calendar":[{"date":"2025-11-11","isHoliday":0,"isWeekend":0},…]}`; an absent flag is 0.
    ///
    /// # Errors
    /// [`ModuleError::Rejected`] when the reading has another shape.
    pub(crate) fn parse(reading: &Reading) -> Result<Self, ModuleError> {
        let mut days = Self::default();
        for entry in reading.parse::<Calendar>()?.calendar {
            let free = entry.is_holiday != 0 || entry.is_weekend != 0;
            match entry.date.parse::<Date>() {
                Ok(date) => drop(days.named.insert(date, if free { DayType::Free } else { DayType::Workday })),
                Err(_) => days.ignored += 1,
            }
        }
        Ok(days)
    }

    /// The type of a local date.
    pub(crate) fn of(&self, date: Date) -> DayType {
        let by_weekday = || match date.weekday() {
            Weekday::Saturday | Weekday::Sunday => DayType::Free,
            _ => DayType::Workday,
        };
        self.named.get(&date).copied().unwrap_or_else(by_weekday)
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn parse(json: &str) -> Result<DayTypes, ModuleError> {
        DayTypes::parse(&Reading::from_json(json.into()))
    }

    #[test]
    fn the_calendar_overrules_the_weekday_in_both_directions() {
        let days = parse(
            r#"{"calendar":[{"date":"2025-10-01","isHoliday":1,"isWeekend":0},
                            {"date":"2025-10-11","isHoliday":0,"isWeekend":0},{"date":"2025-10-12","isWeekend":1}]}"#,
        )
        .expect("read");
        assert_eq!(days.of(date(2025, 10, 1)), DayType::Free, "a holiday on a Wednesday");
        assert_eq!(days.of(date(2025, 10, 11)), DayType::Workday, "a Saturday that is worked");
        assert_eq!(days.of(date(2025, 10, 12)), DayType::Free);
        assert_eq!(days.of(date(2025, 10, 18)), DayType::Free, "a Saturday the calendar does not name");
        assert_eq!(days.of(date(2025, 10, 20)), DayType::Workday);
    }

    #[test]
    fn an_entry_without_a_date_is_ignored_and_counted() {
        let days = parse(r#"{"calendar":[{"isHoliday":1},{"date":"11.11.2025"},{"date":"2025-11-11","isHoliday":1}]}"#);
        let days = days.expect("read");
        assert_eq!(days.ignored, 2);
        assert_eq!(days.of(date(2025, 11, 11)), DayType::Free);
    }

    #[test]
    fn another_shape_is_rejected() {
        assert!(
            matches!(parse(r#"{"dayOfWeek":3}"#), Err(ModuleError::Rejected(detail)) if detail.contains("calendar"))
        );
    }
}
