//! Moments as others write them: in the name of a copy, and in a heartbeat.
//!
//! In a name: `neo4j-2026-11-23T04-00-00.backup`, `etcd_20261123-0400.db`. In UTC, as all tools that Mayday
//! knows write it (<https://neo4j.com/docs/operations-manual/current/backup-restore/online-backup/>).

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use std::time::Duration;

use crate::domain::time::At;

/// The first date with a time of day in `name`: the digits may be parted by one of `-_:.T /`, seconds may be left out. `None` when there
/// is none.
pub fn dated(name: &str) -> Option<At> {
    let bytes = name.as_bytes();
    let starts =
        (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit() && (*at == 0 || !bytes[at - 1].is_ascii_digit()));
    starts.into_iter().find_map(|start| read(&bytes[start..]))
}

fn read(mut rest: &[u8]) -> Option<At> {
    let year = number(&mut rest, 4)?;
    let [month, day] = [number(&mut rest, 2)?, number(&mut rest, 2)?];
    let [hour, minute] = [number(&mut rest, 2)?, number(&mut rest, 2)?];
    let second = number(&mut rest, 2).unwrap_or(0);
    let part = |number: i16| i8::try_from(number).ok();
    let civil = DateTime::new(year, part(month)?, part(day)?, part(hour)?, part(minute)?, part(second)?, 0).ok()?;
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// A moment as applications write it: RFC 3339, or a number since 1970, which is seconds (a fraction too), milliseconds, microseconds or
/// nanoseconds by its size. `None` when it is none.
pub fn written(text: &str) -> Option<At> {
    let text = text.trim();
    if let Ok(at) = text.parse() {
        return Some(at);
    }
    let seconds = match text.parse::<u64>() {
        Ok(0) => return None,
        Ok(seconds @ ..100_000_000_000) => Duration::from_secs(seconds),
        Ok(millis @ ..100_000_000_000_000) => Duration::from_millis(millis),
        Ok(micros @ ..100_000_000_000_000_000) => Duration::from_micros(micros),
        Ok(nanos) => Duration::from_nanos(nanos),
        Err(_) => fraction(text)?,
    };
    At::UNIX_EPOCH.checked_add(seconds).ok()
}

/// `1795428000.25`
fn fraction(text: &str) -> Option<Duration> {
    let (whole, part) = text.split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = whole.parse::<u64>().ok().filter(|seconds| (1..100_000_000_000).contains(seconds))?;
    let nanos = format!("{part:0<9}").get(..9)?.parse().ok().filter(|_| digits(part))?;
    Some(Duration::new(seconds, nanos))
}

/// Everything before the date in `name`, and then the day of `at`, written as the one that is there: names of the same series compare with it
/// as their times do. `None` when `name` holds no date.
pub fn redated(name: &str, at: At) -> Option<String> {
    let bytes = name.as_bytes();
    let start = (0..bytes.len())
        .filter(|at| bytes[*at].is_ascii_digit() && (*at == 0 || !bytes[at - 1].is_ascii_digit()))
        .find(|start| read(&bytes[*start..]).is_some())?;
    let parting = |at: usize| {
        bytes
            .get(at)
            .copied()
            .filter(|byte| !byte.is_ascii_digit())
            .map_or(String::new(), |byte| char::from(byte).to_string())
    };
    let first = parting(start + 4);
    let second = parting(start + 4 + first.len() + 2);
    Some(format!("{}{}{first}{}{second}{}", &name[..start], at.strftime("%Y"), at.strftime("%m"), at.strftime("%d")))
}

/// So many digits, and the parting after them.
fn number(rest: &mut &[u8], digits: usize) -> Option<i16> {
    let text = rest.get(..digits).filter(|text| text.iter().all(u8::is_ascii_digit))?;
    *rest = &rest[digits..];
    if let [b'-' | b'_' | b':' | b'.' | b'T' | b' ' | b'/', after @ ..] = rest
        && after.first().is_some_and(u8::is_ascii_digit)
    {
        *rest = after;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heartbeat_is_a_moment_in_each_of_its_forms() {
        let at: At = "2026-11-23T10:00:00Z".parse().unwrap();
        for text in [
            "2026-11-23T10:00:00Z",
            " 2026-11-23T11:00:00+01:00\n",
            "1795428000",
            "1795428000.0",
            "1795428000000",
            "1795428000000000",
            "1795428000000000000",
        ] {
            assert_eq!(written(text), Some(at), "{text}");
        }
        assert_eq!(written("1795428000.25"), Some(at + Duration::from_millis(250)));
        for text in [
            "",
            "yesterday",
            "0",
            "-5",
            "-1795428000.5",
            "1e9",
            "1795428000.",
            ".5",
            "1795428000.2x",
            "99999999999999999999",
        ] {
            assert_eq!(written(text), None, "{text}");
        }
    }

    #[test]
    fn the_moment_of_a_copy_is_read_from_its_name() {
        let at: At = "2026-11-23T04:05:06Z".parse().unwrap();
        for name in [
            "neo4j-2026-11-23T04-05-06.backup",
            "neo4j/full/neo4j-2026-11-23T04-05-06.backup",
            "dump_20261123_040506.gz",
            "2026-11-23 04:05:06",
            "shard7-20261123T040506Z.snap",
        ] {
            assert_eq!(dated(name), Some(at), "{name}");
        }
        assert_eq!(dated("dumps/2026/11/23/0405.db"), Some("2026-11-23T04:05:00Z".parse().unwrap()));
        assert_eq!(redated("dumps/2019/01/02/0405.db", at).as_deref(), Some("dumps/2026/11/23"));
        assert_eq!(redated("latest", at), None);
        assert_eq!(dated("etcd-20261123-0405.db"), Some("2026-11-23T04:05:00Z".parse().unwrap()));
        for name in ["", "latest.backup", "neo4j-2026-13-40T99-00-00", "v12345678", "2026-11-23"] {
            assert_eq!(dated(name), None, "{name}");
        }
    }
}
