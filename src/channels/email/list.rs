//! Who gets it. The list is read anew for every batch, so it may be edited between two of them, and the engine may die: all the same
//! nobody may get a letter twice. So an address does not belong to a batch by its place in the list, but by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use futures::future::BoxFuture;
use lettre::Address;
use sha2::{Digest, Sha256};

use super::super::exchange::Voice;
use super::MOST;
use super::lines::{Bad, decoded, one, read};
use crate::domain::ids::MessageId;
use crate::domain::params::Params;
use crate::domain::system::Fault;
use crate::domain::text::clean;
use crate::outbound::apart;

/// A larger file is no list of recipients.
const LARGEST: usize = 64 << 20;

/// So many parts are made for each that is needed, at most: where one is full all the same, what is too much for it becomes a part of
/// its own.
const SPREAD: u64 = 2;

/// So many digits tell one recipient of a message from all others.
const MARK: usize = 12;

pub struct List {
    to: Vec<String>,
    file: Option<String>,
    batch: usize,
    /// What was read last, and of what.
    last: Mutex<Option<(Vec<u8>, Arc<Recipients>)>>,
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
        if let Some(wrong) = to.iter().find(|text| one(text).is_err()) {
            return Err(voice.unfit(format!("`to`: `{}` is no e-mail address", clean(wrong))));
        }
        if file.as_ref().is_some_and(|file| !file.starts_with('/')) {
            return Err(voice.unfit("`to_file` has to be an absolute path: the engine runs somewhere else"));
        }
        let batch = params.integer("batch")?;
        if !(1..=MOST).contains(&batch) {
            return Err(voice.unfit(format!("`batch` has to be 1 to {MOST}")));
        }
        Ok(Self { to, file, batch: usize::try_from(batch).unwrap_or(1), last: Mutex::default(), voice })
    }

    /// # Errors
    /// When the file cannot be read, or when nobody is left.
    pub fn read(&self) -> BoxFuture<'_, Result<Arc<Recipients>, Fault>> {
        Box::pin(async move {
            let read = self.look().await?;
            if read.addresses.is_empty() {
                Err(self.voice.broken("there is no recipient with an address"))
            } else {
                Ok(read)
            }
        })
    }

    /// The same, though nobody is left.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub async fn look(&self) -> Result<Arc<Recipients>, Fault> {
        let bytes = match &self.file {
            Some(file) => {
                let text = self.bytes(file).await;
                text.map_err(|why| self.voice.broken(format!("`to_file` {}: {why}", clean(file))))?
            }
            None => Vec::new(),
        };
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // It is read anew for every letter, and hardly ever edited between two.
        if let Some((of, known)) = &*last
            && *of == bytes
        {
            return Ok(known.clone());
        }
        let read = Arc::new(Recipients::new(&self.to, &bytes, self.batch));
        *last = Some((bytes, read.clone()));
        Ok(read)
    }

    async fn bytes(&self, file: &str) -> Result<Vec<u8>, String> {
        let bytes = apart::file(file.as_ref(), LARGEST).await.map_err(|kind| kind.to_string())?;
        if bytes.len() > LARGEST { Err(format!("it has more than {LARGEST} bytes")) } else { Ok(bytes.to_vec()) }
    }

    /// What is wrong with it, a text each.
    pub async fn wrong(&self) -> Vec<String> {
        match self.look().await {
            Err(fault) => vec![fault.what],
            Ok(read) if read.addresses.is_empty() => vec!["there is no recipient with an address".into()],
            Ok(read) => {
                let file = self.file.as_deref().map(clean).unwrap_or_default();
                read.invalid.iter().map(|bad| format!("`to_file` {file}, line {}: {}", bad.line, bad.why)).collect()
            }
        }
    }
}

/// The recipients, everybody once.
#[derive(Default)]
pub struct Recipients {
    /// By the address in lower case.
    addresses: BTreeMap<String, (u64, Address)>,
    /// Where somebody may be missing.
    pub invalid: Vec<Bad>,
    /// The most of them in one letter.
    pub batch: usize,
}

impl Recipients {
    fn new(to: &[String], file: &[u8], batch: usize) -> Self {
        let mut all = Self { batch, ..Self::default() };
        to.iter().filter_map(|text| one(text).ok()).for_each(|address| all.take(address));
        let lines = read(&decoded(file));
        lines.addresses.into_iter().for_each(|address| all.take(address));
        all.invalid = lines.bad;
        all
    }

    fn take(&mut self, address: Address) {
        let key = address.to_string().to_lowercase();
        let number = number(&key);
        self.addresses.entry(key).or_insert((number, address));
    }

    pub fn count(&self) -> usize {
        self.addresses.len()
    }

    /// The fewest parts of which none has more recipients than a letter may, as far as that takes no more than twice as many as it has to.
    pub fn parts(&self) -> u32 {
        let needed = self.count().div_ceil(self.batch.max(1)).max(1) as u64;
        let mut parts = needed;
        while parts < needed * SPREAD && self.largest(parts) > self.batch {
            parts = (parts + (parts / 20).max(1)).min(needed * SPREAD);
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

    /// Those of one part; of one that is what was left of another, those whom it is for.
    pub fn part(&self, message: &MessageId, (part, parts): (u32, u32), only: &[String]) -> Vec<Address> {
        if !only.is_empty() {
            let only: BTreeSet<&str> = only.iter().map(String::as_str).collect();
            let is_here = |(key, _): &(&String, _)| only.contains(mark(message, key).as_str());
            return self.addresses.iter().filter(is_here).map(|(_, (_, address))| address.clone()).collect();
        }
        let parts = u64::from(parts.max(1));
        let is_here = |(number, _): &&(u64, Address)| number % parts == u64::from(part);
        self.addresses.values().filter(is_here).map(|(_, address)| address.clone()).collect()
    }

    /// The most recipients of one letter.
    pub fn batch(&self) -> usize {
        self.batch.max(1)
    }
}

/// By which a recipient of a message is known in the journal, where no address stands: it tells nothing, and is another one for every
/// message.
pub fn mark(message: &MessageId, address: &str) -> String {
    let digest = Sha256::digest(format!("{message}\n{}", address.to_lowercase()).as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>().chars().take(MARK).collect()
}

/// A number that only the address decides.
fn number(address: &str) -> u64 {
    let digest = Sha256::digest(address.as_bytes());
    digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recipients(count: usize, batch: usize) -> Recipients {
        let file: String = (0..count).map(|at| format!("customer-{at}@example.com\n")).collect();
        Recipients::new(&[], file.as_bytes(), batch)
    }

    fn all(read: &Recipients) -> Vec<Vec<Address>> {
        let parts = read.parts();
        (0..parts).map(|part| read.part(&"m1".into(), (part, parts), &[])).collect()
    }

    #[test]
    fn everybody_is_in_one_batch_and_no_batch_is_too_large() {
        for count in [1, 50, 51, 1000, 4999] {
            let batches = all(&recipients(count, 50));
            assert!(batches.iter().all(|batch| batch.len() <= 50), "{count}");
            let distinct: BTreeSet<String> = batches.iter().flatten().map(ToString::to_string).collect();
            assert_eq!((distinct.len(), batches.iter().map(Vec::len).sum()), (count, count));
        }
        assert_eq!(recipients(50, 50).parts(), 1);
        let alone = all(&recipients(1000, 1));
        assert!(alone.len() <= 2000 && alone.iter().map(Vec::len).sum::<usize>() == 1000, "{}", alone.len());
    }

    #[test]
    fn those_who_are_left_are_found_by_their_marks_alone() {
        let read = recipients(1000, 50);
        let only = [mark(&"m1".into(), "customer-7@example.com"), mark(&"m1".into(), "Customer-9@Example.com")];
        let found: Vec<String> = read.part(&"m1".into(), (99, 21), &only).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["customer-7@example.com", "customer-9@example.com"]);
        assert!(read.part(&"m2".into(), (99, 21), &only).is_empty(), "of another message they are others");
    }

    #[test]
    fn a_list_that_is_edited_moves_nobody_to_another_batch() {
        let (before, mut after) = (recipients(1000, 50), recipients(1000, 50));
        let parts = before.parts();
        after.addresses.remove("customer-7@example.com");
        after.take("new@example.com".parse().unwrap());
        for part in 0..parts {
            let kept = |read: &Recipients| {
                let of = read.part(&"m1".into(), (part, parts), &[]).into_iter().map(|it| it.to_string());
                of.filter(|it| it != "new@example.com" && it != "customer-7@example.com").collect::<Vec<_>>()
            };
            assert_eq!(kept(&before), kept(&after));
        }
    }

    #[tokio::test]
    async fn what_is_wrong_is_named_by_its_place_alone() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "# customers\n\n ada@x.example \nAda <ADA@x.example>\nno one\né@x.example\n")
            .unwrap();
        let given = serde_json::json!({ "to_file": file.path(), "batch": 50 });
        let voice = Voice::new(&"mail".into(), crate::domain::comms::Audience::Customers, "r", super::super::CALM);
        let list = List::new(&serde_json::from_value(given).unwrap(), voice).unwrap();
        assert_eq!(list.read().await.unwrap().count(), 1);
        let wrong = list.wrong().await;
        assert!(wrong.len() == 2 && wrong[0].ends_with("line 5: there is no address in it"), "{wrong:?}");
        assert!(wrong[1].contains("line 6: ") && !wrong[1].contains('é'), "{wrong:?}");
        std::fs::remove_file(file.path()).unwrap();
        assert!(list.wrong().await[0].contains("`to_file`"), "a list that is not there is named");
    }
}
