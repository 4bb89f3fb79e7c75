//! The journal in a bucket: S3, or a server that keeps its promises (strong consistency, and writes on a condition). Every append takes the
//! name of the next slot, which it has or has not: `If-None-Match: *`. A lead is an object that is changed only as it was seen
//! (`If-Match`), and it counts once its mark has taken a slot, too: what an older leader still has on its way finds its name taken.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html>,
//! <https://aws.amazon.com/s3/consistency/>

mod led;
mod post;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep, timeout};

use self::led::{LEAD, Led};
use super::chain::{Hash, Page, Pages, Row, hex};
use super::file::identity as random;
use super::slots::{End, Mark, Slot};
use super::store::{Put, Store};
use crate::domain::fault::{Fault, FaultClass};
use crate::domain::journal::{Chain, JournalFault, Lead, Presence, Term, Who};
use crate::domain::objects::{Listed, Object, Objects, Stored, When};
use crate::domain::time::{At, seconds_between};

/// How long one answer is waited for: a lease is not much longer.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long the same is tried, and how soon again: a put whose answer was lost may be sent again, since its name is taken once.
const TRYING: Duration = Duration::from_secs(7);
const AGAIN: Duration = Duration::from_millis(100);
/// How often a name is bid for that somebody else has just taken.
const BIDS: usize = 50;
/// How often it is looked whether there is something new, and after how many looks it is said that there is nothing.
const LOOK: Duration = Duration::from_millis(250);
const LOOKS: usize = 4;
/// Slots that are fetched side by side, and records that make a page.
const SIDE_BY_SIDE: u64 = 16;
const PAGE: usize = 1000;
/// Engines that were not heard of for so long, in seconds, are forgotten: thirty days.
const FORGOTTEN: f64 = 2_592_000.0;

const IDENTITY: &str = "journal";
const ENGINES: &str = "engines/";

#[derive(Serialize, Deserialize)]
struct Here {
    who: Who,
    seq: u64,
}

/// What was read so far.
#[derive(Default)]
struct Seen {
    end: End,
    /// By the number of a slot's last record: the slot. Those that were read in this life.
    slots: BTreeMap<u64, u64>,
}

impl Seen {
    fn note(&mut self, number: u64, slot: &Slot) {
        // A mark holds no record: the slot before it is the one that its number means.
        if slot.rows().next().is_some() {
            self.slots.insert(slot.last(), number);
        }
    }
}

pub(super) struct BucketStore {
    pub(super) objects: Arc<dyn Objects>,
    seen: Mutex<Seen>,
    /// The lead as it was read or written last, and its tag.
    led: Mutex<Option<(Led, String)>>,
    trying: Duration,
}

impl BucketStore {
    /// Opens the journal of a bucket; it is begun if there is none.
    ///
    /// # Errors
    /// When the bucket does not answer, or refuses.
    pub async fn open(objects: Arc<dyn Objects>) -> Result<Self, JournalFault> {
        let store = Self::unasked(objects);
        if store.identity().await?.is_none() {
            let name = random().map_err(|error| store.odd(&format!("there are no random bytes: {error}")))?;
            // Another engine may begin it at this moment: then it is that one's.
            store.swap(IDENTITY, &name, When::Absent).await?;
        }
        store.found(&mut *store.seen.lock().await).await?;
        Ok(store)
    }

    /// The same, with nobody asked.
    pub fn unasked(objects: Arc<dyn Objects>) -> Self {
        Self { objects, seen: Mutex::default(), led: Mutex::default(), trying: TRYING }
    }

    pub(super) fn fault(&self, fault: &Fault) -> JournalFault {
        let next = if fault.next.is_empty() {
            "see whether this host reaches the bucket, and may write it"
        } else {
            &fault.next
        };
        JournalFault { what: format!("{}: {}", self.objects.name(), fault.what), next: next.into() }
    }

    fn odd(&self, why: &str) -> JournalFault {
        JournalFault {
            what: format!("{}: {why}", self.objects.name()),
            next: "keep the bucket as evidence (its versions tell who wrote what), and name another `prefix`".into(),
        }
    }

    fn missing(&self, number: u64) -> JournalFault {
        self.odd(&format!("slot {number} is missing: somebody has taken records away"))
    }

    fn late(&self) -> Fault {
        Fault::ambiguous("journal", format!("no answer within {} s", PATIENCE.as_secs()))
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Object>, JournalFault> {
        let asked = timeout(PATIENCE, self.objects.get(key)).await.unwrap_or_else(|_| Err(self.late()));
        asked.map_err(|fault| self.fault(&fault))
    }

    pub(super) async fn listed(
        &self,
        prefix: &str,
        after: Option<&str>,
        most: Option<usize>,
    ) -> Result<Vec<Listed>, JournalFault> {
        let asked = timeout(PATIENCE, self.objects.list(prefix, after, most)).await;
        asked.unwrap_or_else(|_| Err(self.late())).map_err(|fault| self.fault(&fault))
    }

    /// Writes an object on a condition, again and again until it is known what became of it. Of one that was written before an answer was
    /// lost, the condition does not hold any more: then what is there is compared. The tag; `None` if something else is there.
    ///
    /// # Errors
    /// When nobody says so in time; whether anything may have been written is the fault's class.
    pub(super) async fn swapped(
        &self,
        key: &str,
        body: &str,
        when: When<'_>,
    ) -> Result<Result<String, Option<Object>>, Fault> {
        let (until, mut unsure) = (Instant::now() + self.trying, false);
        loop {
            let put = timeout(PATIENCE, self.objects.put(key, body, when)).await.unwrap_or_else(|_| Err(self.late()));
            let fault = match put {
                Ok(Stored::Kept(tag)) => return Ok(Ok(tag)),
                Ok(Stored::Met) => {
                    match timeout(PATIENCE, self.objects.get(key)).await.unwrap_or_else(|_| Err(self.late())) {
                        Ok(Some(found)) if found.body == body => return Ok(Ok(found.tag)),
                        Ok(other) => return Ok(Err(other)),
                        Err(fault) => fault,
                    }
                }
                Err(fault) => fault,
            };
            unsure |= fault.class == FaultClass::Ambiguous;
            if fault.class == FaultClass::Permanent || Instant::now() + AGAIN > until {
                let class = if unsure { FaultClass::Ambiguous } else { fault.class };
                return Err(Fault { class, ..fault });
            }
            sleep(AGAIN).await;
        }
    }

    /// [`Self::swapped`], where a failure says nothing more.
    pub(super) async fn swap(&self, key: &str, body: &str, when: When<'_>) -> Result<Option<String>, JournalFault> {
        self.swapped(key, body, when).await.map(Result::ok).map_err(|fault| self.fault(&fault))
    }

    async fn slot(&self, number: u64) -> Result<Option<Slot>, JournalFault> {
        let found = self.get(&End::key(number)).await?;
        let read = |object: Object| Slot::read(&object.body).map_err(|why| self.odd(&format!("slot {number} {why}")));
        found.map(read).transpose()
    }

    /// Looks for the end: numbers have no gap, so that some twenty looks find it among a million.
    async fn found(&self, seen: &mut Seen) -> Result<(), JournalFault> {
        let (mut there, mut step) = (0, 1);
        while self.slot(there + step).await?.is_some() {
            there += step;
            step *= 2;
        }
        while step > 1 {
            step /= 2;
            if self.slot(there + step).await?.is_some() {
                there += step;
            }
        }
        let beyond = self.listed("slots/", Some(&End::key(there)), Some(1)).await?;
        *seen = Seen::default();
        if there > 0 {
            let slot = self.slot(there).await?.ok_or_else(|| self.missing(there))?;
            seen.note(there, &slot);
            seen.end = End::at(there, &slot).map_err(|why| self.odd(&format!("slot {there} {why}")))?;
        }
        // It may have been written since.
        self.follow(seen).await?;
        match beyond.first().filter(|_| seen.end.slots == there) {
            Some(_) => Err(self.missing(there + 1)),
            None => Ok(()),
        }
    }

    /// Reads what came since.
    async fn follow(&self, seen: &mut Seen) -> Result<(), JournalFault> {
        while let Some(slot) = self.slot(seen.end.slots + 1).await? {
            let number = seen.end.slots + 1;
            seen.end = seen.end.follow(&slot).map_err(|why| self.odd(&format!("slot {number} {why}")))?;
            seen.note(number, &slot);
        }
        Ok(())
    }

    /// The slot that holds a record, which is there.
    async fn holding(&self, seen: &mut Seen, seq: u64) -> Result<u64, JournalFault> {
        let before = seen.slots.range(..seq).next_back().map_or(0, |(_, slot)| *slot);
        let at = seen.slots.range(seq..).next().map_or(seen.end.slots, |(_, slot)| *slot);
        // All up to `low` end before the record, and `high` does not.
        let (mut low, mut high) = (before, at);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let slot = self.slot(middle).await?.ok_or_else(|| self.missing(middle))?;
            seen.note(middle, &slot);
            if slot.last() < seq { low = middle } else { high = middle }
        }
        Ok(high)
    }

    /// Bids for the next slot until it has one, or somebody else leads.
    async fn mark(&self, seen: &mut Seen, term: Term, mark: Mark) -> Result<bool, JournalFault> {
        let by = random().map_err(|error| self.odd(&format!("there are no random bytes: {error}")))?;
        for _ in 0..BIDS {
            self.follow(seen).await?;
            let may = match mark {
                Mark::Taken => seen.end.term < term.0,
                Mark::GivenUp => seen.end.term == term.0 && seen.end.is_led,
            };
            if !may {
                return Ok(false);
            }
            let slot = Slot::of_mark(term, by.clone(), &seen.end, Some(mark));
            let body = self.text(&slot)?;
            if self.swap(&End::key(seen.end.slots + 1), &body, When::Absent).await?.is_some() {
                self.follow(seen).await?;
                return Ok(true);
            }
        }
        Err(self.odd("others write there all the time, and none of them should"))
    }

    fn text<T: Serialize>(&self, it: &T) -> Result<String, JournalFault> {
        serde_json::to_string(it).map_err(|error| self.odd(&format!("what is to be kept has no text: {error}")))
    }
}

/// Rows that were not taken: because somebody else leads, or because somebody has written.
fn refused(end: &End, term: Term) -> Put {
    if end.term != term.0 || !end.is_led { Put::Outdated } else { Put::Moved(end.seq) }
}

#[async_trait]
impl Pages for BucketStore {
    async fn page(&self, after: u64) -> Result<Option<Page>, JournalFault> {
        Ok(Page::of(&self.rows(after, PAGE).await?))
    }

    async fn rows(&self, after: u64, limit: usize) -> Result<Vec<Row>, JournalFault> {
        let mut seen = self.seen.lock().await;
        if seen.end.seq <= after {
            self.follow(&mut seen).await?;
        }
        let (mut rows, last) = (Vec::new(), seen.end.slots);
        if seen.end.seq <= after || limit == 0 {
            return Ok(rows);
        }
        let mut next = self.holding(&mut seen, after + 1).await?;
        while next <= last && rows.len() < limit {
            let few = next..(next + SIDE_BY_SIDE).min(last + 1);
            let slots = try_join_all(few.clone().map(|number| self.slot(number))).await?;
            for (number, slot) in few.clone().zip(slots) {
                let slot = slot.ok_or_else(|| self.missing(number))?;
                seen.note(number, &slot);
                rows.extend(slot.rows().filter(|row| row.seq > after));
            }
            next = few.end;
        }
        rows.truncate(limit);
        Ok(rows)
    }

    async fn stored(&self, seq: u64) -> Result<Option<String>, JournalFault> {
        let mut seen = self.seen.lock().await;
        if seen.end.seq < seq {
            self.follow(&mut seen).await?;
        }
        if seq == 0 || seen.end.seq < seq {
            return Ok(None);
        }
        let number = self.holding(&mut seen, seq).await?;
        // Asked for each time: a bucket may have been emptied, or put back.
        Ok(self.slot(number).await?.and_then(|slot| slot.hash_of(seq).map(str::to_owned)))
    }

    async fn identity(&self) -> Result<Option<String>, JournalFault> {
        Ok(self.get(IDENTITY).await?.map(|object| object.body))
    }
}

#[async_trait]
impl Store for BucketStore {
    fn name(&self) -> String {
        self.objects.name()
    }

    async fn tail(&self) -> Result<(u64, Hash), JournalFault> {
        let mut seen = self.seen.lock().await;
        let last = seen.end.slots;
        let still = match last {
            0 => true,
            last => self.slot(last).await?.is_some_and(|slot| End::at(last, &slot).as_ref() == Ok(&seen.end)),
        };
        if still {
            self.follow(&mut seen).await?
        } else {
            self.found(&mut seen).await?
        }
        Ok((seen.end.seq, seen.end.hash))
    }

    async fn find(&self, beginning: &str) -> Result<Option<u64>, JournalFault> {
        let mut number = {
            let mut seen = self.seen.lock().await;
            self.follow(&mut seen).await?;
            seen.end.slots
        };
        // The newest first: heads that people noted are seldom old.
        while number > 0 {
            let few = number.saturating_sub(SIDE_BY_SIDE) + 1..=number;
            let slots = try_join_all(few.clone().map(|number| self.slot(number))).await?;
            if let Some(found) = slots.iter().rev().flatten().find_map(|slot| slot.find(beginning)) {
                return Ok(Some(found));
            }
            number = few.start() - 1;
        }
        Ok(None)
    }

    async fn leader(&self) -> Result<Option<Lead>, JournalFault> {
        let mut led = self.led.lock().await;
        self.look_at_lead(&mut led).await?;
        Ok(led.as_ref().map(|(lead, _)| lead.told()))
    }

    async fn lead(&self, who: &Who, over: Option<&Lead>) -> Result<Option<Term>, JournalFault> {
        let mut seen = self.seen.lock().await;
        self.follow(&mut seen).await?;
        let mut led = self.led.lock().await;
        self.look_at_lead(&mut led).await?;
        let as_seen = |(lead, _): &(Led, String)| over.is_some_and(|it| (it.term.0, it.beat) == (lead.term, lead.beat));
        if led.as_ref().map_or(over.is_some(), |it| !as_seen(it)) {
            return Ok(None);
        }
        // An object that was taken away does not make old terms new.
        let term = Term(over.map_or(0, |it| it.term.0).max(seen.end.term) + 1);
        let same = over.filter(|it| it.who.engine == who.engine && !it.resigned);
        let since = same.map_or_else(At::now, |it| it.since);
        let new = Led { term: term.0, beat: 0, who: who.clone(), since, resigned: false };
        let when = led.as_ref().map_or(When::Absent, |(_, tag)| When::Unchanged(tag));
        let Some(tag) = self.swap(LEAD, &self.text(&new)?, when).await? else { return Ok(None) };
        *led = Some((new, tag));
        drop(led);
        Ok(self.mark(&mut seen, term, Mark::Taken).await?.then_some(term))
    }

    async fn renew(&self, term: Term) -> Result<bool, JournalFault> {
        let next = |lead: &Led| Led { beat: lead.beat + 1, ..lead.clone() };
        self.led(|lead| (lead.term == term.0 && !lead.resigned).then(|| next(lead))).await
    }

    async fn resign(&self, term: Term) -> Result<(), JournalFault> {
        let mut seen = self.seen.lock().await;
        self.mark(&mut seen, term, Mark::GivenUp).await?;
        let last = |lead: &Led| Led { beat: lead.beat + 1, resigned: true, ..lead.clone() };
        self.led(|lead| (lead.term == term.0).then(|| last(lead))).await.map(drop)
    }

    async fn put(&self, term: Term, expected: &Chain, rows: &[Row]) -> Put {
        let mut seen = self.seen.lock().await;
        let fits = |seen: &MutexGuard<'_, Seen>| {
            seen.end.chain() == *expected && (seen.end.term, seen.end.is_led) == (term.0, true)
        };
        if !fits(&seen) {
            if let Err(fault) = self.follow(&mut seen).await {
                return Put::NotWritten(fault);
            }
            if !fits(&seen) {
                return refused(&seen.end, term);
            }
        }
        let by = random().unwrap_or_else(|_| hex(&seen.end.hash));
        let number = seen.end.slots + 1;
        let Some(slot) = Slot::of_rows(term, by, &seen.end, rows) else {
            return Put::NotWritten(self.odd("a record is no text"));
        };
        let body = match self.text(&slot) {
            Ok(body) => body,
            Err(fault) => return Put::NotWritten(fault),
        };
        match self.swapped(&End::key(number), &body, When::Absent).await {
            Ok(Ok(_)) => match seen.end.follow(&slot) {
                Ok(end) => {
                    seen.end = end;
                    seen.note(number, &slot);
                    Put::Durable
                }
                Err(why) => Put::Unknown(self.odd(&why)),
            },
            // Somebody was first: that is all that is needed to know that nothing of this is there.
            Ok(Err(_)) => match self.follow(&mut seen).await {
                Ok(()) => refused(&seen.end, term),
                Err(_) => Put::Moved(seen.end.seq),
            },
            Err(fault) if fault.class == FaultClass::Ambiguous => Put::Unknown(self.fault(&fault)),
            Err(fault) => Put::NotWritten(self.fault(&fault)),
        }
    }

    async fn watch(&self, seq: u64) {
        for _ in 0..LOOKS {
            sleep(LOOK).await;
            let mut seen = self.seen.lock().await;
            // Whoever watches reads next, and hears of a fault there.
            if self.follow(&mut seen).await.is_err() || seen.end.seq > seq {
                return;
            }
        }
    }

    async fn meet(&self, who: &Who, seq: u64) -> Result<Vec<Presence>, JournalFault> {
        let own = format!("{ENGINES}{}", who.engine);
        self.swap(&own, &self.text(&Here { who: who.clone(), seq })?, When::Always).await?;
        let listed = self.listed(ENGINES, None, None).await?;
        // Its own was written just now, by the same clock as those of the others.
        let now = listed.iter().map(|it| it.written).max().unwrap_or_else(At::now);
        let silent = |at: At| seconds_between(at, now).max(0.0);
        let lately = listed.iter().filter(|it| silent(it.written) < FORGOTTEN);
        let read = lately.map(async |it| {
            let here = self.get(&it.key).await?.and_then(|object| serde_json::from_str::<Here>(&object.body).ok());
            Ok::<_, JournalFault>(here.map(|here| Presence {
                who: here.who,
                seq: here.seq,
                silent: silent(it.written),
            }))
        });
        let mut met: Vec<Presence> = try_join_all(read).await?.into_iter().flatten().collect();
        met.sort_by(|a, b| (&a.who.name, &a.who.engine).cmp(&(&b.who.name, &b.who.engine)));
        Ok(met)
    }

    async fn close(&self) {}
}

#[cfg(test)]
mod tests;
