//! How lengths, moments and verdicts are written in documents: to the second, and in UTC.

use super::text::Cell;
use crate::domain::describe::Tone;
use crate::domain::recovery::Loss;
use crate::domain::time::At;

/// `0.4 s`, `41.2 s`, `3 min 54 s`, `2 h 10 min`.
pub fn length(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        _ if seconds < 99.95 => format!("{:.1} s", seconds.max(0.0)),
        0..7200 if whole.is_multiple_of(60) => format!("{} min", whole / 60),
        0..7200 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => {
            let minutes = (whole + 30) / 60;
            match (minutes / 60, minutes % 60) {
                (hours, 0) => format!("{hours} h"),
                (hours, minutes) => format!("{hours} h {minutes:02} min"),
            }
        }
    }
}

/// What was promised: `90 s`, `5 min`, `1 h`.
pub fn target(seconds: f64) -> String {
    match seconds {
        s if s >= 3600.0 && s % 3600.0 == 0.0 => format!("{} h", s / 3600.0),
        s if s >= 60.0 && s % 60.0 == 0.0 => format!("{} min", s / 60.0),
        s if s < 100.0 => format!("{s} s"),
        s => length(s),
    }
}

pub fn length_or_unknown(seconds: Option<f64>) -> Cell {
    seconds.map_or_else(|| Cell::new(Tone::Unknown, "unknown"), |seconds| length(seconds).into())
}

pub fn loss(loss: Loss) -> String {
    match loss {
        Loss::Unknown => "unknown".into(),
        Loss::Estimated { seconds } => format!("{} (estimated)", length(seconds)),
        Loss::Measured { seconds } => format!("{} (measured)", length(seconds)),
    }
}

/// A verdict; what could still have gone either way, or could not be told, is not one.
pub fn met(met: Option<bool>) -> Cell {
    match met {
        Some(true) => Cell::new(Tone::Good, "met"),
        Some(false) => Cell::new(Tone::Bad, "MISSED"),
        None => Cell::new(Tone::Unknown, "not known"),
    }
}

/// `14:02:11`: the day stands elsewhere.
pub fn time(at: At) -> String {
    at.strftime("%H:%M:%S").to_string()
}

/// `1:05`, `2:00:10`: along an axis.
pub fn clock(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// `2026-11-25 14:02:11 UTC`
pub fn moment(at: At) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `one step`, `3 steps`
pub fn count(number: usize, one: &str, many: &str) -> String {
    if number == 1 { format!("one {one}") } else { format!("{number} {many}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_to_the_second() {
        let cases = [
            (-1.0, "0.0 s"),
            (0.42, "0.4 s"),
            (99.96, "1 min 40 s"),
            (234.0, "3 min 54 s"),
            (300.0, "5 min"),
            (7800.0, "2 h 10 min"),
            (10_799.0, "3 h"),
        ];
        for (seconds, words) in cases {
            assert_eq!(length(seconds), words);
        }
        let targets = [(300.0, "5 min"), (3600.0, "1 h"), (90.0, "90 s"), (0.5, "0.5 s"), (330.0, "5 min 30 s")];
        for (seconds, words) in targets {
            assert_eq!(target(seconds), words);
        }
    }
}
