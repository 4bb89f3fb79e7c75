//! The walkthrough: the plan's incident response and its post-recovery checks, one page at a time. What is done, what is next and what
//! Mayday sees follow from what is known; which key does it is the cockpit's business.

use serde::Serialize;

use super::verdict;
use super::view::Snapshot;
use crate::domain::fact::checklist::{Answer, ItemState};
use crate::domain::fact::findings::Evidence;
use crate::domain::fact::health::Status;
use crate::domain::fact::incident::{Incident, Phase};
use crate::domain::fact::recovery::Loss;
use crate::domain::fact::run::{Outcome, Run, StepPhase};
use crate::domain::fact::told::Delivered;
use crate::domain::ids::ItemId;
use crate::domain::rule::comms::{Outside, left_open, outside};
use crate::domain::spec::checklist::Item;
use crate::domain::spec::classes::Tier;
use crate::domain::spec::comms::Purpose;
use crate::domain::time::{At, Span, seconds_between};
use crate::domain::words::words;

words! {
    /// The stages of the plan's incident response; the post-recovery checks come before the review.
    Stage {
        Alert = "alert",
        Assess = "assess",
        Execute = "execute",
        Communicate = "communicate",
        Recover = "recover",
        Review = "review",
    }
}

words! {
    /// How far a page or a stage has come.
    Progress {
        Done = "done",
        /// It is what to do now.
        Now = "now",
        Ahead = "ahead",
    }
}

/// What can be done about a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    Declare,
    Acknowledge,
    TakeCommand,
    SetSeverity,
    RunPlan,
    /// A step waits for somebody.
    AnswerStep,
    Release,
    Tell,
    Tick,
    Close,
    Report,
}

/// Which page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Key {
    Stage(Stage),
    Item(ItemId),
}

/// Something that Mayday sees, and as of when.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fact {
    /// `None`: it only tells.
    pub evidence: Option<Evidence>,
    pub of: String,
    pub text: String,
    pub at: Option<At>,
}

/// One page.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page {
    pub key: Key,
    pub stage: Stage,
    pub title: String,
    pub what: String,
    pub why: String,
    pub facts: Vec<Fact>,
    /// What people said of it.
    pub said: Vec<String>,
    pub done: bool,
    /// What to do about it, the first thing first; empty when there is nothing to do but wait.
    pub acts: Vec<Act>,
}

impl Page {
    fn new(stage: Stage, title: &str, what: &str, why: &str) -> Self {
        let (key, title) = (Key::Stage(stage), title.to_owned());
        let (what, why) = (what.to_owned(), why.to_owned());
        Self { key, stage, title, what, why, facts: Vec::new(), said: Vec::new(), done: false, acts: Vec::new() }
    }

    fn tell(&mut self, of: &str, text: impl Into<String>, at: Option<At>) {
        self.facts.push(Fact { evidence: None, of: of.into(), text: text.into(), at });
    }

    fn judge(&mut self, of: &str, evidence: Evidence, text: impl Into<String>, at: Option<At>) {
        self.facts.push(Fact { evidence: Some(evidence), of: of.into(), text: text.into(), at });
    }
}

/// Every page, in the order in which they are walked.
pub fn pages(view: &Snapshot, now: At) -> Vec<Page> {
    let incident = view.state.incident.as_ref();
    let mut pages =
        vec![alert(view, incident), assess(view, incident, now), execute(view, incident), communicate(incident, now)];
    match incident {
        Some(incident) => pages.extend(incident.checklist.items.iter().map(|it| item(view, it))),
        None => pages.extend(view.estate.checklist.iter().map(|spec| blank(&spec.item))),
    }
    pages.push(review(view, incident, now));
    pages
}

/// The page to be on: the first that is not done; the last when all are.
pub fn current(pages: &[Page]) -> usize {
    pages.iter().position(|page| !page.done).unwrap_or(pages.len().saturating_sub(1))
}

/// Each stage: how far it has come, how many of its pages are done, and how many it has.
pub fn stages(pages: &[Page]) -> Vec<(Stage, Progress, usize, usize)> {
    let next = pages.get(current(pages)).filter(|page| !page.done).map(|page| page.stage);
    let of = |stage: Stage| {
        let own = || pages.iter().filter(move |page| page.stage == stage);
        let (done, all) = (own().filter(|page| page.done).count(), own().count());
        let progress = match next {
            Some(next) if next == stage => Progress::Now,
            _ if done == all => Progress::Done,
            _ => Progress::Ahead,
        };
        (stage, progress, done, all)
    };
    Stage::ALL.iter().map(|stage| of(*stage)).filter(|(.., all)| *all > 0).collect()
}

fn alert(view: &Snapshot, incident: Option<&Incident>) -> Page {
    let mut page = Page::new(
        Stage::Alert,
        "Alert the on-call engineer",
        "Make sure that somebody who may decide is awake and leads. Call, do not only write; take command if it is you.",
        "An incident without one person who leads has several. If nobody owns a task, nobody does it.",
    );
    let rota = &view.live.on_call;
    match rota.people.first() {
        Some(person) => {
            let phone = person.phone.as_deref().map(|phone| format!(", {phone}")).unwrap_or_default();
            page.tell("on call", format!("{}{phone}", person.name), rota.at);
        }
        None if view.estate.contacts.pagerduty.is_some() => {
            page.judge("on call", Evidence::Unknown, "not known", rota.at)
        }
        None => {}
    }
    let Some(incident) = incident else {
        page.tell("incident", "none is open", None);
        page.acts = vec![Act::Declare];
        return page;
    };
    page.tell("declared", format!("{} by {}", incident.id, incident.declared_by), incident.clocks.t2);
    let told = &incident.told;
    match &told.acknowledged {
        Some(known) => page.judge("page", Evidence::Pass, format!("acknowledged: {}", known.by), Some(known.at)),
        None => page.judge("page", Evidence::Unknown, "nobody has acknowledged it", None),
    }
    match &incident.commander {
        Some(who) => page.judge("commander", Evidence::Pass, who.to_string(), None),
        None => page.judge("commander", Evidence::Fail, "nobody leads", None),
    }
    page.done = incident.commander.is_some();
    page.acts = match told.acknowledged {
        _ if !page.done => vec![Act::TakeCommand],
        None => vec![Act::Acknowledge],
        Some(_) => Vec::new(),
    };
    page
}

fn assess(view: &Snapshot, incident: Option<&Incident>, now: At) -> Page {
    let mut page = Page::new(
        Stage::Assess,
        "Assess the severity",
        "Say how bad it is: sev1 when users cannot work, sev2 when part of it is gone, sev3 and sev4 when it can wait for the morning.",
        "The severity decides who is woken, how often people are told, and whether a region is left. It can be changed at any time.",
    );
    let serving = view.state.serving(&view.estate);
    let all: Vec<Status> = view.estate.services.iter().map(|it| view.service(it, &serving, now).status()).collect();
    let count = |wanted: Status| all.iter().filter(|status| **status == wanted).count();
    let (down, unknown, all) = (count(Status::Down), count(Status::Unknown), all.len());
    let (evidence, words) = match (down, unknown) {
        (0, 0) if all > 0 => (Evidence::Pass, format!("none of {all} down in {serving}")),
        (0, _) => (Evidence::Unknown, format!("{unknown} of {all} unknown in {serving}, none known to be down")),
        (_, 0) => (Evidence::Fail, format!("{down} of {all} down in {serving}")),
        _ => (Evidence::Fail, format!("{down} of {all} down in {serving}, {unknown} unknown")),
    };
    page.judge("services", evidence, words, Some(view.now));
    for (service, seen) in view.clients_path(now) {
        let words = seen.worst().map_or("", |worst| worst.detail);
        let evidence = match seen.status() {
            Status::Healthy => Evidence::Pass,
            Status::Unknown => Evidence::Unknown,
            Status::Degraded | Status::Down => Evidence::Fail,
        };
        page.judge(&format!("clients' path to {}", service.id), evidence, words, Some(view.now));
    }
    for trigger in view.triggers(now) {
        let words = if trigger.is_met(now) { "is met" } else { "is not met yet" };
        page.judge(trigger.rule.title(), Evidence::Fail, format!("{words}: {}", trigger.evidence), Some(trigger.since));
    }
    let Some(incident) = incident else { return page };
    page.tell("severity", format!("{}, {}", incident.severity, incident.title), incident.clocks.t2);
    for rto in verdict::rto(&view.estate, incident, now).into_iter().filter(|it| it.tier != Tier::Platform) {
        if let (Some(elapsed), false) = (rto.elapsed, rto.recovered) {
            let left = rto.target - elapsed;
            let evidence = if left < 0.0 { Evidence::Fail } else { Evidence::Unknown };
            let span = Span(std::time::Duration::from_secs(left.abs() as u64));
            let words = if left < 0.0 { format!("missed by {span}") } else { format!("{span} left") };
            page.judge(&format!("{} RTO", rto.tier), evidence, words, None);
        }
    }
    let run = run_of(view, incident);
    page.done = incident.declared_by.uid.is_some() || run.is_some();
    page.acts = vec![Act::SetSeverity];
    page
}

fn run_of<'v>(view: &'v Snapshot, incident: &Incident) -> Option<&'v Run> {
    view.state.run.as_ref().filter(|run| run.mode.acts() && run.incident.as_ref() == Some(&incident.id))
}

fn execute(view: &Snapshot, incident: Option<&Incident>) -> Page {
    let mut page = Page::new(
        Stage::Execute,
        "Execute the recovery procedure",
        "Run the plan that fits, and answer its gates one by one: each card says what will change, what it costs and whether it can be undone.",
        "Under pressure people skip steps and change their order. The plan fences before it promotes, and moves clients last.",
    );
    let Some(incident) = incident else { return page };
    if let Some(hold) = &view.state.hold {
        page.judge("HOLD", Evidence::Fail, format!("set by {}: nothing new starts", hold.by), Some(hold.at));
        page.acts.push(Act::Release);
    }
    let Some(run) = run_of(view, incident) else {
        let fits = view.triggers(view.now).into_iter().find_map(|trigger| trigger.plan);
        let fits = fits.map_or_else(|| "no rule of the plan asks for one".to_owned(), |plan| format!("{plan} fits"));
        page.judge("run", Evidence::Unknown, format!("no plan was started; {fits}"), None);
        page.done = incident.phase >= Phase::Recovered;
        page.acts.push(Act::RunPlan);
        return page;
    };
    let over = run.steps.values().filter(|step| step.phase.is_over()).count();
    let evidence = match run.outcome {
        Some(Outcome::Completed) => Evidence::Pass,
        Some(Outcome::Abandoned | Outcome::Reverted) => Evidence::Fail,
        None => Evidence::Unknown,
    };
    let state = run.outcome.map_or("under way", Outcome::word);
    page.judge(
        "run",
        evidence,
        format!("{} ({}) {state}, {over} of {} steps", run.plan.id, run.mode, run.steps.len()),
        Some(run.ended_at.unwrap_or(run.started_at)),
    );
    for (spec, step) in run.in_order().filter(|_| run.is_open()) {
        if step.phase.waits_for_human() {
            let evidence = if step.phase == StepPhase::Gated { Evidence::Unknown } else { Evidence::Fail };
            page.judge(
                "waits",
                evidence,
                format!("{}: {}", spec.id, spec.title),
                step.card.as_ref().map(|card| card.at),
            );
            if !page.acts.contains(&Act::AnswerStep) {
                page.acts.push(Act::AnswerStep);
            }
        } else if step.phase.is_in_flight() {
            page.tell("under way", format!("{}: {}", spec.id, step.phase), step.begun.as_ref().map(|begun| begun.at));
        }
    }
    page.done = incident.phase >= Phase::Recovered || run.outcome == Some(Outcome::Completed);
    if matches!(run.outcome, Some(Outcome::Abandoned | Outcome::Reverted)) {
        page.acts.push(Act::RunPlan);
    }
    page
}

fn communicate(incident: Option<&Incident>, now: At) -> Page {
    let mut page = Page::new(
        Stage::Communicate,
        "Tell those who wait",
        "Say what is known, what is being done, and when the next update comes: the team, the status page, and customers by email.",
        "No news is read as bad news. One honest update saves many questions to the people who repair.",
    );
    let Some(incident) = incident else { return page };
    if incident.drill {
        page.tell("drill", "nobody outside is told", None);
    }
    page.acts = vec![Act::Tell];
    let Some(update) = &incident.told.update else {
        page.judge("updates", Evidence::Fail, "nobody has been told anything yet", None);
        return page;
    };
    let recovered = incident.phase >= Phase::Recovered;
    let late = recovered && matches!(update.purpose, Purpose::Investigating | Purpose::Identified);
    let due = update.next_due.is_some_and(|due| due <= now) && update.purpose != Purpose::Resolved;
    let nobody = !update.channels.is_empty() && update.count(Delivered::Failed) == update.channels.len();
    page.judge(
        "update",
        if late || nobody { Evidence::Fail } else { Evidence::Pass },
        match nobody {
            true => format!("the latest ({}) reached NOBODY", update.purpose),
            false => format!("the latest says {}", update.purpose),
        },
        Some(update.at),
    );
    if late {
        page.judge("recovered", Evidence::Fail, "service is back, and nobody was told", None);
    }
    if let Some(at) = update.next_due.filter(|_| update.purpose != Purpose::Resolved) {
        let left = seconds_between(now, at);
        let span = Span(std::time::Duration::from_secs(left.abs() as u64));
        let words = if due { format!("overdue by {span}") } else { format!("promised in {span}") };
        page.judge("next", if due { Evidence::Fail } else { Evidence::Pass }, words, None);
    }
    let of = |wanted| update.count(wanted);
    let (sent, all) = (of(Delivered::Sent), update.channels.len());
    page.judge(
        "sent",
        if sent == all { Evidence::Pass } else { Evidence::Unknown },
        format!("{sent} of {all} channels"),
        None,
    );
    for (wanted, words, evidence) in [
        (Delivered::Failed, "could not be told", Evidence::Fail),
        (Delivered::Unknown, "may have been told", Evidence::Unknown),
    ] {
        let channels = update.channels.iter().filter(|(_, it)| **it == wanted).map(|(channel, _)| channel.as_str());
        let channels: Vec<&str> = channels.collect();
        if !channels.is_empty() {
            page.judge("channels", evidence, format!("{} {words}", channels.join(", ")), None);
        }
    }
    page.done = !late && !due && of(Delivered::Failed) == 0;
    page
}

fn blank(item: &Item) -> Page {
    let page = Page::new(Stage::Recover, &item.title, &item.what, &item.why);
    Page { key: Key::Item(item.id.clone()), ..page }
}

fn item(view: &Snapshot, known: &ItemState) -> Page {
    let mut page = blank(&known.item);
    match (known.item.is_watched(), view.live.checklist.get(&known.item.id), &known.seen) {
        (false, ..) => page.tell("sees", "nothing: only a human can tell", None),
        (true, Some(look), _) => {
            for finding in &look.findings {
                page.judge(&finding.of, finding.evidence, finding.detail.clone(), Some(look.at));
            }
        }
        (true, None, Some(seen)) => page.judge("sees", seen.evidence, seen.detail.clone(), Some(seen.at)),
        (true, None, None) => page.judge("sees", Evidence::Unknown, "not looked at yet", None),
    }
    page.said = said(known);
    page.done = !known.standing().is_open();
    if !page.done {
        page.acts = vec![Act::Tick];
    }
    page
}

fn said(known: &ItemState) -> Vec<String> {
    let mut said = Vec::new();
    if let Some(again) = &known.reopened {
        let who = match &again.was {
            Some(Answer::Ticked { by, .. }) => format!(" (ticked before by {by})"),
            _ => String::new(),
        };
        said.push(format!("opened again by {}{who}: {}", again.by, again.reason));
    }
    match &known.answer {
        Some(Answer::Ticked { by, note, against, .. }) => {
            let note = if note.is_empty() { String::new() } else { format!(": {note}") };
            let over = against.as_ref().map(|against| format!(", against {against}")).unwrap_or_default();
            said.push(format!("ticked by {by}{over}{note}"));
        }
        Some(Answer::Skipped { by, reason, .. }) => said.push(format!("left out by {by}: {reason}")),
        None => {}
    }
    said
}

fn review(view: &Snapshot, incident: Option<&Incident>, now: At) -> Page {
    let mut page = Page::new(
        Stage::Review,
        "Review what happened",
        "Close the incident with a sentence on how it ended. Then read the report, add what Mayday cannot know, and agree on what changes.",
        "Details are forgotten within days. The report is written from the journal: times and decisions are in it already.",
    );
    let Some(incident) = incident else {
        if let Some(past) = view.state.past.front() {
            page.judge(
                "closed",
                Evidence::Pass,
                format!("{} {}: {}", past.id, past.severity, past.title),
                Some(past.closed_at),
            );
            let left = left_open(&view.estate, &view.state, now);
            page.done = left.is_none();
            page.acts = match left {
                Some(left) => {
                    judge_outside(&mut page, &left);
                    vec![Act::Tell, Act::Report]
                }
                None => vec![Act::Report],
            };
        }
        return page;
    };
    for rto in verdict::rto(&view.estate, incident, now) {
        let (evidence, words) = match rto.met {
            Some(true) => (Evidence::Pass, "met"),
            Some(false) => (Evidence::Fail, "missed"),
            None if rto.recovered => (Evidence::Unknown, "unknown: nobody saw it begin"),
            None => (Evidence::Unknown, "not recovered yet"),
        };
        page.judge(&format!("{} RTO", rto.tier), evidence, words, None);
    }
    let run = run_of(view, incident);
    for rpo in verdict::rpo(&view.estate, incident, run) {
        let (evidence, words) = match (rpo.met, rpo.loss) {
            (Some(true), Loss::Measured { .. }) => (Evidence::Pass, "met, measured"),
            (Some(true), _) => (Evidence::Unknown, "met as far as is known: estimated"),
            (Some(false), _) => (Evidence::Fail, "missed"),
            (None, _) => (Evidence::Unknown, "unknown"),
        };
        page.judge(&format!("{} RPO", rpo.class), evidence, words, None);
    }
    let open = incident.checklist.open().count();
    if open > 0 {
        page.judge(
            "checklist",
            Evidence::Fail,
            format!("{open} of {} items are open", incident.checklist.items.len()),
            None,
        );
    }
    judge_outside(&mut page, &outside(&view.estate, &view.state, &incident.id, now));
    page.acts = vec![Act::Close, Act::Report];
    page
}

/// What is open outside: it is closed with the incident, or told after it.
fn judge_outside(page: &mut Page, left: &Outside) {
    for (_, words) in left.lines() {
        page.judge("outside", Evidence::Fail, words, None);
    }
}
