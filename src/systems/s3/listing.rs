//! Finding what is new among very many objects. S3 lists by name, a thousand at a time, and tells nothing of time before it lists
//! (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>). Two ways lead past millions:
//!
//! - a prefix may hold the date, as `strftime` writes it: `dumps/%Y/%m/%d/` stands for one folder a day, and only the latest are listed;
//! - where names are dated, what is older than a cut is jumped over by `start-after`, for each series of names anew.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::bucket::{Bucket, Found};
use crate::domain::system::Fault;
use crate::domain::time::{At, Span, seconds_between};
use crate::systems::aws::partition;
use crate::systems::dated::{dated, redated};

/// So many pages of 1000 are listed before anything is jumped over.
const PAGES: usize = 5;
/// So many pages, in all, while jumping.
const JUMPS: usize = 40;
/// How far back it is looked, step by step, until something is found.
const BACK: [u64; 4] = [8, 64, 512, 4096];
/// So many folders with a date are listed at most, from the newest on.
const FOLDERS: usize = 10;
/// How far back they go.
const DAYS: u64 = 8;
const DAY: Duration = Duration::from_secs(86_400);

/// What was found.
#[derive(Debug, Default)]
pub struct Listing {
    /// Newest first.
    pub objects: Vec<Found>,
    /// What is older was passed over; `None` when all was read.
    pub since: Option<At>,
}

impl Listing {
    fn of(mut objects: Vec<Found>, since: Option<At>) -> Self {
        objects.sort_by_key(|object| std::cmp::Reverse(object.modified));
        Self { objects, since }
    }
}

/// The prefixes that a pattern stands for, the newest first. One without a date is itself.
///
/// # Errors
/// Why it is no pattern, in a few words.
pub fn prefixes(pattern: &str, now: At) -> Result<Vec<String>, String> {
    if !pattern.contains('%') {
        return Ok(vec![pattern.to_owned()]);
    }
    let mut found: Vec<String> = Vec::new();
    // Tomorrow's, too: whoever writes may be ahead by a time zone.
    for hours in 0..=(DAYS + 1) * 24 {
        let at = now + DAY - Duration::from_secs(hours * 3600);
        let zoned = at.to_zoned(TimeZone::UTC);
        let prefix = jiff::fmt::strtime::format(pattern, &zoned)
            .map_err(|error| format!("`{pattern}` is no pattern of a date: {error}"))?;
        if !found.contains(&prefix) {
            found.push(prefix);
        }
    }
    Ok(found)
}

/// The prefix of `now`, for what is written there.
pub fn today(pattern: &str, now: At) -> String {
    let made = jiff::fmt::strtime::format(pattern, &now.to_zoned(TimeZone::UTC)).ok().filter(|_| pattern.contains('%'));
    made.unwrap_or_else(|| pattern.to_owned())
}

/// Where jumping goes on.
enum Hop {
    /// After this name.
    To(String),
    /// All was seen.
    End,
    /// Its names hold no date.
    Undated,
}

/// From the last name of a page: what is older than `cut` in its series is passed over.
fn hop(last: &str, cut: At) -> Hop {
    match (dated(last), redated(last, cut)) {
        (Some(at), Some(after)) if at < cut && after.as_str() > last => Hop::To(after),
        (Some(_), _) => Hop::To(last.to_owned()),
        (None, _) => Hop::Undated,
    }
}

impl Bucket {
    /// Objects under `pattern`, newest first: all of them, or, where there are too many, the new ones.
    ///
    /// # Errors
    /// Also when there are too many to find the newest one in time.
    pub async fn listing(&self, pattern: &str) -> Result<Listing, Fault> {
        let now = At::now();
        let all = prefixes(pattern, now)
            .map_err(|why| Fault::permanent(&self.system, why).next("correct the prefix, and run `mayday check`"))?;
        if let [prefix] = &all[..] {
            return self.under(prefix, now).await;
        }
        let (mut objects, mut folders) = (Vec::new(), 0);
        for prefix in &all {
            let found = self.under(prefix, now).await?.objects;
            folders += usize::from(!found.is_empty());
            objects.extend(found);
            if folders == FOLDERS {
                break;
            }
        }
        Ok(Listing::of(objects, Some(now - DAY * u32::try_from(DAYS).unwrap_or(8))))
    }

    async fn under(&self, prefix: &str, now: At) -> Result<Listing, Fault> {
        let (mut found, mut after) = (Vec::new(), None);
        for _ in 0..PAGES {
            let (page, last) = self.page(prefix, after).await?;
            found.extend(page);
            match last {
                Some(last) => after = Some(last),
                None => return Ok(Listing::of(found, None)),
            }
        }
        for days in BACK {
            let cut = now - DAY * u32::try_from(days).unwrap_or(8);
            let found = self.newer(prefix, cut).await?;
            if !found.is_empty() {
                return Ok(Listing::of(found, Some(cut)));
            }
        }
        Err(self.too_many(prefix))
    }

    /// What is newer than `cut`, by the dates of names.
    async fn newer(&self, prefix: &str, cut: At) -> Result<Vec<Found>, Fault> {
        let (mut found, mut after) = (Vec::new(), None);
        for _ in 0..JUMPS {
            let (page, last) = self.page(prefix, after).await?;
            found
                .extend(page.into_iter().filter(|it| dated(&it.key).is_some_and(|at| seconds_between(cut, at) >= 0.0)));
            after = match last.map_or(Hop::End, |last| hop(&last, cut)) {
                Hop::To(name) => Some(name),
                Hop::End => return Ok(found),
                Hop::Undated => return Err(self.too_many(prefix)),
            };
        }
        Err(self.too_many(prefix))
    }

    fn too_many(&self, prefix: &str) -> Fault {
        Fault::permanent(
            &self.system,
            format!("{} holds more than {} objects under `{prefix}`", self.name, PAGES * 1000),
        )
        .means("the newest one cannot be found in time: what has arrived is unknown")
        .next("set the prefix to where heartbeats or copies alone are, or write their date into it (`dumps/%Y/%m/%d/`)")
    }

    /// `arn:aws:s3:::name`, in the partition of its region.
    pub fn arn_of(&self, name: &str) -> String {
        format!("arn:{}:s3:::{name}", partition::of(self.region.as_str()).name)
    }
}

/// What is told of a listing that did not read everything.
pub fn words(since: At, now: At) -> String {
    let ago = Span::secs(seconds_between(since, now).max(0.0) as u64);
    format!("there are too many to read: only what is newer than {ago} was")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> At {
        text.parse().unwrap()
    }

    #[test]
    fn a_prefix_may_hold_the_date() {
        let now = at("2026-03-01T00:30:00Z");
        assert_eq!(prefixes("heartbeat/", now).unwrap(), ["heartbeat/"]);
        let days = prefixes("dumps/%Y/%m/%d/", now).unwrap();
        assert_eq!(days[..3], ["dumps/2026/03/02/", "dumps/2026/03/01/", "dumps/2026/02/28/"]);
        assert_eq!(days.len(), 10);
        assert_eq!(prefixes("dumps/%Y-%m/", now).unwrap(), ["dumps/2026-03/", "dumps/2026-02/"]);
        assert_eq!((today("beat/%F/", now).as_str(), today("beat/", now).as_str()), ("beat/2026-03-01/", "beat/"));
        assert!(prefixes("dumps/%!", now).unwrap_err().contains("no pattern of a date"));
    }

    #[test]
    fn what_is_old_is_jumped_over_in_each_series() {
        let cut = at("2026-11-20T00:00:00Z");
        for (last, wanted) in [
            ("db/a-2019-01-01T00-00-00.dump", Some("db/a-2026-11-20")),
            ("db/b_20190101_000000.dump", Some("db/b_20261120")),
            ("db/a-2026-11-21T00-00-00.dump", Some("db/a-2026-11-21T00-00-00.dump")),
            ("db/latest.dump", None),
        ] {
            match (hop(last, cut), wanted) {
                (Hop::To(name), Some(wanted)) => assert_eq!(name, wanted),
                (Hop::Undated, None) => {}
                _ => panic!("{last}"),
            }
        }
    }

    /// Answers ListObjectsV2 from so many dated names, as S3 does: in order, 1000 at a time. Counts how often it was asked.
    async fn server(names: Vec<String>) -> (String, std::sync::Arc<std::sync::atomic::AtomicUsize>) {
        use std::sync::Arc;
        use std::sync::atomic::{AtomicUsize, Ordering};

        use axum::extract::Query;
        use std::collections::HashMap;

        let (asked, names) = (Arc::new(AtomicUsize::new(0)), Arc::new(names));
        let counted = asked.clone();
        let answer = move |Query(asked): Query<HashMap<String, String>>| async move {
            counted.fetch_add(1, Ordering::Relaxed);
            let of = |name: &str| asked.get(name).cloned().unwrap_or_default();
            let (prefix, after) = (of("prefix"), of("start-after"));
            let from = names.partition_point(|name| *name <= after || *name < prefix);
            let page: Vec<&String> =
                names[from..].iter().take_while(|name| name.starts_with(&prefix)).take(1001).collect();
            let object = |name: &&String| {
                let at = dated(name).unwrap_or_default();
                format!("<Contents><Key>{name}</Key><LastModified>{at}</LastModified><Size>7</Size></Contents>")
            };
            let contents: String = page.iter().take(1000).map(object).collect();
            format!("<ListBucketResult><IsTruncated>{}</IsTruncated>{contents}</ListBucketResult>", page.len() > 1000)
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = axum::Router::new().fallback(axum::routing::get(answer));
        tokio::spawn(async move { axum::serve(listener, router).await });
        (address, asked)
    }

    fn bucket(endpoint: &str) -> Bucket {
        let params = serde_json::json!({ "access_key_id": "A", "secret_access_key": { "command": ["printf", "s"] } });
        let spec = crate::domain::estate::SystemSpec {
            id: "files".into(),
            kind: "s3".into(),
            title: "files".into(),
            region: None,
            class: None,
            params: crate::domain::params::Params(params.as_object().unwrap().clone().into_iter().collect()),
        };
        let aws = crate::systems::aws::Aws::new(&spec, "us-west-2", Some(endpoint));
        Bucket::new("files", "dumps", "us-west-2".into(), aws, true)
    }

    /// One name an hour, the newest an hour before `now`.
    fn hourly(head: &str, hours: u32, now: At) -> Vec<String> {
        let at = |hour: u32| now - Duration::from_secs(3600) * hour;
        let mut names: Vec<String> =
            (1..=hours).map(|hour| format!("{head}{}.dump", at(hour).strftime("%Y-%m-%dT%H-%M-%S"))).collect();
        names.sort();
        names
    }

    #[tokio::test]
    async fn the_newest_of_very_many_dated_objects_is_found_in_a_few_questions() {
        let now = At::now();
        // Twelve years of two series.
        let names = [hourly("db/a-", 100_000, now), hourly("db/b-", 100_000, now)].concat();
        let newest = names.last().unwrap().clone();
        let (address, asked) = server(names).await;
        let found = bucket(&address).listing("db/").await.unwrap();
        assert!((380..=386).contains(&found.objects.len()), "eight days of both: {}", found.objects.len());
        assert!(found.objects.iter().take(2).any(|it| it.key == newest) && found.since.is_some());
        assert!(found.objects[..2].iter().any(|it| it.key.starts_with("db/a-")), "the first series is not passed over");
        let asked = asked.load(std::sync::atomic::Ordering::Relaxed);
        assert!(asked < 20, "{asked} questions");
    }

    #[tokio::test]
    async fn few_objects_are_read_whole_and_many_without_dates_are_not_guessed_at() {
        let now = At::now();
        let (address, _) = server(hourly("db/a-", 2500, now)).await;
        let found = bucket(&address).listing("db/").await.unwrap();
        assert_eq!((found.objects.len(), found.since), (2500, None));
        let mut names: Vec<String> = (0..6000).map(|nth| format!("db/{nth:07}")).collect();
        names.sort();
        let (address, _) = server(names).await;
        let fault = bucket(&address).listing("db/").await.unwrap_err();
        assert!(fault.what.contains("more than 5000 objects") && fault.next.contains("%Y/%m/%d"), "{fault}");
        // Stale for months: looked for further and further back.
        let old = now - DAY * 100;
        let (address, _) = server(hourly("db/a-", 20_000, old)).await;
        let found = bucket(&address).listing("db/").await.unwrap();
        assert!(seconds_between(found.objects[0].modified, old) <= 7200.0, "{:?}", found.objects[0]);
    }
}
