//! Dates and times of PostgreSQL, counted from 2000-01-01, as ISO 8601.

const DAY: i64 = 86_400_000_000;
/// From 0000-03-01 to 2000-01-01.
const EPOCH: i64 = 730_425;

/// Days since 2000-01-01.
pub(super) fn date(days: i32) -> String {
    match days {
        i32::MAX => "infinity".to_owned(),
        i32::MIN => "-infinity".to_owned(),
        days => civil(i64::from(days)),
    }
}

/// Microseconds since midnight.
pub(super) fn time(micros: i64) -> String {
    let seconds = micros / 1_000_000;
    let fraction = fraction(micros % 1_000_000);
    format!("{:02}:{:02}:{:02}{fraction}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// Microseconds since 2000-01-01, with the zone that they count in.
pub(super) fn timestamp(micros: i64, zone: &str) -> String {
    match micros {
        i64::MAX => "infinity".to_owned(),
        i64::MIN => "-infinity".to_owned(),
        micros => {
            let (day, time_of_day) = (civil(micros.div_euclid(DAY)), time(micros.rem_euclid(DAY)));
            format!("{day}T{time_of_day}{zone}")
        }
    }
}

/// A zone as PostgreSQL keeps it: in seconds to the west.
pub(super) fn zone(west: i32) -> String {
    let sign = if west > 0 { '-' } else { '+' };
    let minutes = west.unsigned_abs() / 60;
    format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60)
}

/// A duration, whose parts may have different signs: P1Y2M3DT4H5M6.7S.
pub(super) fn interval(months: i32, days: i32, micros: i64) -> String {
    let part = |number: i64, unit: char| match number {
        0 => String::new(),
        number => format!("{number}{unit}"),
    };
    let months = i64::from(months);
    let date = part(months / 12, 'Y') + &part(months % 12, 'M') + &part(i64::from(days), 'D');
    let seconds = micros / 1_000_000;
    let mut time = part(seconds / 3600, 'H') + &part(seconds / 60 % 60, 'M');
    if micros % 60_000_000 != 0 {
        let sign = if micros < 0 { "-" } else { "" };
        let (whole, rest) = ((seconds % 60).abs(), (micros % 1_000_000).abs());
        time.push_str(&format!("{sign}{whole}{}S", fraction(rest)));
    }
    match (date.is_empty(), time.is_empty()) {
        (true, true) => "PT0S".to_owned(),
        (_, true) => format!("P{date}"),
        (_, false) => format!("P{date}T{time}"),
    }
}

/// Decimals of a second, without zeros at the end.
fn fraction(micros: i64) -> String {
    if micros == 0 {
        return String::new();
    }
    format!(".{micros:06}").trim_end_matches('0').to_owned()
}

/// The day of the Gregorian calendar: Howard Hinnant's `civil_from_days`, years from March on.
fn civil(days: i64) -> String {
    let days = days + EPOCH;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    match year {
        0..=9999 => format!("{year:04}-{month:02}-{day:02}"),
        // ISO 8601 wants a sign before years of other lengths; year 0 is 1 BC.
        _ => format!("{year:+05}-{month:02}-{day:02}"),
    }
}
