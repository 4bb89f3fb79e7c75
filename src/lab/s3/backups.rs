//! The bucket of backups: Neo4j's full copies and increments, and snapshots of etcd, a week of each.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::body::Bytes;
use jiff::Timestamp;

use super::Buckets;
use crate::lab::faults::{Condition, Faults};

pub const BUCKET: &str = "gennet-backups";

/// While nothing is made any more, copies younger than this were never made.
const MISSED: Duration = Duration::from_secs(3 * 86_400);

/// What makes copies: the place of its faults, how its objects are called, how often, how long ago the newest, how many, how large.
struct Job {
    place: &'static str,
    prefix: &'static str,
    stem: &'static str,
    suffix: &'static str,
    every: Duration,
    newest: Duration,
    kept: u32,
    size: usize,
}

const JOBS: [Job; 3] = [
    Job {
        place: "neo4j-backups",
        prefix: "neo4j/full/",
        stem: "neo4j",
        suffix: ".backup",
        every: Duration::from_secs(24 * 3600),
        newest: Duration::from_secs(13 * 3600),
        kept: 8,
        size: 1_300_000,
    },
    Job {
        place: "neo4j-backups",
        prefix: "neo4j/diff/",
        stem: "neo4j",
        suffix: ".backup",
        every: Duration::from_secs(6 * 3600),
        newest: Duration::from_secs(40 * 60),
        kept: 29,
        size: 90_000,
    },
    Job {
        place: "etcd-backups",
        prefix: "etcd/",
        stem: "etcd",
        suffix: ".db",
        every: Duration::from_secs(6 * 3600),
        newest: Duration::from_secs(2 * 3600),
        kept: 28,
        size: 420_000,
    },
];

/// The places of these faults.
pub const PLACES: [&str; 2] = ["neo4j-backups", "etcd-backups"];

impl Buckets {
    /// Puts a week of copies into the bucket.
    pub(super) fn seed_backups(&mut self, now: Timestamp) {
        // All bodies are slices of this one: a copy that exists; the lab has nothing that could be restored from it.
        let zeros = Bytes::from(vec![0; 2_000_000]);
        for job in &JOBS {
            for nth in (0..job.kept).rev() {
                let at = now - job.newest - job.every * nth;
                let key = format!("{}{}-{}{}", job.prefix, job.stem, at.strftime("%Y-%m-%dT%H-%M-%S"), job.suffix);
                // No two are of the same size.
                let body = zeros.slice(..job.size + job.size / 100 * (nth as usize % 5));
                self.store(BUCKET, &key, at, Some(body), None, BTreeMap::new());
            }
        }
    }

    /// Takes the copies away that a broken job would never have made, and gives them back once it is mended.
    pub(super) fn miss_backups(&mut self, faults: &Faults, now: Timestamp) {
        for job in &JOBS {
            let broken = faults.condition(job.place, None) == Condition::Stale;
            if broken == self.missed.contains_key(job.prefix) {
                continue;
            }
            if broken {
                let Some(bucket) = self.bucket_mut(BUCKET) else { return };
                let young = |at: Timestamp| at > now - MISSED;
                let keys = bucket.objects.iter().filter(|(key, versions)| {
                    key.starts_with(job.prefix) && versions.back().is_some_and(|version| young(version.at))
                });
                let keys: Vec<String> = keys.map(|(key, _)| key.clone()).collect();
                let taken = keys.into_iter().filter_map(|key| bucket.objects.remove_entry(&key)).collect();
                self.missed.insert(job.prefix, taken);
            } else if let Some(taken) = self.missed.remove(job.prefix)
                && let Some(bucket) = self.bucket_mut(BUCKET)
            {
                bucket.objects.extend(taken);
            }
        }
    }
}
