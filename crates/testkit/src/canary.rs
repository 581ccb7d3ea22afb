//! Canary values: secrets that tests use, which can be told from everything else.

/// What every canary begins with. Public: the sweep looks for what follows it.
pub const PREFIX: &str = "kwtest_";
const LENGTH: usize = 40;
const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// The canary of that name: [`PREFIX`] and 40 letters and digits, the same at every call. 238 bits,
/// so that no piece of it turns up by chance.
pub fn canary(name: &str) -> String {
    let mut state = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let tail = std::iter::repeat_with(|| next(&mut state)).take(LENGTH);
    PREFIX.chars().chain(tail.map(|n| char::from(ALPHABET[(n % 62) as usize]))).collect()
}

/// SplitMix64: well mixed and short. Nobody must be unable to guess a canary.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::{PREFIX, canary};

    #[test]
    fn a_canary_is_its_names_own() {
        let (first, second) = (canary("A"), canary("B"));
        assert_eq!(first, canary("A"));
        assert_ne!(first, second);
        let tail = first.strip_prefix(PREFIX).expect("the prefix");
        assert_eq!(tail.len(), 40);
        assert!(tail.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    }
}
