//! The moment in the name of a copy: `neo4j-2026-11-23T04-00-00.backup`, `etcd_20261123-0400.db`. In UTC, as all tools that Mayday
//! knows write it (<https://neo4j.com/docs/operations-manual/current/backup-restore/online-backup/>).

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

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
