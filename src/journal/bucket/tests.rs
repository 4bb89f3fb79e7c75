//! The store against objects in memory, which fail as it is told: answers get lost, writers meet, objects go.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex as Plain;

use super::super::chain::draft;
use super::*;
use crate::domain::actor::Actor;
use crate::domain::event::Event;
use crate::domain::journal::Post;

/// What happens to the next write.
#[derive(Clone, Copy, Debug)]
enum Mishap {
    /// It is written, and nobody is told.
    AnswerLost,
    /// It never arrives, and nobody can know.
    Lost,
    /// Another writer is there at this moment.
    Busy,
    Refused,
}

#[derive(Default)]
struct Memory {
    objects: Plain<BTreeMap<String, (String, u64)>>,
    mishaps: Plain<VecDeque<Mishap>>,
    /// What cannot be taken away.
    stuck: Plain<Vec<String>>,
    puts: Plain<u64>,
}

impl Memory {
    fn mishap(&self, mishaps: &[Mishap]) {
        self.mishaps.lock().unwrap().extend(mishaps);
    }

    fn keep(&self, key: &str, body: &str, when: When<'_>) -> Stored {
        let mut objects = self.objects.lock().unwrap();
        let held = objects.get(key);
        let holds = match when {
            When::Absent => held.is_none(),
            When::Unchanged(tag) => held.is_some_and(|(_, now)| now.to_string() == tag),
            When::Always => true,
        };
        if !holds {
            return Stored::Met;
        }
        let mut puts = self.puts.lock().unwrap();
        *puts += 1;
        objects.insert(key.into(), (body.into(), *puts));
        Stored::Kept(puts.to_string())
    }
}

#[async_trait]
impl Objects for Memory {
    fn name(&self) -> String {
        "memory".into()
    }

    async fn get(&self, key: &str) -> Result<Option<Object>, Fault> {
        let objects = self.objects.lock().unwrap();
        Ok(objects.get(key).map(|(body, tag)| Object { body: body.clone(), tag: tag.to_string() }))
    }

    async fn put(&self, key: &str, body: &str, when: When<'_>) -> Result<Stored, Fault> {
        let mishap = self.mishaps.lock().unwrap().pop_front();
        match mishap {
            None => Ok(self.keep(key, body, when)),
            Some(Mishap::AnswerLost) => {
                self.keep(key, body, when);
                Err(Fault::ambiguous("memory", "the answer was lost"))
            }
            Some(Mishap::Lost) => Err(Fault::ambiguous("memory", "no answer")),
            Some(Mishap::Busy) => Err(Fault::transient("memory", "somebody else writes it")),
            Some(Mishap::Refused) => Err(Fault::permanent("memory", "not you")),
        }
    }

    async fn list(&self, prefix: &str, after: Option<&str>, most: Option<usize>) -> Result<Vec<Listed>, Fault> {
        let objects = self.objects.lock().unwrap();
        let named =
            objects.keys().filter(|key| key.starts_with(prefix) && after.is_none_or(|after| key.as_str() > after));
        // One name tells how old it is.
        let hours = |key: &str| if key.contains("old") { 0 } else { 2 };
        let told = |key: &String| Listed { key: key.clone(), written: At::from_second(3600 * hours(key)).unwrap() };
        Ok(named.map(told).take(most.unwrap_or(usize::MAX)).collect())
    }

    async fn remove(&self, key: &str) -> Result<(), Fault> {
        if self.stuck.lock().unwrap().iter().any(|it| it == key) {
            return Err(Fault::transient("memory", "slow down"));
        }
        self.objects.lock().unwrap().remove(key);
        Ok(())
    }
}

fn who(name: &str) -> Who {
    Who { engine: name.into(), name: name.into(), version: "1".into() }
}

/// Appends a note after `tail`.
async fn append(store: &BucketStore, term: Term, tail: &Chain, text: &str) -> (Put, Chain) {
    let note = (Actor::engine(), Event::NoteAdded { text: text.into() });
    let (written, rows) = draft(tail, At::now(), vec![note]).unwrap();
    (store.put(term, tail, &rows).await, written.chain)
}

async fn led(memory: &Arc<Memory>, name: &str) -> (BucketStore, Term) {
    let store = BucketStore::open(memory.clone()).await.unwrap();
    let over = store.leader().await.unwrap();
    let term = store.lead(&who(name), over.as_ref()).await.unwrap().unwrap();
    (store, term)
}

#[tokio::test]
async fn what_was_written_before_an_answer_was_lost_is_durable_and_written_once() {
    let memory = Arc::new(Memory::default());
    let (store, term) = led(&memory, "one").await;
    let mut tail = Chain::default();
    for mishaps in
        [&[Mishap::AnswerLost][..], &[Mishap::Lost], &[Mishap::Busy, Mishap::Lost, Mishap::AnswerLost, Mishap::Lost]]
    {
        memory.mishap(mishaps);
        let (put, chain) = append(&store, term, &tail, "a").await;
        assert!(matches!(put, Put::Durable), "{mishaps:?}");
        tail = chain;
    }
    assert_eq!(store.tail().await.unwrap().0, 3);
    let fresh = BucketStore::open(memory.clone()).await.unwrap();
    assert_eq!(super::super::chain::whole(&fresh).await.unwrap(), tail);
}

#[tokio::test]
async fn what_nobody_could_tell_is_unknown_and_what_was_refused_is_not_written() {
    let memory = Arc::new(Memory::default());
    let (mut store, term) = led(&memory, "one").await;
    store.trying = AGAIN * 3;
    let tail = Chain::default();
    memory.mishap(&[Mishap::Refused]);
    assert!(matches!(append(&store, term, &tail, "a").await.0, Put::NotWritten(_)));
    memory.mishap(&[Mishap::Busy; 200]);
    assert!(matches!(append(&store, term, &tail, "a").await.0, Put::NotWritten(_)), "it was never taken");
    memory.mishaps.lock().unwrap().clear();
    memory.mishap(&[Mishap::Lost, Mishap::Refused]);
    assert!(matches!(append(&store, term, &tail, "a").await.0, Put::Unknown(_)), "the first may be on its way");
    assert_eq!(store.tail().await.unwrap().0, 0);
    assert!(matches!(append(&store, term, &tail, "b").await.0, Put::Durable));
}

#[tokio::test]
async fn a_lead_whose_answers_get_lost_is_one_lead_and_an_older_one_writes_nothing() {
    let memory = Arc::new(Memory::default());
    let (one, first) = led(&memory, "one").await;
    memory.mishap(&[Mishap::AnswerLost, Mishap::AnswerLost]);
    assert!(one.renew(first).await.unwrap());
    memory.mishap(&[Mishap::AnswerLost, Mishap::Lost, Mishap::AnswerLost]);
    let (two, second) = led(&memory, "two").await;
    assert_eq!((first, second), (Term(1), Term(2)));
    assert!(!one.renew(first).await.unwrap());
    let (put, _) = append(&one, first, &Chain::default(), "late").await;
    assert!(matches!(put, Put::Outdated), "its slot was taken by the mark of the new lead");
    assert!(matches!(append(&two, second, &Chain::default(), "a").await.0, Put::Durable));
    // The object alone is no lead: where it was taken away, old terms do not come again.
    memory.remove(LEAD).await.unwrap();
    let third = two.lead(&who("three"), None).await.unwrap();
    assert_eq!(third, Some(Term(3)));
}

#[tokio::test]
async fn records_that_somebody_took_away_are_missed_and_never_passed_over() {
    let memory = Arc::new(Memory::default());
    let (store, term) = led(&memory, "one").await;
    let mut tail = Chain::default();
    for _ in 0..40 {
        tail = append(&store, term, &tail, "a").await.1;
    }
    for gone in [7, 20, 40] {
        let key = End::key(gone);
        let kept = memory.objects.lock().unwrap().remove(&key).unwrap();
        let said = match BucketStore::open(memory.clone()).await {
            Err(fault) => fault.what,
            Ok(fresh) => super::super::chain::whole(&fresh).await.unwrap_err().what,
        };
        assert!(said.contains(&format!("slot {gone} is missing")), "{said}");
        memory.objects.lock().unwrap().insert(key, kept);
    }
    // Emptied, it ends where it ends: whoever has seen more of it knows.
    let all: Vec<String> =
        memory.objects.lock().unwrap().keys().filter(|it| it.starts_with("slots/")).cloned().collect();
    for key in all {
        memory.remove(&key).await.unwrap();
    }
    assert_eq!(store.tail().await.unwrap().0, 0);
}

#[tokio::test]
async fn an_ask_that_was_done_does_not_come_back_when_what_is_old_is_swept() {
    let memory = Arc::new(Memory::default());
    let store = BucketStore::open(memory.clone()).await.unwrap();
    for id in ["old-1", "old-2"] {
        store.leave(id, "do it").await.unwrap();
        assert!(store.take(id).await.unwrap());
        store.answer(id, "done").await.unwrap();
    }
    memory.stuck.lock().unwrap().push("asks/old-1.ask".into());
    store.leave("new", "do that").await.unwrap();
    let left = store.left().await.unwrap();
    assert_eq!(
        left,
        [("new".into(), "do that".into())],
        "the one that could not be taken away is still known as taken"
    );
    let kept = memory.objects.lock().unwrap().keys().filter(|key| key.contains("old-2")).count();
    assert_eq!(kept, 0, "nothing is left of the other");
}
