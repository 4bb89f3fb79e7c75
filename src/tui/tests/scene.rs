//! Scenes: an engine in miniature. Every state it shows was decided by `decide`; only the answers of the outside world are made up.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::json;

use crate::domain::actor::{Actor, Origin};
use crate::domain::backup::{BackupCopy, BackupLive, BackupLook, CopyState};
use crate::domain::checklist::{self, Baseline, Evidence, ItemLook, Sight};
use crate::domain::command::{Ask, Command, Effect, Envelope, Errand, Job, Preparation, Report};
use crate::domain::comms::{Found, Handed, Message, Purpose, Voice};
use crate::domain::contacts::{OnCall, OnCallLive};
use crate::domain::decide::{Context, decide, preview};
use crate::domain::estate::Subject;
use crate::domain::event::Record;
use crate::domain::health::{Reading, Status, Trouble};
use crate::domain::ids::{ItemId, ProbeId, RegionId, SessionId, StepId, SystemId};
use crate::domain::journal::Chain;
use crate::domain::kinds::StepRole;
use crate::domain::live::{LiveChange, LogLine, SurveyLive};
use crate::domain::readiness::{Assessment, Finding, Finds};
use crate::domain::recovery::{Lag, Member, RecoveryPoint, Role, Survey};
use crate::domain::run::Mode;
use crate::domain::sight;
use crate::domain::system::{Checked, Fault, Guard, Observed, OldWriter, Preview, PromotionFacts, Receipt, Verified};
use crate::domain::time::{At, after, before};
use crate::domain::view::{Snapshot, Update};

use super::estate::{EAST, WEST};

pub struct Scene {
    pub snap: Snapshot,
    pub records: Vec<Record>,
    pub effects: VecDeque<Effect>,
    /// What the courier has to carry.
    pub errands: VecDeque<Errand>,
    /// Everything that a cockpit would have been sent.
    pub sent: Vec<Update>,
    pub session: SessionId,
    pub alice: Actor,
    pub(super) points: BTreeMap<SystemId, RecoveryPoint>,
    pub(super) baseline: Baseline,
    /// What Mayday would see of these checks; of the others, that all is well.
    pub seen: BTreeMap<String, (Evidence, String)>,
    /// Since when each probe has said what it says.
    pub(super) since: BTreeMap<ProbeId, At>,
    pub old_writer: OldWriter,
    pub dark: bool,
}

impl Scene {
    pub fn tell(&mut self) {
        let purpose = crate::domain::comms::Purpose::Investigating;
        self.ask(Ask::Tell {
            purpose,
            texts: BTreeMap::new(),
            audiences: Vec::new(),
            note: String::new(),
            incident: None,
            despite: String::new(),
        });
    }

    /// What would be told now.
    pub fn drafts(&self) -> Vec<Message> {
        let wording = crate::messages::Templates::default();
        let voice = Voice { wording: &wording, counts: None };
        let cx = Context {
            estate: &self.snap.estate,
            plans: &self.snap.plans,
            now: self.snap.now,
            points: &self.points,
            baseline: &self.baseline,
            voice,
            surveys: &self.snap.live.surveys,
            chain: &Chain::default(),
            readings: &self.snap.live.probes,
        };
        let updates = Purpose::ALL.iter().filter(|it| it.is_update());
        updates.filter_map(|it| preview(&cx, &self.snap.state, *it, "")).collect()
    }

    /// What the vendors say.
    pub(super) fn carry(&mut self) {
        while let Some(Errand { channel, attempt, parcel }) = self.errands.pop_front() {
            let (message, part) = (parcel.message, parcel.part);
            let outcome = match channel.as_str() {
                "status-page" => Err(Fault::transient("status-page", "HTTP 503")),
                "customers" => {
                    let outcome = Ok(Found::Untold("the connection was cut after the text was sent".into()));
                    self.report(Report::Looked { message, channel, part, outcome });
                    continue;
                }
                name => Ok(Receipt::from([("link".to_owned(), format!("https://{name}.example/{message}"))])),
            };
            let outcome = outcome.map(Handed::whole);
            self.report(Report::Delivered { message, channel, part, attempt, outcome });
        }
    }

    pub fn look_at_items(&mut self) {
        let incident = self.snap.state.incident.as_ref();
        let items: Vec<ItemId> =
            incident.iter().flat_map(|it| &it.checklist.items).map(|it| it.item.id.clone()).collect();
        items.iter().for_each(|item| self.look_at_item(item));
    }

    /// What follows from what is known is seen as the engine sees it; only the answers of the outside world are made up.
    fn look_at_item(&mut self, id: &ItemId) {
        let Some(incident) = &self.snap.state.incident else { return };
        let Some(known) = incident.checklist.item(id).filter(|it| it.item.is_watched()) else { return };
        let (now, mut findings) = (self.snap.now, Vec::new());
        for sight in known.item.sees.iter().filter(|it| **it != Sight::Tallies) {
            let path = || {
                checklist::Finding::new(sight.word(), Evidence::Pass, "3 transactions along the client's path succeed")
            };
            findings.push(sight::look(*sight, &self.snap, now).unwrap_or_else(path));
        }
        for check in &known.item.checks {
            let well = (Evidence::Pass, "as it should be".to_owned());
            let (evidence, detail) = self.seen.get(check.as_str()).cloned().unwrap_or(well);
            findings.push(checklist::Finding::new(check.as_str(), evidence, detail));
        }
        let look = ItemLook { at: now, findings };
        let (evidence, detail) = (look.evidence(), look.detail());
        self.live(LiveChange::Item { item: id.clone(), look });
        self.report(Report::ItemSeen { item: id.clone(), evidence, detail });
    }

    /// Time passes; probes and surveys are taken.
    pub fn pass(&mut self, seconds: u64) {
        self.snap.now = after(self.snap.now, std::time::Duration::from_secs(seconds));
        self.probe();
        self.survey();
    }

    pub(super) fn probe(&mut self) {
        let now = self.snap.now;
        let specs = self.snap.estate.probes.clone();
        for (index, spec) in specs.iter().enumerate() {
            let down = self.dark && spec.region.as_ref().is_some_and(|region| region.as_str() == EAST);
            let latency = 9 + (index as u32 * 7 + now.as_second() as u32 / 5 * 3) % 23;
            let reading = if down {
                Reading::down("no answer in 2 s")
            } else {
                let words = if matches!(spec.subject, Subject::Region(_)) { "answers" } else { "200" };
                Reading { latency_ms: Some(latency), ..Reading::healthy(words) }
            };
            let known = self.snap.state.probes.get(&spec.id).map(|known| known.status);
            let status = reading.status;
            if known != Some(status) {
                let last_healthy = (status == Status::Down).then(|| before(now, spec.every.0));
                let detail = reading.detail.clone();
                let trouble = last_healthy.map(|at| Trouble { last_healthy: Some(at), first_down: Some(now) });
                self.report(Report::Probe { probe: spec.id.clone(), to: status, detail, last_healthy, trouble });
                self.since.insert(spec.id.clone(), last_healthy.unwrap_or(now));
            }
            let since = self.since.get(&spec.id).copied();
            self.live(LiveChange::Probe { probe: spec.id.clone(), at: now, status, reading, since });
        }
    }

    /// One backup is as it should be, one lies only in the region it protects, one is old, and one could not be looked at.
    pub(super) fn look_at_backups(&mut self) {
        let now = self.snap.now;
        let hour = |hours: u64| before(now, std::time::Duration::from_secs(hours * 3600));
        let copies = |newest: u64, every: u64| {
            let copy = |nth: u64| BackupCopy {
                at: hour(newest + nth * every),
                state: CopyState::Good,
                size: Some(4_200_000_000),
                name: format!("copy-{nth}"),
            };
            BackupLook::of((0..7).map(copy).collect())
        };
        let looks = [
            ("db-snapshots", copies(5, 24).at(RegionId::from(WEST))),
            ("graph-full", copies(9, 24).at(RegionId::from(EAST))),
            ("cache-dumps", copies(3, 24).at(RegionId::from(WEST))),
        ];
        for (backup, look) in looks {
            let taken = BackupLive { at: Some(now), look, fault: None };
            self.live(LiveChange::Backup { backup: backup.into(), taken });
        }
        let fault = Some("the bucket does not answer".into());
        self.live(LiveChange::Backup { backup: "etcd".into(), taken: BackupLive { fault, ..BackupLive::default() } });
        let judged = self.snap.backups(now).into_iter();
        let reports: Vec<Report> = judged
            .map(|(spec, it)| Report::Backup { backup: spec.id.clone(), to: it.worth, detail: it.words() })
            .collect();
        reports.into_iter().for_each(|report| self.report(report));
    }

    /// The database's plan is ready; the regional one lacks a permission and leans on what it flees.
    pub(super) fn assess(&mut self) {
        let finding = |step: Option<&str>, name: &str, finds, detail: &str| Finding {
            step: step.map(StepId::from),
            name: name.into(),
            finds,
            detail: detail.into(),
        };
        let at = self.snap.now;
        let assessments: Vec<Assessment> = [
            ("database-failover", vec![finding(None, "parity", Finds::Pass, "12 facts are the same in both regions")]),
            (
                "regional-failover",
                vec![
                    finding(Some("fence-primary"), "access", Finds::Pass, "may patch deployments/scale"),
                    finding(Some("move-dns"), "access", Finds::Fail, "route53:ChangeResourceRecordSets is denied"),
                    finding(None, "control-plane", Finds::Warn, "Route 53 is changed through us-east-1, which is left"),
                ],
            ),
        ]
        .map(|(plan, findings)| Assessment { plan: plan.into(), at, findings })
        .into();
        let plans = assessments.iter().map(Assessment::brief).collect();
        self.live(LiveChange::Readiness { assessments });
        self.report(Report::Readiness { plans });
    }

    pub(super) fn name_who_is_on_call(&mut self) {
        let person = |name: &str, level, phone: &str| OnCall {
            name: name.into(),
            level,
            policy: "Platform".into(),
            phone: Some(phone.into()),
            link: None,
            until: Some(after(self.snap.now, std::time::Duration::from_secs(4 * 3600))),
        };
        let people = vec![person("Ada Okafor", 1, "+1 5550100"), person("Mateo Silva", 2, "+1 5550101")];
        let taken = OnCallLive { at: Some(self.snap.now), people, fault: None };
        self.live(LiveChange::OnCall { taken });
    }

    /// Tells of a probe whatever the outside world might say.
    pub fn hear(&mut self, probe: &str, status: Status, detail: &str) {
        let (now, reading) = (self.snap.now, Reading { status, detail: detail.into(), latency_ms: None });
        self.live(LiveChange::Probe { probe: ProbeId::from(probe), at: now, status, reading, since: Some(now) });
    }

    pub(super) fn survey(&mut self) {
        let now = self.snap.now;
        let east = if self.dark { Status::Down } else { Status::Healthy };
        let member = |name: &str, region: &str, role, status, lag, detail: &str| Member {
            name: name.into(),
            region: Some(RegionId::from(region)),
            role,
            status,
            lag,
            detail: detail.into(),
        };
        let lag = |lag| if self.dark { None } else { Some(lag) };
        let healthy = Status::Healthy;
        let surveys = [
            (
                "database",
                Some(1.8),
                vec![
                    member("gennet-db", EAST, Role::Writer, east, None, "available, multi-AZ us-east-1a"),
                    member("gennet-db-replica", WEST, Role::Replica, healthy, lag(Lag::Seconds(1.8)), "available"),
                ],
            ),
            (
                "graph",
                Some(0.9),
                vec![
                    member("neo4j-1", EAST, Role::Writer, east, None, "leader"),
                    member("neo4j-2", WEST, Role::Replica, healthy, lag(Lag::Transactions(3)), "follower"),
                    member("neo4j-3", WEST, Role::Replica, healthy, lag(Lag::Transactions(4)), "follower"),
                ],
            ),
            (
                "cache",
                Some(0.4),
                vec![
                    member("redis-1", EAST, Role::Writer, east, None, "master"),
                    member("redis-2", EAST, Role::Replica, east, lag(Lag::Bytes(120)), "slave"),
                    member("redis-3", WEST, Role::Replica, healthy, lag(Lag::Bytes(2048)), "slave"),
                ],
            ),
            (
                "objects",
                None,
                vec![
                    member("gennet-data", EAST, Role::Writer, east, None, "versioned"),
                    member("gennet-data-dr", WEST, Role::Replica, healthy, None, "replicating"),
                ],
            ),
        ];
        for (store, behind, members) in surveys {
            let point = behind.map(|behind: f64| RecoveryPoint {
                at: before(now, std::time::Duration::from_secs_f64(behind)),
                region: Some(WEST.into()),
                source: "lag".into(),
                measured: false,
            });
            let point = if self.dark { self.points.get(store).cloned() } else { point };
            if let Some(point) = &point {
                self.points.insert(store.into(), point.clone());
            }
            let survey = Survey { members, standby_point: point, notes: Vec::new() };
            let taken = SurveyLive { at: Some(now), survey, fault: None };
            self.live(LiveChange::Survey { system: store.into(), taken });
        }
    }

    pub fn live(&mut self, change: LiveChange) {
        let update = Update::Live { change: Arc::new(change) };
        self.snap.take(&update).unwrap();
        self.sent.push(update);
    }

    pub fn log(&mut self, step: &str, text: &str) {
        let line = LogLine { at: self.snap.now, text: text.into() };
        self.live(LiveChange::Log { step: step.into(), line });
    }

    fn command(&mut self, actor: Actor, origin: Origin, command: Command) -> Result<Option<String>, String> {
        let (estate, plans, baseline) = (self.snap.estate.clone(), self.snap.plans.clone(), self.baseline.clone());
        let wording = crate::messages::Templates::default();
        let cx = Context {
            estate: &estate,
            plans: &plans,
            now: self.snap.now,
            points: &self.points,
            baseline: &baseline,
            voice: Voice { wording: &wording, counts: None },
            surveys: &self.snap.live.surveys,
            chain: &Chain::default(),
            readings: &self.snap.live.probes,
        };
        let envelope = Envelope { actor, origin, command };
        let decision = decide(&cx, &self.snap.state, &envelope).map_err(|refusal| refusal.to_string())?;
        for (actor, event) in decision.events {
            let record = Record { seq: self.snap.state.seq + 1, at: self.snap.now, actor, event };
            let update = Update::Record { record: Arc::new(record.clone()) };
            self.snap.take(&update).unwrap();
            self.records.push(record);
            self.sent.push(update);
        }
        for effect in decision.effects {
            match effect {
                Effect::Deliver(errand) | Effect::Find(errand) => self.errands.push_back(errand),
                effect => self.effects.push_back(effect),
            }
        }
        Ok(decision.note)
    }

    pub fn try_ask(&mut self, ask: Ask) -> Result<Option<String>, String> {
        if let Ask::TickItem { item, .. } | Ask::LookAtItem { item } = &ask {
            self.look_at_item(item);
        }
        let origin = Origin::Cockpit { session: self.session.clone(), read_only: false };
        self.command(self.alice.clone(), origin, Command::Ask(ask))
    }

    pub fn ask(&mut self, ask: Ask) {
        self.try_ask(ask.clone()).unwrap_or_else(|refusal| panic!("{ask:?}: {refusal}"));
    }

    /// Asked on a command line, beside every cockpit.
    pub fn ask_by_hand(&mut self, ask: Ask) {
        self.command(self.alice.clone(), Origin::CommandLine, Command::Ask(ask)).unwrap();
    }

    pub fn report(&mut self, report: Report) {
        self.command(Actor::engine(), Origin::Engine, Command::Report(report)).unwrap();
    }

    pub fn start(&mut self, plan: &str) {
        let mode = Mode::Live;
        self.ask(Ask::StartRun { plan: plan.into(), mode, reason: String::new(), unattended: false });
    }

    pub fn confirm(&mut self, step: &str) {
        let run = self.snap.state.run.as_ref().unwrap();
        let phrase = run.plan.step(&step.into()).unwrap().phrase.clone();
        let run = run.id.clone();
        self.ask(Ask::Confirm { run, step: step.into(), phrase, seen: None });
    }

    /// Performs one pending effect of this step, if there is one.
    pub fn perform(&mut self, step: &str) {
        let at = self.effects.iter().position(|effect| job(effect).step.id.as_str() == step);
        if let Some(effect) = at.and_then(|at| self.effects.remove(at)) {
            let report = self.answer(&effect);
            self.report(report);
        }
    }

    /// Performs effects until none is left.
    pub fn perform_all(&mut self) {
        while let Some(effect) = self.effects.pop_front() {
            let report = self.answer(&effect);
            self.report(report);
        }
    }

    /// What the outside world says.
    pub fn answer(&self, effect: &Effect) -> Report {
        if let Effect::Drill(name) = effect {
            return Report::DrillOver { name: name.clone(), outcome: Ok(()) };
        }
        let job = job(effect);
        let (run, step) = (job.run.clone(), job.step.id.clone());
        match effect {
            Effect::Prepare(_) => Report::Prepared { run, step, outcome: Ok(Box::new(self.preparation(job))) },
            Effect::Apply(_) => {
                let receipt: Receipt = [("request".to_owned(), "4242".to_owned())].into();
                Report::Applied { run, step, attempt: job.attempt, outcome: Ok(receipt) }
            }
            Effect::Observe(_) => {
                Report::Observed { run, step, outcome: Ok(Observed::Done { detail: "it happened".into() }) }
            }
            Effect::Verify(_) => Report::Verified { run, step, outcome: Ok(self.verified(job)) },
            Effect::Revert(_) => Report::Reverted { run, step, outcome: Ok(Receipt::new()) },
            Effect::RetryAt(..) | Effect::Drill(_) => Report::RetryDue { run, step },
            Effect::Deliver(_) | Effect::Find(_) => unreachable!("errands are kept by themselves"),
        }
    }

    fn verified(&self, job: &Job) -> Verified {
        let measures = job.step.role == StepRole::Measures;
        let point = self.points.get(job.step.system.as_str()).cloned();
        let point = point.map(|point| RecoveryPoint { measured: true, source: "heartbeat".into(), ..point });
        let at = before(self.snap.now, std::time::Duration::from_secs(40));
        let fallback = RecoveryPoint { at, region: Some(WEST.into()), source: "canary".into(), measured: true };
        let detail = match job.step.role {
            StepRole::Measures => "newest record found on the copy now serving",
            StepRole::Synthetic => "wrote and read again through app.gennet.example",
            StepRole::Traffic => "every name server answers 127.0.0.12",
            _ => "seen by its effect",
        };
        Verified::Holds { detail: detail.into(), recovery_point: measures.then(|| point.unwrap_or(fallback)) }
    }

    fn preparation(&self, job: &Job) -> Preparation {
        let (summary, diff): (&str, &[&str]) = match job.step.id.as_str() {
            "promote-database" => (
                "gennet-db-replica becomes a writer of its own",
                &["- ReadReplicaSource: gennet-db @us-east-1", "+ ReadReplicaSource: none", "  MultiAZ: false"],
            ),
            "promote-cache" => ("redis-3 becomes master of gennet-cache", &["- master redis-1", "+ master redis-3"]),
            "fence-primary" => (
                "3 deployments in us-east-1 scale to 0",
                &[
                    "- api-gateway replicas 4",
                    "+ api-gateway replicas 0",
                    "- grn-engine replicas 4",
                    "+ grn-engine replicas 0",
                ],
            ),
            "scale-standby" => (
                "6 deployments in us-west-2: 6 → 18 replicas",
                &["- api-gateway replicas 1 (HPA min 1)", "+ api-gateway replicas 4 (HPA min 4)"],
            ),
            "move-dns" => (
                "weight of app.gennet.example @us-west-2: 0 → 100",
                &["- us-east-1 weight 100", "+ us-east-1 weight 0", "- us-west-2 weight 0", "+ us-west-2 weight 100"],
            ),
            _ => ("", &[]),
        };
        let promotes = job.step.role == StepRole::Promotes;
        let mut guards = Vec::new();
        if job.step.id.as_str() == "promote-database" {
            guards.push(Guard::pass("not-backing-up", "no backup is running"));
            guards.push(Guard::warn("parameter-group", "the replica has its own parameter group: default.postgres16"));
        }
        let facts = promotes.then(|| PromotionFacts {
            old_writer: self.old_writer,
            quorum: (job.step.id.as_str() == "promote-cache").then_some(true),
            recovery_point: self.points.get(job.step.system.as_str()).cloned(),
            lossless: false,
        });
        Preparation {
            observed: Observed::NotDone { detail: format!("{} is not done", job.step.id) },
            preview: Preview {
                summary: summary.into(),
                diff: diff.iter().map(|line| (*line).to_owned()).collect(),
                pre_image: json!({}),
            },
            checked: Checked { guards, promotion: facts },
        }
    }
}

/// The job of any effect on a step.
pub fn job(effect: &Effect) -> &Job {
    match effect {
        Effect::Prepare(job)
        | Effect::Apply(job)
        | Effect::Observe(job)
        | Effect::Verify(job)
        | Effect::Revert(job)
        | Effect::RetryAt(job, _) => job,
        Effect::Drill(name) => panic!("the drill {name} is no step"),
        Effect::Deliver(_) | Effect::Find(_) => unreachable!("errands are kept by themselves"),
    }
}
