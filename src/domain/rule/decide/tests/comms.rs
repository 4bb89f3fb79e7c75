//! The rules of communications, each by itself, and what holds of every history of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;

use super::bench::{Bench, operator};
use crate::domain::actor::Origin;
use crate::domain::fact::command::{Ask, Effect, Errand, Refusal, RefusalReason as Why, Report};
use crate::domain::fact::comms::{Duty, Found, HandOver, Handed, PartPhase};
use crate::domain::fact::event::Event;
use crate::domain::fact::system::Receipt;
use crate::domain::fault::Fault;
use crate::domain::ids::MessageId;
use crate::domain::rule::comms::due;
use crate::domain::rule::state::State;
use crate::domain::spec::comms::{Audience, ChannelSpec, Doubles, Purpose, Text};
use crate::domain::spec::estate::Environment;
use crate::domain::spec::params::Params;
use crate::domain::spec::severity::Severity;
use crate::domain::spec::severity::{Affected, Answers, Broken, Data};

const ALL: &[Purpose] = Purpose::ALL;

fn channel(id: &str, audience: Audience, carries: &[Purpose]) -> ChannelSpec {
    ChannelSpec {
        id: id.into(),
        kind: "test".into(),
        title: id.into(),
        audience,
        drills: id == "chat",
        escalation: id == "boss",
        carries: carries.to_vec(),
        doubles: Doubles::Undetectable,
        components: Vec::new(),
        params: Params::default(),
    }
}

/// A bench with every audience, an open incident and nobody paged yet that was not paged by it.
pub(super) fn bench(drill: bool) -> Bench {
    let mut bench = Bench::new();
    bench.estate.environment = Environment::Test;
    bench.estate.channels = vec![
        channel("chat", Audience::Internal, &ALL[2..]),
        channel("pager", Audience::Internal, &ALL[..2]),
        channel("boss", Audience::Internal, &ALL[..2]),
        channel("page", Audience::Public, ALL),
        channel("mail", Audience::Customers, ALL),
    ];
    bench.ask(Ask::Declare { title: "east is dark".into(), severity: Severity::Sev1, drill }).unwrap();
    bench
}

pub(super) fn tell(purpose: Purpose) -> Ask {
    Ask::Tell {
        purpose,
        texts: BTreeMap::new(),
        audiences: Vec::new(),
        note: String::new(),
        incident: None,
        despite: String::new(),
    }
}

fn errands(bench: &Bench) -> Vec<Errand> {
    let of = |effect: &Effect| match effect {
        Effect::Deliver(errand) => Some(errand.clone()),
        _ => None,
    };
    bench.effects.iter().filter_map(of).collect()
}

pub(super) fn delivered(bench: &mut Bench, errand: &Errand, outcome: Result<Receipt, Fault>) {
    handed(bench, errand, outcome.map(Handed::whole));
}

pub(super) fn handed(bench: &mut Bench, errand: &Errand, outcome: Result<Handed, Fault>) {
    let (message, channel, part) = (errand.parcel.message.clone(), errand.channel.clone(), errand.parcel.part);
    bench.report(Report::Delivered { message, channel, part, attempt: errand.attempt, outcome });
}

pub(super) fn looked(bench: &mut Bench, errand: &Errand, outcome: Result<Found, Fault>) {
    let (message, channel, part) = (errand.parcel.message.clone(), errand.channel.clone(), errand.parcel.part);
    bench.report(Report::Looked { message, channel, part, outcome });
}

fn phase(bench: &Bench, errand: &Errand) -> PartPhase {
    bench.state.outbox.part(&errand.parcel.message, &errand.channel, errand.parcel.part).unwrap().phase
}

/// Past the moment until which what was just sent can be taken back.
pub(super) fn out(bench: &mut Bench) {
    bench.pass(6);
    bench.report(Report::CommsDue {});
}

/// The errand of the latest message on a channel.
pub(super) fn on(bench: &Bench, channel: &str) -> Errand {
    errands(bench).into_iter().rev().find(|it| it.channel.as_str() == channel).unwrap()
}

fn latest(bench: &Bench) -> MessageId {
    bench.state.outbox.messages.last().unwrap().message.id.clone()
}

#[test]
fn a_declared_incident_wakes_whoever_is_on_call_and_tells_nobody_else() {
    let bench = bench(false);
    let [page] = &errands(&bench)[..] else { panic!("{:?}", errands(&bench)) };
    assert_eq!((page.channel.as_str(), page.parcel.purpose), ("pager", Purpose::Page));
    let mut quiet = Bench::new();
    quiet.estate.channels = bench.estate.channels.clone();
    quiet.estate.comms.page = false;
    quiet.ask(Ask::Declare { title: "x".into(), severity: Severity::Sev1, drill: false }).unwrap();
    assert!(errands(&quiet).is_empty());
}

#[test]
fn nothing_goes_out_before_it_can_no_longer_be_taken_back() {
    let mut bench = bench(false);
    let before = errands(&bench).len();
    bench.ask(tell(Purpose::Investigating)).unwrap();
    bench.pass(4);
    bench.report(Report::CommsDue {});
    assert_eq!(errands(&bench).len(), before, "it can still be taken back");
    let message = latest(&bench);
    bench.ask(Ask::Recall { message: message.clone() }).unwrap();
    out(&mut bench);
    assert_eq!(errands(&bench).len(), before, "it was taken back");
    assert_eq!(bench.ask(Ask::Recall { message }).unwrap_err().reason, Why::Conflict);
    bench.ask(tell(Purpose::Investigating)).unwrap();
    out(&mut bench);
    let channels: BTreeSet<_> = errands(&bench)[before..].iter().map(|it| it.channel.to_string()).collect();
    assert_eq!(channels, ["chat", "mail", "page"].map(str::to_owned).into());
    let message = latest(&bench);
    assert_eq!(bench.ask(Ask::Recall { message }).unwrap_err().reason, Why::Conflict, "it is on its way");
}

#[test]
fn telling_people_needs_an_armed_cockpit_and_taking_back_does_not() {
    let mut bench = bench(false);
    assert_eq!(bench.ask_in_cockpit("one", tell(Purpose::Investigating)).unwrap_err().reason, Why::NotArmed);
    bench.ask(tell(Purpose::Investigating)).unwrap();
    let message = latest(&bench);
    bench.ask_in_cockpit("one", Ask::Recall { message }).unwrap();
    let read_only = Origin::Cockpit { session: "one".into(), read_only: true };
    let refused = bench.ask_as(operator("ann", 1), read_only, Ask::Acknowledge {}).unwrap_err();
    assert_eq!(refused.reason, Why::ReadOnly);
    assert_eq!(bench.ask(tell(Purpose::Page)).unwrap_err().reason, Why::Conflict, "only updates are told by hand");
}

#[test]
fn one_dead_channel_delays_no_other_and_is_tried_again_as_its_vendor_asks() {
    let mut bench = bench(false);
    bench.ask(tell(Purpose::Investigating)).unwrap();
    out(&mut bench);
    let (chat, page) = (on(&bench, "chat"), on(&bench, "page"));
    let slow = Fault::transient("page", "429").retry_after(Duration::from_secs(90));
    delivered(&mut bench, &page, Err(slow));
    delivered(&mut bench, &chat, Ok(Receipt::new()));
    assert_eq!((phase(&bench, &chat), phase(&bench, &page)), (PartPhase::Sent, PartPhase::Retrying));
    bench.pass(60);
    bench.report(Report::CommsDue {});
    assert_eq!(on(&bench, "page").attempt, 1, "the vendor asked for 90 s");
    bench.pass(31);
    bench.report(Report::CommsDue {});
    let again = on(&bench, "page");
    assert_eq!(again.attempt, 2);
    delivered(&mut bench, &again, Err(Fault::permanent("page", "the token is refused")));
    assert_eq!(phase(&bench, &again), PartPhase::Failed);
    let (message, channel) = (again.parcel.message.clone(), again.channel.clone());
    bench.ask(Ask::RetryDelivery { message, channel, reason: String::new() }).unwrap();
    assert_eq!(on(&bench, "page").attempt, 3, "a human asked for another try");
}

#[test]
fn a_transient_failure_is_given_up_after_a_while() {
    let mut bench = bench(false);
    bench.ask(tell(Purpose::Investigating)).unwrap();
    out(&mut bench);
    for _ in 0..100 {
        let errand = on(&bench, "page");
        delivered(&mut bench, &errand, Err(Fault::transient("page", "503")));
        bench.pass(30);
        bench.report(Report::CommsDue {});
    }
    assert_eq!(phase(&bench, &on(&bench, "page")), PartPhase::Failed);
    let tries = on(&bench, "page").attempt;
    assert!((60..70).contains(&tries), "{tries} tries in half an hour, half a minute apart");
}

#[test]
fn what_may_have_arrived_is_looked_for_and_never_sent_blindly() {
    let mut bench = bench(false);
    bench.ask(tell(Purpose::Investigating)).unwrap();
    out(&mut bench);
    let (chat, mail, page) = (on(&bench, "chat"), on(&bench, "mail"), on(&bench, "page"));
    for errand in [&chat, &mail, &page] {
        delivered(&mut bench, errand, Err(Fault::ambiguous("x", "the answer never came")));
        assert!(matches!(bench.effects.last(), Some(Effect::Find(found)) if found.channel == errand.channel));
    }
    looked(&mut bench, &chat, Ok(Found::There(Receipt::from([("id".to_owned(), "7".to_owned())]))));
    looked(&mut bench, &mail, Ok(Found::Untold("nobody can look".into())));
    looked(&mut bench, &page, Ok(Found::NotThere));
    let phases = [&chat, &mail, &page].map(|it| phase(&bench, it));
    assert_eq!(phases, [PartPhase::Sent, PartPhase::Unknown, PartPhase::Retrying]);
    bench.pass(3600);
    bench.report(Report::CommsDue {});
    assert_eq!((on(&bench, "mail").attempt, on(&bench, "page").attempt), (1, 2), "customers are not mailed again");
    let retry = |reason: &str| Ask::RetryDelivery {
        message: mail.parcel.message.clone(),
        channel: mail.channel.clone(),
        reason: reason.into(),
    };
    assert_eq!(bench.ask(retry("")).unwrap_err().reason, Why::ReasonMissing);
    bench.ask(retry("the relay's log does not have it")).unwrap();
    assert_eq!(on(&bench, "mail").attempt, 2);
}

#[test]
fn after_a_crash_what_was_being_sent_is_looked_for() {
    let mut bench = bench(false);
    bench.ask(tell(Purpose::Investigating)).unwrap();
    out(&mut bench);
    let sends = errands(&bench).len();
    bench.effects.clear();
    bench.report(Report::Started { version: "x".into(), anchor: None, drift: Default::default() });
    assert!(errands(&bench).is_empty(), "nothing is sent blindly: {:?}", bench.effects);
    let looks = bench.effects.iter().filter(|effect| matches!(effect, Effect::Find(_))).count();
    assert_eq!(looks, sends);
}

#[test]
fn parts_go_one_after_the_other_and_a_thread_stays_in_order() {
    let mut bench = bench(false);
    bench.counts = Some([("mail".into(), Ok(3)), ("chat".into(), Ok(1)), ("page".into(), Ok(1))].into());
    bench.ask(tell(Purpose::Investigating)).unwrap();
    out(&mut bench);
    for part in 0..3 {
        let open = errands(&bench).into_iter().filter(|it| it.channel.as_str() == "mail");
        assert_eq!(open.map(|it| it.parcel.part).collect::<Vec<_>>(), (0..=part).collect::<Vec<_>>());
        let errand = on(&bench, "mail");
        assert_eq!(errand.parcel.parts, 3);
        delivered(&mut bench, &errand, Ok(Receipt::new()));
    }
    let chat = on(&bench, "chat");
    bench.ask(tell(Purpose::Identified)).unwrap();
    out(&mut bench);
    assert_eq!(on(&bench, "chat"), chat, "the first has not arrived yet");
    delivered(&mut bench, &chat, Ok(Receipt::from([("ts".to_owned(), "1.2".to_owned())])));
    let next = on(&bench, "chat");
    assert_eq!((next.parcel.purpose, next.parcel.thread["ts"].as_str()), (Purpose::Identified, "1.2"));
}

#[test]
fn what_is_newer_takes_the_place_of_what_could_not_be_sent() {
    let mut bench = bench(false);
    bench.ask(tell(Purpose::Investigating)).unwrap();
    out(&mut bench);
    let old = on(&bench, "page");
    delivered(&mut bench, &old, Err(Fault::transient("page", "503").retry_after(Duration::from_secs(600))));
    bench.ask(tell(Purpose::Monitoring)).unwrap();
    out(&mut bench);
    assert_eq!(phase(&bench, &old), PartPhase::Failed);
    assert_eq!(on(&bench, "page").parcel.purpose, Purpose::Monitoring);
}

#[test]
fn recipients_that_are_not_known_are_said_and_the_others_are_told() {
    let mut bench = bench(false);
    let fault = Fault::permanent("mail", "the list cannot be read");
    bench.counts = Some([("mail".into(), Err(fault.clone())), ("chat".into(), Ok(1))].into());
    bench.ask(tell(Purpose::Investigating)).unwrap();
    let delivery = bench.state.outbox.messages.last().unwrap().deliveries["mail"].clone();
    assert_eq!((delivery.phase(), delivery.trouble()), (PartPhase::Failed, Some(&fault)));
    out(&mut bench);
    assert_eq!(on(&bench, "chat").parcel.purpose, Purpose::Investigating);
    let retry = Ask::RetryDelivery { message: latest(&bench), channel: "mail".into(), reason: "x".into() };
    assert_eq!(bench.ask(retry).unwrap_err().reason, Why::Conflict);
}

#[test]
fn hold_keeps_back_what_was_composed_before_it_and_lets_people_speak() {
    let mut bench = bench(false);
    bench.ask(tell(Purpose::Investigating)).unwrap();
    bench.ask(Ask::Hold { reason: "wait".into() }).unwrap();
    let before = errands(&bench).len();
    out(&mut bench);
    assert_eq!(errands(&bench).len(), before);
    bench.pass(3600);
    bench.report(Report::CommsDue {});
    assert_eq!(errands(&bench).len(), before, "nobody is paged by itself under HOLD");
    bench.ask(tell(Purpose::Identified)).unwrap();
    out(&mut bench);
    let told: BTreeSet<_> = errands(&bench)[before..].iter().map(|it| it.parcel.purpose).collect();
    assert_eq!(told, [Purpose::Identified].into());
    bench.ask(Ask::Release { reason: String::new() }).unwrap();
    bench.report(Report::CommsDue {});
    assert!(errands(&bench).iter().any(|it| it.channel.as_str() == "boss"), "the escalation was only put off");
}

#[test]
fn a_page_that_nobody_answers_escalates_once() {
    let mut bench = bench(false);
    let page = on(&bench, "pager");
    delivered(&mut bench, &page, Ok(Receipt::new()));
    bench.pass(299);
    bench.report(Report::CommsDue {});
    assert!(errands(&bench).iter().all(|it| it.channel.as_str() != "boss"));
    bench.pass(1);
    bench.report(Report::CommsDue {});
    let boss = on(&bench, "boss");
    assert_eq!(boss.parcel.purpose, Purpose::Page);
    delivered(&mut bench, &boss, Ok(Receipt::new()));
    bench.pass(3600);
    bench.report(Report::CommsDue {});
    let pages = errands(&bench).into_iter().filter(|it| it.parcel.purpose == Purpose::Page).count();
    assert_eq!(pages, 2);
    bench.ask(Ask::Acknowledge {}).unwrap();
    let told: BTreeSet<_> = errands(&bench)
        .into_iter()
        .filter(|it| it.parcel.purpose == Purpose::Acknowledge)
        .map(|it| it.channel.to_string())
        .collect();
    assert_eq!(told, ["boss", "pager"].map(str::to_owned).into(), "whoever was paged hears that it is taken");
    assert_eq!(bench.ask(Ask::Acknowledge {}).unwrap_err().reason, Why::Conflict);
}

#[test]
fn an_acknowledged_page_does_not_escalate() {
    let mut bench = bench(false);
    bench.pass(10);
    bench.ask(Ask::Acknowledge {}).unwrap();
    assert_eq!(bench.state.outbox.acknowledged.as_ref().unwrap().by, "ann");
    bench.pass(7200);
    bench.report(Report::CommsDue {});
    assert!(errands(&bench).iter().all(|it| it.channel.as_str() != "boss"));
}

#[test]
fn updates_are_due_by_severity_and_the_end_ends_them() {
    let mut bench = bench(false);
    let first = due(&bench.estate, &bench.state).unwrap();
    assert_eq!((first.purpose, first.moved), (Purpose::Investigating, true));
    assert_eq!(first.at, crate::domain::time::after(bench.now, Duration::from_secs(300)));
    bench.ask(tell(Purpose::Investigating)).unwrap();
    let next = due(&bench.estate, &bench.state).unwrap();
    assert!(!next.moved, "that has been said");
    assert_eq!(next.at, crate::domain::time::after(bench.now, Duration::from_secs(15 * 60 + 5)));
    bench.ask(tell(Purpose::Resolved)).unwrap();
    assert_eq!(due(&bench.estate, &bench.state), None);
    let message = latest(&bench);
    bench.ask(Ask::Recall { message }).unwrap();
    assert!(due(&bench.estate, &bench.state).is_some(), "an end that was taken back was not told");
}

#[test]
fn the_run_says_which_update_is_next() {
    let mut bench = Bench::running();
    bench.estate.channels = vec![channel("chat", Audience::Internal, ALL)];
    let proposed = |bench: &Bench| due(&bench.estate, &bench.state).unwrap().purpose;
    assert_eq!(proposed(&bench), Purpose::Investigating, "that a plan was chosen is no news of what is wrong");
    for (step, phrase) in [("fence", ""), ("scale", ""), ("promote", "db"), ("measure", "")] {
        bench.finish(step, phrase);
        assert_eq!(proposed(&bench), Purpose::Identified, "after {step}");
    }
    bench.finish("dns", "");
    assert_eq!(proposed(&bench), Purpose::Monitoring);
    bench.finish("client", "");
    assert_eq!(proposed(&bench), Purpose::Monitoring, "monitoring is said before the end is");
    bench.ask(tell(Purpose::Monitoring)).unwrap();
    assert_eq!(proposed(&bench), Purpose::Resolved);
}

#[test]
fn texts_given_by_hand_are_kept_and_blank_ones_refused() {
    let mut bench = bench(false);
    let text = |subject: &str, body: &str| Text { subject: subject.into(), body: body.into() };
    let ask = |text: Text| Ask::Tell {
        purpose: Purpose::Investigating,
        texts: [(Audience::Public, text)].into(),
        audiences: vec![Audience::Public],
        note: String::new(),
        incident: None,
        despite: String::new(),
    };
    assert_eq!(bench.ask(ask(text("x", " "))).unwrap_err().reason, Why::ReasonMissing);
    bench.ask(ask(text("Ours", "Our\u{1b}[31m own\nwords"))).unwrap();
    let message = &bench.state.outbox.messages.last().unwrap().message;
    assert_eq!(message.texts[&Audience::Public], text("Ours", "Our[31m own\nwords"));
    assert_eq!(message.deliveries.keys().map(|it| it.as_str()).collect::<Vec<_>>(), ["page"]);
}

#[test]
fn people_take_and_hand_over() {
    let mut bench = bench(false);
    bench.ask_as(operator("ben", 2), Origin::CommandLine, Ask::TakeCommunications {}).unwrap();
    assert_eq!(bench.state.outbox.lead.as_ref().unwrap().name, "ben");
    let ask = |to: &str| Ask::HandOver {
        hand_over: HandOver { duty: Duty::Communications, to: to.into() },
        note: "the vendor is on the line".into(),
    };
    assert_eq!(bench.ask(ask(" ")).unwrap_err().reason, Why::ReasonMissing);
    bench.ask(ask("cleo")).unwrap();
    let brief = &bench.state.outbox.messages.last().unwrap().message;
    assert_eq!((brief.purpose, brief.texts.len()), (Purpose::Handoff, 1));
    assert!(brief.texts[&Audience::Internal].body.contains("the vendor is on the line"));
    assert_eq!(bench.state.outbox.lead.as_ref().unwrap().name, "ben", "it stays his until she takes it");
}

#[test]
fn an_assessed_severity_is_journalled_with_its_answers() {
    let mut bench = bench(false);
    let answers = Answers { affected: Affected::Some, broken: Broken::CriticalDown, data: Data::Safe };
    bench.ask(Ask::AssessSeverity { answers }).unwrap();
    assert_eq!(bench.state.incident.as_ref().unwrap().severity, Severity::Sev2);
    let said = |event: &Event| matches!(event, Event::SeverityChanged { reason, .. } if reason.contains("data: safe"));
    assert_eq!(bench.events(said), 1);
}

#[test]
fn a_drill_says_so_in_every_text_and_reaches_only_what_is_for_drills() {
    let mut bench = bench(true);
    bench.ask(tell(Purpose::Investigating)).unwrap();
    let message = &bench.state.outbox.messages.last().unwrap().message;
    assert!(message.drill);
    assert_eq!(message.deliveries.keys().map(|it| it.as_str()).collect::<Vec<_>>(), ["chat"]);
    let Text { subject, body } = &message.texts[&Audience::Internal];
    assert!(subject.starts_with("DRILL: ") && body.starts_with("DRILL."), "{subject}: {body}");
    let mut silent = bench;
    silent.estate.channels.retain(|it| it.id.as_str() != "chat");
    assert_eq!(silent.ask(tell(Purpose::Identified)).unwrap_err().reason, Why::Conflict);
}

/// One thing that happens: what, and how it turns out.
type Move = (u8, u8);

fn play(bench: &mut Bench, (what, how): Move) -> Option<Refusal> {
    bench.pass(u64::from(how % 7) * 3);
    let purpose = ALL[usize::from(how) % ALL.len()];
    let audience = Audience::ALL[usize::from(how) % 3];
    let message = bench.state.outbox.messages.get(usize::from(how) % 5).map(|it| it.message.id.clone());
    let message = message.unwrap_or_else(|| "none".into());
    // What was said of an earlier incident is no longer in the outbox.
    let is_open = |it: &Errand| {
        let part = bench.state.outbox.part(&it.parcel.message, &it.channel, it.parcel.part);
        part.is_some_and(|part| part.phase == PartPhase::Trying)
    };
    let open: Vec<Errand> = errands(bench).into_iter().filter(is_open).collect();
    let errand = open.get(usize::from(how) % open.len().max(1)).cloned();
    let text = Text { subject: "s".into(), body: "b".into() };
    let ask = match what {
        0 | 1 => tell(purpose),
        2 => Ask::Tell {
            purpose,
            texts: [(audience, text)].into(),
            audiences: vec![audience],
            note: "n".into(),
            incident: None,
            despite: String::new(),
        },
        3 => Ask::Recall { message },
        4 => {
            let channel = bench.estate.channels[usize::from(how) % bench.estate.channels.len()].id.clone();
            Ask::RetryDelivery { message, channel, reason: "seen".into() }
        }
        5 => Ask::Acknowledge {},
        6 => Ask::HandOver { hand_over: HandOver { duty: Duty::Command, to: "b".into() }, note: String::new() },
        7 => Ask::Hold { reason: String::new() },
        8 => Ask::Release { reason: String::new() },
        9 if how == 0 => Ask::CloseIncident { note: String::new(), despite: String::new(), tell: false },
        9 => Ask::Declare { title: "x".into(), severity: Severity::Sev1, drill: how % 2 == 0 },
        10 | 11 => {
            let outcome = match how % 4 {
                0 => Err(Fault::transient("x", "t")),
                1 => Err(Fault::permanent("x", "p")),
                2 => Err(Fault::ambiguous("x", "a")),
                _ => Ok(Receipt::new()),
            };
            delivered(bench, &errand?, outcome);
            return None;
        }
        12 => {
            let outcome = match how % 5 {
                0 => Ok(Found::NotThere),
                1 => Ok(Found::Untold(String::new())),
                3 => Ok(Found::Harmless),
                2 => Err(Fault::transient("x", "t")),
                _ => Ok(Found::There(Receipt::new())),
            };
            looked(bench, &errand?, outcome);
            return None;
        }
        13 => {
            bench.report(Report::Started { version: "x".into(), anchor: None, drift: Default::default() });
            return None;
        }
        _ => {
            bench.report(Report::CommsDue {});
            return None;
        }
    };
    bench.ask(ask).err()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_nobody_outside_hears_of_a_drill_and_nothing_open_is_sent_again(
        moves in vec((0u8..16, 0u8..32), 1..120),
        drill in any::<bool>(),
        marked in any::<bool>(),
    ) {
        let mut bench = bench(drill);
        // Even a config that says otherwise does not change it.
        bench.estate.channels.iter_mut().for_each(|it| it.drills |= marked);
        for step in moves {
            let before = (bench.state.clone(), bench.effects.len());
            play(&mut bench, step);
            for effect in &bench.effects[before.1..] {
                let (Effect::Deliver(errand) | Effect::Find(errand)) = effect else { continue };
                let spec = bench.estate.channel(&errand.channel).unwrap();
                if errand.parcel.drill {
                    prop_assert_eq!(spec.audience, Audience::Internal);
                    prop_assert!(spec.drills && errand.parcel.text.subject.starts_with("DRILL"));
                }
                if let Effect::Deliver(errand) = effect {
                    let was = before.0.outbox.part(&errand.parcel.message, &errand.channel, errand.parcel.part);
                    let was = was.map_or(PartPhase::Waiting, |it| it.phase);
                    // By a report or a human it may have become open for another try in the same decision.
                    prop_assert!(was != PartPhase::Sent, "sent twice");
                    let trying = bench.state.outbox.messages.iter().filter_map(|it| it.deliveries.get(&errand.channel));
                    let trying = trying.flat_map(|it| &it.parts).filter(|it| it.phase == PartPhase::Trying);
                    prop_assert_eq!(trying.count(), 1, "one open attempt a channel");
                }
            }
        }
        let mut replayed = State::default();
        for record in &bench.records {
            let text = serde_json::to_string(record).unwrap();
            replayed.apply(&serde_json::from_str(&text).unwrap());
        }
        prop_assert_eq!(replayed, bench.state);
    }
}
