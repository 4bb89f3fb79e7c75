//! Listings: objects and versions, by pages.

use std::collections::BTreeSet;

use super::super::xml::{leaf, node, optional};
use super::api::{Questions, Refusal, seconds};
use super::{Bucket, Version};

/// The most keys of one page.
const PAGE: usize = 1000;

/// What a listing was asked for.
struct Asked<'a> {
    prefix: &'a str,
    delimiter: &'a str,
    limit: usize,
    /// Keys are percent-encoded: botocore asks for it.
    encoded: bool,
}

impl<'a> Asked<'a> {
    fn of(questions: &'a Questions) -> Result<Self, Refusal> {
        let asked = |name: &str| questions.get(name).map_or("", String::as_str);
        let limit = match asked("max-keys") {
            "" => PAGE,
            limit => limit.parse().map_err(|_| Refusal::argument("max-keys is not a number"))?,
        };
        let encoded = asked("encoding-type") == "url";
        Ok(Self { prefix: asked("prefix"), delimiter: asked("delimiter"), limit: limit.clamp(1, PAGE), encoded })
    }

    fn name(&self, key: &str) -> String {
        match self.encoded {
            true => percent_encoding::utf8_percent_encode(key, super::api::IN_A_LISTING).to_string(),
            false => key.to_owned(),
        }
    }

    /// What `key` is rolled up under.
    fn folder<'k>(&self, key: &'k str) -> Option<&'k str> {
        let rest = key.strip_prefix(self.prefix)?;
        let at = if self.delimiter.is_empty() { None } else { rest.find(self.delimiter) };
        at.map(|at| &key[..self.prefix.len() + at + self.delimiter.len()])
    }

    fn echoed(&self, bucket: &Bucket, truncated: bool) -> [String; 6] {
        [
            leaf("Name", bucket.name),
            leaf("Prefix", self.name(self.prefix)),
            optional("Delimiter", Some(self.delimiter).filter(|it| !it.is_empty())),
            leaf("MaxKeys", self.limit),
            optional("EncodingType", self.encoded.then_some("url")),
            leaf("IsTruncated", truncated),
        ]
    }
}

/// `ListObjectsV2`: the newest version of each key that is not deleted.
pub fn objects(bucket: &Bucket, questions: &Questions) -> Result<Vec<String>, Refusal> {
    let asked = Asked::of(questions)?;
    let after = questions.get("continuation-token").or_else(|| questions.get("start-after"));
    let after = after.map_or("", String::as_str);
    let (mut contents, mut folders) = (Vec::new(), BTreeSet::new());
    let mut next = None;
    let mut last = "";
    for (key, versions) in
        bucket.objects.iter().filter(|(key, _)| key.starts_with(asked.prefix) && key.as_str() > after)
    {
        let Some(version) = versions.back().filter(|version| version.body.is_some()) else { continue };
        let folder = asked.folder(key);
        // A folder that a page ended with was told already.
        if folder.is_some_and(|folder| folders.contains(folder) || after.starts_with(folder)) {
            last = key;
            continue;
        }
        if contents.len() + folders.len() == asked.limit {
            next = Some(last.to_owned());
            break;
        }
        last = key;
        match folder {
            Some(folder) => drop(folders.insert(folder)),
            None => contents.push(node("Contents", object(&asked, key, version))),
        }
    }
    let mut told = asked.echoed(bucket, next.is_some()).to_vec();
    told.push(leaf("KeyCount", contents.len() + folders.len()));
    told.push(optional("ContinuationToken", questions.get("continuation-token")));
    told.push(optional("NextContinuationToken", next));
    told.extend(contents);
    told.extend(folders.iter().map(|folder| node("CommonPrefixes", [leaf("Prefix", asked.name(folder))])));
    Ok(told)
}

fn object(asked: &Asked<'_>, key: &str, version: &Version) -> [String; 5] {
    [
        leaf("Key", asked.name(key)),
        leaf("LastModified", seconds(version.at)),
        leaf("ETag", version.etag()),
        leaf("Size", version.body.as_ref().map_or(0, |body| body.len())),
        leaf("StorageClass", "STANDARD"),
    ]
}

/// `ListObjectVersions`: every version and delete marker, newest first within a key.
pub fn versions(bucket: &Bucket, questions: &Questions) -> Result<Vec<String>, Refusal> {
    let asked = Asked::of(questions)?;
    let marker = questions.get("key-marker").map_or("", String::as_str);
    let version_marker = questions.get("version-id-marker").map(String::as_str);
    let all = bucket.objects.iter().filter(|(key, _)| key.starts_with(asked.prefix));
    let mut all = all.flat_map(|(key, versions)| versions.iter().rev().enumerate().map(move |it| (key, it))).peekable();
    while let Some((key, (_, version))) = all.peek() {
        let passed = match version_marker {
            _ if key.as_str() != marker => key.as_str() < marker,
            // Ids are counted up, so that what is newer than the marker was told already.
            Some(told) => version.id.as_str() >= told,
            None => true,
        };
        if !passed {
            break;
        }
        all.next();
    }
    let mut page = Vec::new();
    let mut last = ("", "");
    for (key, (nth, version)) in all.by_ref().take(asked.limit) {
        last = (key, &version.id);
        let which = [leaf("VersionId", &version.id), leaf("IsLatest", nth == 0)];
        page.push(match version.body {
            Some(_) => node("Version", object(&asked, key, version).into_iter().chain(which)),
            None => {
                let marker = [leaf("Key", asked.name(key)), leaf("LastModified", seconds(version.at))];
                node("DeleteMarker", marker.into_iter().chain(which))
            }
        });
    }
    let truncated = all.peek().is_some();
    let mut told = asked.echoed(bucket, truncated).to_vec();
    told.push(leaf("KeyMarker", asked.name(marker)));
    if truncated {
        told.push(leaf("NextKeyMarker", asked.name(last.0)));
        told.push(leaf("NextVersionIdMarker", last.1));
    }
    told.extend(page);
    Ok(told)
}
