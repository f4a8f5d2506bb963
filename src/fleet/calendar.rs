//! Local time and the kinds of days the stations live by. Pure arithmetic: it reads no zone database, because
//! Asia/Shanghai has kept UTC+8 without daylight saving since 1991, and hours of it begin with hours of UTC.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use quorate_core::ident::Millis;

/// The IANA name of the zone in which the fleet writes its times.
pub const ZONE: &str = "Asia/Shanghai";

/// One hour in milliseconds.
pub const HOUR_MS: i64 = 3_600_000;

/// One day in milliseconds.
pub const DAY_MS: i64 = 24 * HOUR_MS;

/// How far local time is ahead of UTC.
const ZONE_HOURS: i8 = 8;

/// First days of the Chinese New Year, a date of the lunar calendar, for the years the fleet is likely to be asked
/// about; another year goes without.
const SPRING_FESTIVALS: [(i16, i8, i8); 8] = [
    (2024, 2, 10),
    (2025, 1, 29),
    (2026, 2, 17),
    (2027, 2, 6),
    (2028, 1, 26),
    (2029, 2, 13),
    (2030, 2, 3),
    (2031, 1, 23),
];

/// How people spend a day, as far as it moves the load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DayKind {
    Working,
    Weekend,
    Holiday,
}

/// The local date and time of a moment; moments outside the years -9999 to 9999 are taken as the nearest inside.
pub(super) fn local(at: Millis) -> DateTime {
    let moment = Timestamp::from_millisecond(at.0).unwrap_or(if at.0 < 0 { Timestamp::MIN } else { Timestamp::MAX });
    Offset::constant(ZONE_HOURS).to_datetime(moment)
}

/// A moment as payloads write it: `2025-11-04 09:00:00`.
pub(super) fn text(at: Millis) -> String {
    let t = local(at);
    format!("{} {:02}:{:02}:{:02}", t.date(), t.hour(), t.minute(), t.second())
}

/// Whole hours since the Unix epoch; also the number of the local hour, since the zone differs by whole hours.
pub(super) fn hour_number(at: Millis) -> i64 {
    at.0.div_euclid(HOUR_MS)
}

/// Local days since 1970-01-01.
pub(super) fn day_number(at: Millis) -> i64 {
    (at.0 + i64::from(ZONE_HOURS) * HOUR_MS).div_euclid(DAY_MS)
}

/// The first moment of the local day that contains `at`.
pub(super) fn midnight(at: Millis) -> Millis {
    Millis(day_number(at) * DAY_MS - i64::from(ZONE_HOURS) * HOUR_MS)
}

/// The hour of the local day, 0 to 24, with its fraction.
pub(super) fn hour_of_day(at: Millis) -> f64 {
    (at.0 + i64::from(ZONE_HOURS) * HOUR_MS).rem_euclid(DAY_MS) as f64 / HOUR_MS as f64
}

/// 0 for Monday to 6 for Sunday.
pub(super) fn weekday(at: Millis) -> usize {
    // 1970-01-01 was a Thursday.
    (day_number(at) + 3).rem_euclid(7) as usize
}

/// What kind of day a moment falls into.
pub(super) fn day_kind(at: Millis) -> DayKind {
    if is_holiday(local(at).date()) {
        DayKind::Holiday
    } else if weekday(at) >= 5 {
        DayKind::Weekend
    } else {
        DayKind::Working
    }
}

/// New Year, the eve of the Spring Festival and seven days from it on, the Labour Day and National Day weeks. Working
/// weekends that make up for them are left out.
pub(super) fn is_holiday(date: Date) -> bool {
    match (date.month(), date.day()) {
        (1, 1) | (5, 1..=5) | (10, 1..=7) => true,
        _ => SPRING_FESTIVALS.iter().any(|&(year, month, day)| {
            year == date.year() && {
                let since = i32::from(date.day_of_year()) - i32::from(Date::constant(year, month, day).day_of_year());
                (-1..7).contains(&since)
            }
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TUESDAY_NOON: Millis = Millis(1_762_228_800_000);

    #[test]
    fn moments_are_written_in_local_time() {
        assert_eq!(text(TUESDAY_NOON), "2025-11-04 12:00:00");
        assert_eq!((weekday(TUESDAY_NOON), hour_of_day(TUESDAY_NOON)), (1, 12.0));
        assert_eq!(day_number(TUESDAY_NOON), 20_396);
    }

    #[test]
    fn the_fixed_offset_agrees_with_the_zone() {
        let field = quorate_core::plan::TimeField::new(
            quorate_core::plan::Pointer::parse("/sendTime").expect("pointer"),
            "%Y-%m-%d %H:%M:%S",
            ZONE,
        )
        .expect("zone");
        for month in 0..24 {
            let at = TUESDAY_NOON.plus(month * 30 * DAY_MS);
            assert_eq!(field.parse(&text(at)), Some(at));
        }
    }

    #[test]
    fn holidays_win_over_weekends() {
        let day = |days: i64| day_kind(TUESDAY_NOON.plus(days * DAY_MS));
        assert_eq!((day(0), day(4), day(5)), (DayKind::Working, DayKind::Weekend, DayKind::Weekend));
        assert!(is_holiday(Date::constant(2026, 2, 16)) && is_holiday(Date::constant(2025, 10, 7)));
        assert!(!is_holiday(Date::constant(2026, 2, 24)));
    }
}
