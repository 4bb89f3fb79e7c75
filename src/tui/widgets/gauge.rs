//! A gauge of a fixed width.

/// The full and the empty part of a gauge; anything begun shows, and only all of it is full.
pub fn gauge(share: f64, columns: usize) -> (String, String) {
    let share = share.clamp(0.0, 1.0);
    let exact = share * columns as f64;
    let full = if share >= 1.0 { columns } else { (exact.ceil() as usize).min(columns.saturating_sub(1)) };
    ("▰".repeat(full), "▱".repeat(columns - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_all_is_full() {
        let full = |share| gauge(share, 10).0.chars().count();
        assert_eq!([full(0.0), full(0.01), full(0.5), full(0.999), full(1.0), full(7.0)], [0, 1, 5, 9, 10, 10]);
        assert_eq!(full(f64::NAN), 0);
    }
}
