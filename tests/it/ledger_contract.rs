//! What every store of a journal has to keep, however it does it. One of several engines is `one`, another is `two`; where a store serves
//! one engine only, they are the same.

use std::sync::Arc;

use mayday::domain::actor::Actor;
use mayday::domain::event::{Event, Record};
use mayday::domain::journal::{Appended, Chain, Journal, Term, Who};
use mayday::domain::time::At;

pub fn note(text: &str) -> (Actor, Event) {
    (Actor::engine(), Event::NoteAdded { text: text.into() })
}

pub fn who(name: &str) -> Who {
    Who { engine: format!("engine of {name}"), name: name.into(), version: "1".into() }
}

/// Takes the lead over whoever has it.
pub async fn lead(journal: &dyn Journal, name: &str) -> Term {
    let led = journal.leader().await.unwrap();
    journal.lead(&who(name), led.as_ref()).await.unwrap().expect("it is as it was seen")
}

#[track_caller]
fn durable(appended: Appended) -> (Vec<Record>, Chain) {
    match appended {
        Appended::Durable(written) => (written.records, written.chain),
        other => panic!("not durable: {other:?}"),
    }
}

#[track_caller]
fn fenced(appended: Appended) -> String {
    match appended {
        Appended::Fenced(fault) => fault.to_string(),
        other => panic!("not fenced: {other:?}"),
    }
}

/// Records follow one another, all of a batch or none, for the term and the tail that are the store's.
pub async fn appends_for_its_term_and_tail_alone(one: Arc<dyn Journal>, two: Arc<dyn Journal>) {
    let begun = one.tail().await.unwrap();
    let first = lead(&*one, "one").await;
    let (records, chain) = durable(one.append(first, &begun, At::now(), vec![note("a"), note("b")]).await);
    assert_eq!(records.iter().map(|it| it.seq).collect::<Vec<_>>(), [begun.records + 1, begun.records + 2]);
    assert_eq!((one.tail().await.unwrap(), two.tail().await.unwrap()), (chain.clone(), chain.clone()));
    assert_eq!(two.pages(&begun, 10).await.unwrap(), (records.clone(), chain.clone()));
    assert_eq!(two.read(begun.records, 10).await.unwrap(), records);
    assert_eq!(two.pages(&chain, 10).await.unwrap(), (vec![], chain.clone()));

    // At a tail that moved, and at one that never was.
    fenced(one.append(first, &begun, At::now(), vec![note("late")]).await);
    let never = Chain { head: "ab".repeat(32), ..chain.clone() };
    fenced(one.append(first, &never, At::now(), vec![note("elsewhere")]).await);
    let beyond = Chain { records: chain.records + 5, ..never.clone() };
    fenced(one.append(first, &beyond, At::now(), vec![note("beyond")]).await);
    assert!(two.pages(&never, 10).await.is_err(), "it follows nothing that was never there");

    // With an old term.
    let second = lead(&*two, "two").await;
    assert!(second > first);
    let words = fenced(one.append(first, &chain, At::now(), vec![note("old")]).await);
    assert!(words.contains("another engine has taken the lead"), "{words}");
    assert_eq!(one.tail().await.unwrap(), chain, "nothing of it is there");
    let (more, after) = durable(two.append(second, &chain, At::now(), vec![note("c")]).await);
    assert_eq!(more[0].seq, chain.records + 1);
    assert_eq!(one.verify().await.unwrap(), after);
    assert_eq!(one.hash(after.records).await.unwrap(), Some(after.head.clone()));
    assert_eq!(one.hash(after.records + 1).await.unwrap(), None);
    assert_eq!(one.find(&after.head[..12]).await.unwrap(), Some(after.records));
    assert_eq!(one.find("no hash").await.unwrap(), None);
}

/// A lead is taken as it was seen, or not at all; it is renewed and given up by whoever has it.
pub async fn leads_one_after_the_other(one: Arc<dyn Journal>, two: Arc<dyn Journal>) {
    let first = lead(&*one, "one").await;
    let seen = two.leader().await.unwrap().unwrap();
    assert_eq!((seen.term, &seen.who, seen.resigned), (first, &who("one"), false));
    assert!(one.renew(first).await.unwrap());
    assert_eq!(two.lead(&who("two"), Some(&seen)).await.unwrap(), None, "it was renewed in between");
    assert_eq!(two.lead(&who("two"), None).await.unwrap(), None, "somebody has led");
    let second = lead(&*two, "two").await;
    assert!(!one.renew(first).await.unwrap(), "it leads no longer");
    one.resign(first).await.unwrap();
    assert!(two.renew(second).await.unwrap(), "an old term gives nothing up");
    two.resign(second).await.unwrap();
    assert!(!two.renew(second).await.unwrap());
    let tail = two.tail().await.unwrap();
    fenced(two.append(second, &tail, At::now(), vec![note("after the end")]).await);
    assert!(one.leader().await.unwrap().unwrap().resigned);
    let third = lead(&*one, "one").await;
    durable(one.append(third, &tail, At::now(), vec![note("before")]).await);
}

/// However many want the same at once, one gets it.
pub async fn one_of_many_wins(journals: &[Arc<dyn Journal>]) {
    let led = journals[0].leader().await.unwrap();
    let names: Vec<String> = (0..journals.len()).map(|number| format!("engine {number}")).collect();
    let bids = journals.iter().zip(&names).map(|(it, name)| {
        let (led, who) = (led.clone(), who(name));
        async move { it.lead(&who, led.as_ref()).await.unwrap() }
    });
    let terms: Vec<Term> = futures::future::join_all(bids).await.into_iter().flatten().collect();
    assert_eq!(terms.len(), 1, "one lead, however many bid for it");
    for round in 0..20 {
        let tail = journals[0].tail().await.unwrap();
        let appends = journals.iter().map(|it| it.append(terms[0], &tail, At::now(), vec![note("a"), note("b")]));
        let outcomes = futures::future::join_all(appends).await;
        let written = outcomes.iter().filter(|it| matches!(it, Appended::Durable(_))).count();
        assert_eq!(written, 1, "round {round}: {outcomes:?}");
        assert_eq!(journals[0].tail().await.unwrap().records, tail.records + 2);
    }
    journals[0].verify().await.unwrap();
}

/// What followers leave is taken once, and answered.
pub async fn hands_over_once(one: Arc<dyn Journal>, two: Arc<dyn Journal>) {
    let (here, there) = (one.post().unwrap(), two.post().unwrap());
    here.leave("a", "first").await.unwrap();
    here.leave("b", "it's “second”").await.unwrap();
    let left = there.left().await.unwrap();
    assert_eq!(left, [("a".into(), "first".into()), ("b".into(), "it's “second”".into())]);
    assert_eq!(here.answered("a").await.unwrap(), None);
    assert!(there.take("a").await.unwrap());
    assert!(!here.take("a").await.unwrap(), "it cannot be taken back any more");
    there.answer("a", "done").await.unwrap();
    assert_eq!(here.answered("a").await.unwrap().as_deref(), Some("done"));
    assert!(here.take("b").await.unwrap(), "taken back");
    assert!(there.left().await.unwrap().is_empty());
}

/// Engines hear of one another.
pub async fn meets(one: Arc<dyn Journal>, two: Arc<dyn Journal>) {
    one.meet(&who("one"), 3).await.unwrap();
    let met = two.meet(&who("two"), 5).await.unwrap();
    let told: Vec<(&str, u64)> = met.iter().map(|it| (it.who.name.as_str(), it.seq)).collect();
    assert_eq!(told, [("one", 3), ("two", 5)]);
    assert!(met.iter().all(|it| (0.0..60.0).contains(&it.silent)), "{met:?}");
}

/// Whoever watches is woken by what another one writes.
pub async fn wakes(one: Arc<dyn Journal>, two: Arc<dyn Journal>) {
    let term = lead(&*one, "one").await;
    let tail = one.tail().await.unwrap();
    let watching = tokio::spawn(async move {
        loop {
            two.watch(tail.records).await;
            if two.tail().await.unwrap().records > tail.records {
                return std::time::Instant::now();
            }
        }
    });
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let tail = one.tail().await.unwrap();
    durable(one.append(term, &tail, At::now(), vec![note("awake")]).await);
    let (written, woken) = (std::time::Instant::now(), watching.await.unwrap());
    let late = woken.saturating_duration_since(written);
    assert!(late < std::time::Duration::from_secs(1), "{late:?}");
}
