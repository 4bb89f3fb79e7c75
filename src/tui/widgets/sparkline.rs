//! Sparklines, of latencies and of scores.

use std::collections::VecDeque;

const BARS: [char; 7] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇'];

/// The newest `columns` values against the largest of them; a look that got none is a gap.
pub fn sparkline(history: &VecDeque<Option<u32>>, columns: usize) -> String {
    let shown: Vec<Option<u32>> = history.iter().copied().skip(history.len().saturating_sub(columns)).collect();
    // Below this many milliseconds nothing is worth a mountain.
    let top = shown.iter().flatten().copied().max().unwrap_or(0).max(20);
    let mut out = " ".repeat(columns - shown.len());
    out.extend(shown.iter().map(|value| value.map_or('·', |value| bar(value, top))));
    out
}

/// Scores of 100 each: what is full is a full bar.
pub fn of_scores(scores: impl IntoIterator<Item = u8>) -> String {
    scores.into_iter().map(|score| bar(u32::from(score), 100)).collect()
}

/// Lengths of time against the longest of them.
pub fn of_lengths(seconds: &[f64]) -> String {
    let longest = seconds.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
    seconds.iter().map(|it| bar((it.max(0.0) / longest * 100.0) as u32, 100)).collect()
}

fn bar(value: u32, top: u32) -> char {
    BARS[(value as usize * (BARS.len() - 1)).div_ceil(top as usize).min(BARS.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_is_the_highest_and_gaps_show() {
        let history = VecDeque::from([Some(10), None, Some(40), Some(0)]);
        assert_eq!(sparkline(&history, 4), "▃·▇▁");
        assert_eq!(sparkline(&history, 6), "  ▃·▇▁");
        assert_eq!(sparkline(&history, 2), "▇▁");
        assert_eq!(of_scores([0, 50, 100]), "▁▄▇");
        assert_eq!((of_lengths(&[5.0, 150.0, 300.0]).as_str(), of_lengths(&[0.0]).as_str()), ("▂▄▇", "▁"));
    }
}
