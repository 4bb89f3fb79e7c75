//! Who gets it. The list is read anew for every batch, so it may be edited between two of them, and the engine may die: all the same
//! nobody may get a letter twice. So an address does not belong to a batch by its place in the list, but by itself.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use lettre::Address;
use lettre::message::Mailbox;
use sha2::{Digest, Sha256};

use super::super::exchange::Voice;
use super::MOST;
use crate::domain::params::Params;
use crate::domain::system::Fault;
use crate::domain::text::clean;

/// A larger file is no list of recipients.
const LARGEST: u64 = 64 << 20;

pub struct List {
    to: Vec<String>,
    file: Option<String>,
    batch: usize,
    voice: Voice,
}

impl List {
    /// # Errors
    /// When there can never be a recipient.
    pub fn new(params: &Params, voice: Voice) -> Result<Self, Fault> {
        let (to, file) = (params.list("to"), params.opt_text("to_file").map(str::to_owned));
        if to.is_empty() && file.is_none() {
            return Err(voice.unfit("it needs recipients: `to` or `to_file`"));
        }
        if let Some(wrong) = to.iter().find(|text| address(text).is_none()) {
            return Err(voice.unfit(format!("`to`: `{}` is no e-mail address", clean(wrong))));
        }
        if file.as_ref().is_some_and(|file| !file.starts_with('/')) {
            return Err(voice.unfit("`to_file` has to be an absolute path: the engine runs somewhere else"));
        }
        let batch = params.integer("batch")?;
        if !(1..=MOST).contains(&batch) {
            return Err(voice.unfit(format!("`batch` has to be 1 to {MOST}")));
        }
        Ok(Self { to, file, batch: usize::try_from(batch).unwrap_or(1), voice })
    }

    /// # Errors
    /// When the file cannot be read, or when nobody is left.
    pub fn read(&self) -> BoxFuture<'_, Result<Recipients, Fault>> {
        Box::pin(async move {
            let mut read = Recipients { batch: self.batch, ..Recipients::default() };
            for text in &self.to {
                read.take(text, || "`to`".into());
            }
            if let Some(file) = &self.file {
                let text =
                    self.text(file).await.map_err(|why| self.voice.broken(format!("`to_file` {file}: {why}")))?;
                for (at, line) in text.lines().enumerate() {
                    read.take(line, || format!("line {}", at + 1));
                }
            }
            if read.addresses.is_empty() {
                Err(self.voice.broken("there is no recipient with an address"))
            } else {
                Ok(read)
            }
        })
    }

    async fn text(&self, file: &str) -> Result<String, String> {
        let words = |error: std::io::Error| error.kind().to_string();
        if tokio::fs::metadata(file).await.map_err(words)?.len() > LARGEST {
            return Err(format!("it has more than {LARGEST} bytes"));
        }
        tokio::fs::read_to_string(file).await.map_err(words)
    }
}

/// An address that a relay takes without an extension that few have (SMTPUTF8).
fn address(text: &str) -> Option<Address> {
    let text = text.trim();
    // Most are nothing but an address, which is found out in a fraction of the time that a name beside it takes: lists may be long.
    let bare = text.parse::<Address>().ok();
    bare.or_else(|| Some(text.parse::<Mailbox>().ok()?.email)).filter(|address| address.to_string().is_ascii())
}

/// The recipients, everybody once.
#[derive(Default)]
pub struct Recipients {
    /// By the address in lower case.
    addresses: BTreeMap<String, (u64, Address)>,
    /// Where there is something that is no address.
    pub invalid: Vec<String>,
    batch: usize,
}

impl Recipients {
    fn take(&mut self, text: &str, place: impl FnOnce() -> String) {
        let text = text.trim();
        if text.is_empty() || text.starts_with('#') {
            return;
        }
        match address(text) {
            Some(address) => {
                let key = address.to_string().to_lowercase();
                let number = number(&key);
                self.addresses.entry(key).or_insert((number, address));
            }
            None => self.invalid.push(place()),
        }
    }

    pub fn count(&self) -> usize {
        self.addresses.len()
    }

    /// The fewest parts of which none has more recipients than a letter may.
    pub fn parts(&self) -> u32 {
        let mut parts = self.count().div_ceil(self.batch.max(1)).max(1) as u64;
        while self.largest(parts) > self.batch {
            parts += (parts / 20).max(1);
        }
        u32::try_from(parts).unwrap_or(u32::MAX)
    }

    fn largest(&self, parts: u64) -> usize {
        let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
        for (number, _) in self.addresses.values() {
            *counts.entry(number % parts).or_default() += 1;
        }
        counts.into_values().max().unwrap_or_default()
    }

    /// Those of one part.
    pub fn part(&self, part: u32, parts: u32) -> Vec<Address> {
        let parts = u64::from(parts.max(1));
        let is_here = |(number, _): &&(u64, Address)| number % parts == u64::from(part);
        self.addresses.values().filter(is_here).map(|(_, address)| address.clone()).collect()
    }
}

/// A number that only the address decides.
fn number(address: &str) -> u64 {
    let digest = Sha256::digest(address.as_bytes());
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn recipients(count: usize) -> Recipients {
        let mut read = Recipients { batch: 50, ..Recipients::default() };
        for at in 0..count {
            read.take(&format!("customer-{at}@example.com"), || unreachable!());
        }
        read
    }

    #[test]
    fn everybody_is_in_one_batch_and_no_batch_is_too_large() {
        for count in [1, 50, 51, 1000, 4999] {
            let read = recipients(count);
            let parts = read.parts();
            let batches: Vec<Vec<Address>> = (0..parts).map(|part| read.part(part, parts)).collect();
            assert!(batches.iter().all(|batch| batch.len() <= 50), "{count}");
            let all: BTreeSet<String> = batches.iter().flatten().map(ToString::to_string).collect();
            assert_eq!((all.len(), batches.iter().map(Vec::len).sum()), (count, count));
        }
        assert_eq!(recipients(50).parts(), 1);
    }

    #[test]
    fn a_list_that_is_edited_moves_nobody_to_another_batch() {
        let (before, mut after) = (recipients(1000), recipients(1000));
        let parts = before.parts();
        after.addresses.remove("customer-7@example.com");
        after.take("new@example.com", || unreachable!());
        for part in 0..parts {
            let kept = |read: &Recipients| {
                let of = read.part(part, parts).into_iter().map(|it| it.to_string());
                of.filter(|it| it != "new@example.com" && it != "customer-7@example.com").collect::<Vec<_>>()
            };
            assert_eq!(kept(&before), kept(&after));
        }
    }

    #[test]
    fn lines_are_read_and_what_is_wrong_is_named_by_its_place_alone() {
        let mut read = Recipients { batch: 50, ..Recipients::default() };
        for (at, line) in
            ["# customers", "", " ada@x.example ", "Ada <ADA@x.example>", "no one", "é@x.example"].iter().enumerate()
        {
            read.take(line, || format!("line {}", at + 1));
        }
        assert_eq!((read.count(), read.invalid), (1, vec!["line 5".to_owned(), "line 6".to_owned()]));
    }
}
