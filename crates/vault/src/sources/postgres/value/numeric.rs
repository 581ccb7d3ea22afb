//! PostgreSQL's `numeric`: as text, since JSON readers would round it.

use super::super::binary::Reader;

/// Digits in base 10,000 with the weight of the first, and how many decimals are shown.
pub(super) fn text(reader: &mut Reader<'_>) -> Option<String> {
    let count = usize::from(reader.u16()?);
    let weight = i32::from(reader.i16()?);
    let sign = match reader.u16()? {
        0 => "",
        0x4000 => "-",
        0xC000 => return named(reader, "NaN"),
        0xD000 => return named(reader, "Infinity"),
        0xF000 => return named(reader, "-Infinity"),
        _ => return None,
    };
    let scale = usize::from(reader.u16()?);
    let digits: Vec<u16> = (0..count).map(|_| reader.u16()).collect::<Option<_>>()?;
    // The digit that stands for 10,000 to the power; zero beyond those that were sent.
    let digit = |power: i32| {
        usize::try_from(weight - power).ok().and_then(|at| digits.get(at)).copied().unwrap_or(0)
    };
    let whole: String =
        (0..=weight.max(0)).rev().map(|power| format!("{:04}", digit(power))).collect();
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        whole => whole,
    };
    if scale == 0 {
        return Some(format!("{sign}{whole}"));
    }
    let groups = i32::try_from(scale.div_ceil(4)).ok()?;
    let decimals: String = (1..=groups).map(|power| format!("{:04}", digit(-power))).collect();
    Some(format!("{sign}{whole}.{}", decimals.get(..scale)?))
}

fn named(reader: &mut Reader<'_>, name: &str) -> Option<String> {
    let _scale = reader.u16()?;
    Some(name.to_owned())
}
