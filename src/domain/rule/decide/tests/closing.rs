//! Closing is complete: what is open outside is told, the page is resolved, and what is still to be told can be told.

use std::collections::BTreeMap;

use super::super::Decision;
use super::bench::{Bench, STANDBY};
use super::comms::{bench as paged, delivered, on, out, tell};
use crate::domain::fact::command::{Ask, Refusal, RefusalReason as Why, Report};
use crate::domain::fact::comms::PartPhase;
use crate::domain::fact::run::Mode;
use crate::domain::fact::system::Receipt;
use crate::domain::fault::Fault;
use crate::domain::ids::{ChannelId, IncidentId};
use crate::domain::rule::comms::{PageStanding, due, left_open, outside, page_standing, unreached};
use crate::domain::spec::checklist::{Item, ItemSpec};
use crate::domain::spec::comms::{Audience, Purpose};
use crate::domain::spec::severity::Severity;

/// Everybody can be told, and the pager takes the end of its page.
fn bench() -> Bench {
    let mut bench = paged(false);
    bench.estate.channels.iter_mut().filter(|it| it.id.as_str() == "pager").for_each(|it| {
        it.carries.push(Purpose::Resolved);
    });
    let page = on(&bench, "pager");
    delivered(&mut bench, &page, Ok(Receipt::new()));
    bench
}

fn told(bench: &mut Bench, purpose: Purpose) {
    bench.ask(tell(purpose)).unwrap();
    arrive(bench);
}

fn arrive(bench: &mut Bench) {
    out(bench);
    for channel in ["chat", "page", "mail", "pager"] {
        let errand = on(bench, channel);
        delivered(bench, &errand, Ok(Receipt::new()));
    }
}

fn close(bench: &mut Bench, tell: bool) -> Decision {
    bench.ask(Ask::CloseIncident { note: "over".into(), despite: String::new(), tell }).unwrap()
}

fn of(bench: &mut Bench, incident: &IncidentId, purpose: Purpose, audiences: &[Audience]) -> Result<Decision, Refusal> {
    let (audiences, incident) = (audiences.to_vec(), Some(incident.clone()));
    let (texts, note, despite) = (BTreeMap::new(), String::new(), String::new());
    bench.ask(Ask::Tell { purpose, texts, audiences, note, incident, despite })
}

fn id(bench: &Bench) -> IncidentId {
    bench.state.incident.as_ref().unwrap().id.clone()
}

fn open(bench: &Bench, incident: &IncidentId) -> String {
    outside(&bench.estate, &bench.state, incident, bench.now).brief()
}

#[test]
fn closing_says_what_is_open_outside_resolves_the_page_and_lets_the_rest_be_told() {
    let mut bench = bench();
    told(&mut bench, Purpose::Monitoring);
    let incident = id(&bench);
    let words = "`resolved` was not told to internal, public, customers; the page is open";
    assert_eq!(open(&bench, &incident), words);
    let note = close(&mut bench, false).note.unwrap();
    assert!(note.contains("mayday notify resolved --incident INC-"), "{note}");
    let page = on(&bench, "pager");
    assert_eq!((page.parcel.purpose, page.parcel.incident.clone()), (Purpose::Resolved, incident.clone()), "at once");
    delivered(&mut bench, &page, Ok(Receipt::new()));
    assert_eq!(open(&bench, &incident), "`resolved` was not told to internal, public, customers");
    assert!(left_open(&bench.estate, &bench.state, bench.now).is_some(), "it is the next thing to do");

    let refused = bench.ask(tell(Purpose::Resolved)).unwrap_err();
    assert!(refused.next.contains("--incident INC-"), "{refused}");
    for purpose in [Purpose::Investigating, Purpose::Identified] {
        assert_eq!(of(&mut bench, &incident, purpose, &[]).unwrap_err().reason, Why::Conflict, "{purpose}");
    }
    of(&mut bench, &incident, Purpose::Resolved, &[]).unwrap();
    let message = bench.state.outbox.messages.last().unwrap().message.clone();
    assert_eq!((&message.incident, message.next_due), (&incident, None));
    arrive(&mut bench);
    assert!(outside(&bench.estate, &bench.state, &incident, bench.now).is_closed());
    assert!(left_open(&bench.estate, &bench.state, bench.now).is_none());
    let ids: std::collections::BTreeSet<_> = bench.state.outbox.messages.iter().map(|it| &it.message.id).collect();
    assert_eq!(ids.len(), bench.state.outbox.messages.len(), "no id comes twice");
}

#[test]
fn one_key_closes_and_tells_everyone() {
    let mut bench = bench();
    told(&mut bench, Purpose::Monitoring);
    let incident = id(&bench);
    close(&mut bench, true);
    assert!(bench.state.incident.is_none());
    let posted = bench.state.outbox.messages.last().unwrap();
    assert_eq!((posted.message.purpose, posted.deliveries.len()), (Purpose::Resolved, 4), "the pager too, once");
    arrive(&mut bench);
    assert_eq!(open(&bench, &incident), "");
}

#[test]
fn while_another_burns_nobody_outside_reads_that_all_is_well() {
    let mut bench = bench();
    told(&mut bench, Purpose::Monitoring);
    let first = id(&bench);
    close(&mut bench, false);
    bench.pass(60);
    bench.ask(Ask::Declare { title: "again".into(), severity: Severity::Sev1, drill: false }).unwrap();
    assert_eq!(of(&mut bench, &first, Purpose::Resolved, &[]).unwrap_err().reason, Why::Conflict);
    of(&mut bench, &first, Purpose::Resolved, &[Audience::Internal]).unwrap();
    assert!(bench.state.incident.as_ref().unwrap().told.update.is_none(), "that was not about this one");
    assert_eq!(due(&bench.estate, &bench.state).unwrap().purpose, Purpose::Investigating);
    close(&mut bench, false);
    of(&mut bench, &first, Purpose::Resolved, &[]).unwrap();
    assert_eq!(of(&mut bench, &"INC-none".into(), Purpose::Resolved, &[]).unwrap_err().reason, Why::NotFound);
}

#[test]
fn resolved_with_open_checks_is_asked_about_once_and_proposed_without_them_only() {
    let mut bench = bench();
    let item = Item {
        id: "eye".into(),
        title: "eye".into(),
        what: "look".into(),
        why: "because".into(),
        sees: Vec::new(),
        checks: Vec::new(),
    };
    close(&mut bench, false);
    bench.estate.checklist = vec![ItemSpec { item, checks: Vec::new() }];
    bench.probe(STANDBY, crate::domain::fact::health::Status::Healthy);
    bench.ask(Ask::Declare { title: "again".into(), severity: Severity::Sev1, drill: false }).unwrap();
    bench.start(Mode::Live, false).unwrap();
    let proposed = |bench: &Bench| due(&bench.estate, &bench.state).unwrap().purpose;
    assert_eq!(proposed(&bench), Purpose::Investigating, "a plan that is chosen has found nothing");
    for (step, phrase) in
        [("fence", ""), ("scale", ""), ("promote", "db"), ("measure", ""), ("dns", ""), ("client", "")]
    {
        bench.finish(step, phrase);
    }
    told(&mut bench, Purpose::Monitoring);
    assert_eq!(proposed(&bench), Purpose::Monitoring, "the checklist is not through");
    let refused = bench.ask(tell(Purpose::Resolved)).unwrap_err();
    assert_eq!(refused.reason, Why::ReasonMissing);
    assert!(refused.why.starts_with("1 of 1 items"), "{refused}");
    let (texts, note) = (BTreeMap::new(), String::new());
    let despite = String::from("the customer insists");
    let insist = Ask::Tell { purpose: Purpose::Resolved, texts, audiences: Vec::new(), note, incident: None, despite };
    bench.ask(insist).unwrap();
    let message = bench.state.outbox.messages.last().unwrap().message.id.clone();
    bench.ask(Ask::Recall { message }).unwrap();
    bench.ask(Ask::TickItem { item: "eye".into(), note: String::new() }).unwrap();
    assert_eq!(proposed(&bench), Purpose::Resolved);
    bench.ask(tell(Purpose::Resolved)).unwrap();
}

#[test]
fn an_update_that_reached_nobody_is_said_and_does_not_count() {
    let mut bench = bench();
    told(&mut bench, Purpose::Investigating);
    let first = due(&bench.estate, &bench.state).unwrap();
    bench.ask(tell(Purpose::Identified)).unwrap();
    out(&mut bench);
    let fail = |bench: &mut Bench, channel: &str| {
        let errand = on(bench, channel);
        delivered(bench, &errand, Err(Fault::permanent(channel, "no token")));
    };
    fail(&mut bench, "mail");
    let part = unreached(&bench.estate, &bench.state).unwrap();
    assert_eq!((part.audiences, part.everybody), (vec![Audience::Customers], false));
    fail(&mut bench, "chat");
    fail(&mut bench, "page");
    let all = unreached(&bench.estate, &bench.state).unwrap();
    assert!(all.everybody && all.audiences.len() == 3, "{all:?}");
    assert_eq!(due(&bench.estate, &bench.state).unwrap().at, first.at, "what is due is what was promised before");
    let left = outside(&bench.estate, &bench.state, &id(&bench), bench.now);
    assert!(left.words.iter().all(|it| it.purpose == Purpose::Investigating), "{left:?}");
    assert!(left.undelivered.iter().all(|it| it.phase == PartPhase::Failed) && left.undelivered.len() == 3);
    told(&mut bench, Purpose::Identified);
    assert_eq!(unreached(&bench.estate, &bench.state), None);
}

#[test]
fn an_escalation_is_promised_only_where_there_is_one_and_ends_with_the_incident() {
    let mut bench = bench();
    let open = |bench: &Bench| match page_standing(&bench.estate, &bench.state) {
        Some(PageStanding::Open { escalates, .. }) => Some(escalates.is_some()),
        _ => None,
    };
    assert_eq!(open(&bench), Some(true));
    let boss = bench.estate.channels.iter().position(|it| it.escalation).unwrap();
    let boss = bench.estate.channels.remove(boss);
    assert_eq!(open(&bench), Some(false), "nobody else will be woken, and nobody says so");
    bench.estate.channels.push(boss);
    told(&mut bench, Purpose::Resolved);
    assert_eq!(page_standing(&bench.estate, &bench.state), Some(PageStanding::Over));
    bench.pass(3600);
    bench.report(Report::CommsDue {});
    let woken = ChannelId::from("boss");
    assert!(bench.state.outbox.messages.iter().all(|it| !it.deliveries.contains_key(&woken)), "it is over");
}
