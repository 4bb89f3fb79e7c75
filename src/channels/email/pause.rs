//! How long a relay asks to be left alone, in the words of its refusal: SMTP has no other place for it. Postgrey says "try again in 300
//! seconds", others "Greylisted for 5 minutes", "retry in 00:05:00".

use std::time::Duration;

/// No longer pause is believed.
const LONGEST: Duration = Duration::from_secs(3600);

/// Words that stand before a length of time.
const BEFORE: &[&str] = &["in", "after", "for", "within", "wait", "least"];

/// The pause that is asked for, and a second, so that it is over there too.
pub fn asked(said: &str) -> Option<Duration> {
    let lower = said.to_lowercase();
    let words: Vec<&str> =
        lower.split(|c: char| !(c.is_alphanumeric() || c == ':')).filter(|it| !it.is_empty()).collect();
    let seconds = words.iter().enumerate().find_map(|(at, word)| {
        let announced = at > 0 && BEFORE.contains(&words[at - 1]);
        clock(word).filter(|_| announced).or_else(|| {
            let (number, unit) = word.split_at(word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len()));
            let unit = if unit.is_empty() { words.get(at + 1).copied().unwrap_or_default() } else { unit };
            Some(number.parse::<u64>().ok()? * of(unit).filter(|_| announced)?)
        })
    })?;
    Some(Duration::from_secs(seconds.saturating_add(1)).min(LONGEST))
}

fn of(unit: &str) -> Option<u64> {
    match unit {
        "s" | "sec" | "secs" | "second" | "seconds" => Some(1),
        "m" | "min" | "mins" | "minute" | "minutes" => Some(60),
        "h" | "hour" | "hours" => Some(3600),
        _ => None,
    }
}

/// `00:05:00` or `05:00`
fn clock(word: &str) -> Option<u64> {
    let parts: Vec<u64> = word.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    matches!(parts.len(), 2 | 3).then(|| parts.iter().fold(0, |sum, part| sum * 60 + part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_relays_own_time_is_read_from_its_words() {
        for (said, seconds) in [
            ("451 4.7.1 <a@x>: Greylisted, see http://postgrey.example/: try again in 300 seconds", Some(301)),
            ("451 4.7.1 Greylisted for 5 minutes", Some(301)),
            ("450 4.2.0 Greylisting in action, please come back in 00:04:59", Some(300)),
            ("451 retry after 60s", Some(61)),
            ("451 4.7.1 wait 9 hours", Some(3600)),
            ("451 4.7.1 Greylisted, try again later", None),
            ("452 4.5.3 too many recipients, 100 in one letter", None),
            ("450 4.7.1 limit of 30 messages in 2 batches", None),
        ] {
            assert_eq!(asked(said), seconds.map(Duration::from_secs), "{said}");
        }
    }
}
