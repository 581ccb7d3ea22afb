//! Numbers of JSON, compared by value however they are written.

use serde_json::Number;
use std::cmp::Ordering;

/// The number, where it is a whole one of up to 64 bits.
fn integer(number: &Number) -> Option<i128> {
    let exact = number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from));
    let whole = || {
        let float = number.as_f64()?;
        #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
        (float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0).then_some(float as i128)
    };
    exact.or_else(whole)
}

/// Whether there is nothing behind the point.
pub(super) fn is_whole(number: &Number) -> bool {
    integer(number).is_some() || number.as_f64().is_some_and(|float| float.fract() == 0.0)
}

/// How two numbers stand to each other.
pub(super) fn compare(one: &Number, other: &Number) -> Ordering {
    if let (Some(one), Some(other)) = (integer(one), integer(other)) {
        return one.cmp(&other);
    }
    let float = |number: &Number| number.as_f64().unwrap_or(0.0);
    float(one).total_cmp(&float(other))
}

/// Whether one divides the other without a rest; of fractions, as far as they are exact.
pub(super) fn is_multiple(number: &Number, of: &Number) -> bool {
    if let (Some(number), Some(of)) = (integer(number), integer(of)) {
        return of != 0 && number % of == 0;
    }
    let (Some(number), Some(of)) = (number.as_f64(), of.as_f64()) else { return false };
    let quotient = number / of;
    // 0.3 / 0.1 is not 3 to the last bit.
    quotient.is_finite() && (quotient - quotient.round()).abs() < 1e-9 * quotient.abs().max(1.0)
}

/// The same text for the same number.
pub(super) fn canonical(number: &Number) -> String {
    integer(number).map_or_else(|| number.to_string(), |whole| whole.to_string())
}
